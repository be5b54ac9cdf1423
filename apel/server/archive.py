"""The job records of a month of a site in a compressed file, as messages that the loader can load again.

A file is gzip of JSON lines: a message each (signer, empaid, body), and at the end how many records and
messages there were, so that a file that was cut is not taken for a whole one, and when the newest of them was
written, so that one from before a correction is not taken for enough.
"""

import gzip
import itertools
import json
import os
import urllib.parse
import zlib
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from apel.db import Database
from apel.db.lookups import NONE
from apel.errors import RecordError
from apel.messages import encode
from apel.records import JobRecord
from apel.summaries import SiteMonth
from apel.times import utc_text
from apelcommon.errors import Permanent
from apelcommon.files import fsync_directory
from apelcommon.ids import FROM_ARCHIVE

RECORDS_PER_MESSAGE = 1000
SUFFIX = ".jobs.gz"
#: A field, and what it is in SOURCE; the rest is as it stands in JobRecords.
JOINED = {
    "Site": "Sites.name",
    "SubmitHost": "SubmitHosts.name",
    "MachineName": "MachineNames.name",
    "Queue": "Queues.name",
    "GlobalUserName": "DNs.name",
    "VO": "VOs.name",
    "VOGroup": "VOGroups.name",
    "VORole": "VORoles.name",
}
FIELDS = [name for name in JobRecord.names if name != "Benchmarks"]
COLUMNS = ["Publisher", "UpdateTime", *FIELDS]
INTEGERS = {field.name for field in JobRecord.fields if field.kind in ("integer", "timestamp")}
SELECTED = ", ".join("%s AS %s" % (JOINED.get(name, "JobRecords." + name), name) for name in FIELDS)
SOURCE = (
    """(SELECT Publishers.name AS Publisher, JobRecords.SiteID, JobRecords.EndYear, JobRecords.EndMonth,
JobRecords.UpdateTime, %s
FROM JobRecords
JOIN Sites ON Sites.id = JobRecords.SiteID
JOIN SubmitHosts ON SubmitHosts.id = JobRecords.SubmitHostID
JOIN MachineNames ON MachineNames.id = JobRecords.MachineNameID
JOIN Queues ON Queues.id = JobRecords.QueueID
JOIN DNs ON DNs.id = JobRecords.GlobalUserNameID
JOIN VOs ON VOs.id = JobRecords.VOID
JOIN VOGroups ON VOGroups.id = JobRecords.VOGroupID
JOIN VORoles ON VORoles.id = JobRecords.VORoleID
JOIN DNs Publishers ON Publishers.id = JobRecords.PublisherDNID) Archived"""
    % SELECTED
)
WHERE = "SiteID = %s AND EndYear = %s AND EndMonth = %s"
ORDER = "Publisher, EndTime"
#: The benchmarks of jobs that came with several, by the key of the job.
BENCHMARKS = """
SELECT MachineNames.name, LocalJobId, CAST(EndTime AS CHAR), BenchmarkType, Benchmark
FROM JobBenchmarks JOIN MachineNames ON MachineNames.id = MachineNameID
WHERE SiteID = %s AND EndTime >= %s AND EndTime <= %s ORDER BY BenchmarkType"""

Key = Tuple[Any, ...]


class RuleBroken(Permanent):
    """A record of the month breaks today's rules, and could not be loaded again."""


class Contents(NamedTuple):
    """What a file holds; `newest`: when the last of its records came into the database, epoch seconds."""

    messages: int
    records: int
    newest: int


def file_name(site: str, month: SiteMonth) -> str:
    """The name of a month's file: `EXAMPLE-SITE.2024-03.jobs.gz`."""
    return "%s.%04d-%02d%s" % (urllib.parse.quote(site, safe=" "), month.year, month.month, SUFFIX)


def write_archive(db: Database, month: SiteMonth, site: str, folder: str) -> Contents:
    """Write a month's job records; the file is there when it is whole, and on disk.

    Raises RuleBroken, or Permanent if the disk refuses.
    """
    path = os.path.join(folder, file_name(site, month))
    part = path + ".part"
    try:
        with open(part, "wb") as raw:
            with gzip.open(raw, "wb", compresslevel=6) as stream:
                contents = _write_lines(stream, db, month, file_name(site, month)[: -len(SUFFIX)])
            raw.flush()
            os.fsync(raw.fileno())
        os.rename(part, path)
        fsync_directory(folder)
    except OSError as err:
        raise Permanent("Cannot write %s: %s" % (path, err.strerror or err)) from err
    except RecordError as err:
        os.unlink(part)
        raise RuleBroken(
            "%s: a record breaks a rule, and could not be loaded again: %s" % (path, err)
        ) from err
    return contents


