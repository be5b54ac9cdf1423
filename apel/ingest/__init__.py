"""From log files to the site database: what apelparser does, but for its command line."""

from apel.ingest.ledger import DatabaseLedger, DryRun, Ledger
from apel.ingest.report import ParseReport
from apel.ingest.run import Ingest, Source, replay, run

__all__ = ["DatabaseLedger", "DryRun", "Ingest", "Ledger", "ParseReport", "Source", "replay", "run"]
