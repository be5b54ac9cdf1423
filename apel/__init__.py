"""The accounting suite: what a site collects and a centre loads, summarises and reports."""

from apelcommon import __version__

__all__ = ["__version__"]
