"""One thin module per command: options, configuration, one call, an exit status."""
