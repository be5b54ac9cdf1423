"""Collecting logs from batch systems that write none: asked with their own commands, period by period."""

from apel.collect.run import Collector, Piece, Report
from apel.collect.sources import SOURCES, Source
from apel.collect.window import Window

__all__ = ["SOURCES", "Collector", "Piece", "Report", "Source", "Window"]
