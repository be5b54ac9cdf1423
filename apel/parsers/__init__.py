"""One module for each kind of log: a line in, a record or a reason out; no I/O."""

from typing import Dict, Tuple, Type

from apel.parsers.base import Failed, Outcome, Parser, ParserOptions, Skipped
from apel.parsers.blah import BlahParser
from apel.parsers.htcondor import HTCondorParser
from apel.parsers.lsf import LsfParser
from apel.parsers.pbs import PbsParser
from apel.parsers.sge import SGEParser
from apel.parsers.slurm import SlurmParser

_PARSERS: Tuple[Type[Parser], ...] = (
    SlurmParser,
    HTCondorParser,
    PbsParser,
    LsfParser,
    SGEParser,
)

#: The batch systems by the name that [batch] type has for them.
BATCH_PARSERS: Dict[str, Type[Parser]] = {parser.type_name: parser for parser in _PARSERS}

__all__ = [
    "BATCH_PARSERS",
    "BlahParser",
    "Failed",
    "HTCondorParser",
    "LsfParser",
    "Outcome",
    "Parser",
    "ParserOptions",
    "PbsParser",
    "SGEParser",
    "Skipped",
    "SlurmParser",
]
