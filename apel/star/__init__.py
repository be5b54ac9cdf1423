"""Storage records of a site: how full its file systems or its Ceph cluster are."""

from apel.star.records import records_of
from apel.star.sources import SOURCES, Source, Unreadable, Usage

__all__ = ["SOURCES", "Source", "Unreadable", "Usage", "records_of"]
