"""The fixtures of the tests of the upgrade."""

from olddatabases import fresh, old, upgrade_of

__all__ = ["fresh", "old", "upgrade_of"]
