"""A whole site and a whole centre in one folder: what the quick start and the acceptance tests run."""

from apel.demo.certificates import Authority
from apel.demo.deployment import Deployment, Link, sqlite_database

__all__ = ["Authority", "Deployment", "Link", "sqlite_database"]
