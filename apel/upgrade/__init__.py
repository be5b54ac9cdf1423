"""Brings older databases, the incumbent's too, to the schema of this version, in place."""
