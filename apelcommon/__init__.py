"""What apel and ssm share and neither owns: configuration, logs, daemons, files."""

__version__ = "5.0.0"