def _write_lines(stream: Any, db: Database, month: SiteMonth, name: str) -> Contents:
    """A line for each message, and one of what there is in all."""
    messages = records = newest = 0
    for signer, written, batch in _batches(db, month):
        for body in _bodies(batch):
            messages += 1
            stream.write(
                _line({"signer": signer, "empaid": "%s%s-%d" % (FROM_ARCHIVE, name, messages), "body": body})
            )
        records += len(batch)
        newest = max(newest, written)
    stream.write(_line({"messages": messages, "records": records, "newest": newest}))
    return Contents(messages, records, newest)


def _line(value: Dict[str, Any]) -> bytes:
    return (json.dumps(value, sort_keys=True) + "\n").encode("utf-8")


def _batches(db: Database, month: SiteMonth) -> Iterator[Tuple[str, int, List[Any]]]:
    """Publisher, when the newest was written, and records: a message's worth at a time, in flat memory."""
    rows = db.stream_text(SOURCE, COLUMNS, WHERE, month, ORDER)
    for publisher, group in itertools.groupby(rows, key=lambda row: row[0]):
        mine = iter(group)
        some = list(itertools.islice(mine, RECORDS_PER_MESSAGE))
        while some:
            records = _with_benchmarks(db, month, [_record(row[2:]) for row in some])
            yield str(publisher), max(int(row[1] or 0) for row in some), records
            some = list(itertools.islice(mine, RECORDS_PER_MESSAGE))


def _record(texts: Sequence[Any]) -> Any:
    values: Dict[str, Any] = dict(zip(FIELDS, texts))
    for name in INTEGERS & values.keys():
        values[name] = None if values[name] is None else int(values[name])
    values["ServiceLevel"] = None if values["ServiceLevel"] is None else float(values["ServiceLevel"])
    return JobRecord.of(**values)


def _with_benchmarks(db: Database, month: SiteMonth, records: List[Any]) -> List[Any]:
    times = [record.EndTime for record in records]
    bounds = (month.site_id, utc_text(min(times)), utc_text(max(times)))
    found: Dict[Key, List[Key]] = {}
    for machine, job, end, kind, value in db.run(lambda tx: tx.rows(BENCHMARKS, bounds)):
        found.setdefault((machine, job, end), []).append((kind, float(value)))
    if not found:
        return records
    keys = [(record.MachineName or NONE, record.LocalJobId, utc_text(record.EndTime)) for record in records]
    return [
        record.replace(Benchmarks=tuple(found[key])) if key in found else record
        for record, key in zip(records, keys)
    ]


def _bodies(records: List[Any]) -> Iterator[str]:
    """v0.4 can say several benchmarks, v0.3 all that there may be of one."""
    several = [record for record in records if record.Benchmarks]
    single = [record for record in records if not record.Benchmarks]
    for batch, format in ((single, "job v0.3"), (several, "job v0.4")):
        if batch:
            yield encode(batch, format)


def contents(path: str) -> Contents:
    """What a file holds. Raises Permanent if it isn't a whole archive."""
    messages = 0
    end: Dict[str, Any] = {}
    for line in _lines(path):
        messages += "body" in line
        end = line
    if end.get("messages") != messages:
        raise Permanent("%s is no archive of jobs, or was cut." % path)
    return Contents(messages, int(end["records"]), int(end.get("newest", 0)))


def messages_in(path: str) -> Iterator[Dict[str, str]]:
    """The messages of a file (signer, empaid, body), one at a time."""
    for line in _lines(path):
        if "body" in line:
            yield {key: str(line[key]) for key in ("signer", "empaid", "body")}


def _lines(path: str) -> Iterator[Dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise ValueError("not an object")
                yield value
    except (OSError, EOFError, ValueError, zlib.error) as err:
        raise Permanent("%s can't be read as an archive of jobs: %s" % (path, err)) from err
