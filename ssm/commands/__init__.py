"""The commands of the messenger: options, configuration, one call, an exit status."""
