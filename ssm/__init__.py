"""The secure messenger: signed messages from here to there, whatever they are about."""

from apelcommon import __version__

__all__ = ["__version__"]
