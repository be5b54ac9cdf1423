"""A whole site and a whole centre in one folder: what the quick start and the acceptance tests run."""

from apel.demo.deployment import Deployment, Link, LogFiles, embedded_deployment, shown

__all__ = ["Deployment", "Link", "LogFiles", "embedded_deployment", "shown"]
