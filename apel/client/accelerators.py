"""Makes the accelerator records of jobs that are being joined, in the transaction that makes the jobs.

A job's accelerators belong to the month in which it ended, as its wall time does, and whole: so the hours
of cards and of cores in a month are those of the same jobs. A record that is no more (the model was unknown,
and a rule names it now) stays as one of no time and is sent as such: the centre replaces record by record,
and would count the card twice.
"""

import hashlib
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from apel.client.accelerator_rules import NO_RULE, Cards, Rule, rule_for
from apel.parsers.accelerators import SHARES
from apel.records.accelerators import MOST_ACCELERATORS
from apel.records.fields import MOST_COUNT

TABLE = "AcceleratorRecords"
JOB_KEY = ("MachineNameID", "LocalJobId", "EndTime")
#: From the job, and the same for all its accelerators.
OF_JOB = (
    *("SiteID", "SubmitHostID", "GlobalUserNameID", "FQAN", "VOID", "VOGroupID", "VORoleID"),
    *("InfrastructureType", "MeasurementYear", "MeasurementMonth"),
)
OWN = (
    *("Model", "Type", "Count", "Cores", "AvailableDuration", "ActiveDuration"),
    *("BenchmarkType", "Benchmark"),
)
COLUMNS = (*JOB_KEY, *OF_JOB, "AssociatedRecord", *OWN)

#: The accelerators of the work set's jobs, with what their jobs have just become.
FOUND = """
SELECT A.MachineNameID, A.JobName, CAST(A.EndTime AS CHAR),
       J.SiteID, J.SubmitHostID, J.GlobalUserNameID, J.FQAN, J.VOID, J.VOGroupID, J.VORoleID,
       J.InfrastructureType, J.EndYear, J.EndMonth,
       M.name, Q.name, A.Host, A.Model, A.Type, A.Count, A.AvailableDuration, A.ActiveDuration
FROM JoinWork W CROSS JOIN EventAccelerators A CROSS JOIN JobRecords J
CROSS JOIN MachineNames M CROSS JOIN Queues Q
WHERE A.MachineNameID = W.MachineNameID AND A.JobName = W.JobName AND A.EndTime = W.EndTime
  AND J.MachineNameID = W.MachineNameID AND J.LocalJobId = W.JobName AND J.EndTime = W.EndTime
  AND M.id = W.MachineNameID AND Q.id = J.QueueID AND W.Status IN (1, 2)
ORDER BY A.MachineNameID, A.JobName, A.EndTime, A.Number
"""

#: Their records until now.
BEFORE = """
SELECT R.MachineNameID, R.LocalJobId, CAST(R.EndTime AS CHAR), R.Model
FROM JoinWork W CROSS JOIN AcceleratorRecords R
WHERE R.MachineNameID = W.MachineNameID AND R.LocalJobId = W.JobName AND R.EndTime = W.EndTime
  AND W.Status IN (1, 2) AND R.AvailableDuration > 0
"""

NO_MORE = """
UPDATE AcceleratorRecords SET AvailableDuration = 0, ActiveDuration = NULL, UpdateTime = CURRENT_TIMESTAMP
WHERE MachineNameID = %s AND LocalJobId = %s AND EndTime = %s AND Model = %s
"""

UNKNOWN = "unknown"
LONGEST_REFERENCE = 255


class Tally(NamedTuple):
    """How many records; jobs by queue and host, of unknown model; by queue and share, without a rule."""

    records: int
    unknown: Dict[Tuple[str, str], int]
    shares: Dict[Tuple[str, str], int]


NOTHING = Tally(0, {}, {})


class Card(NamedTuple):
    """Accelerators of one model that a job had: `seconds` long, `used` of them, as far as that is known."""

    model: str
    type: str
    number: float
    rule: Rule
    seconds: int
    used: Optional[int]


def record_accelerators(tx: Any, rules: Sequence[Rule]) -> Tally:
    """Make the records of the jobs in JoinWork, and put an end to those that are no more."""
    if tx.value("SELECT 1 FROM EventAccelerators LIMIT 1") is None and _is_empty(tx):
        return NOTHING
    jobs: Dict[Tuple[Any, ...], List[Tuple[Any, ...]]] = {}
    for row in tx.rows(FOUND):
        jobs.setdefault(tuple(row[:14]), []).append(row[14:])
    rows, unknown, shares = [], Counter(), Counter()  # type: ignore[var-annotated]
    for job, found in jobs.items():
        *of_job, machine = job
        reference = reference_of(machine, job[1], job[2])
        for card in _cards(found, rules, unknown, shares):
            rows.append((*of_job, reference, *_values(card)))
    kept = {(*row[:3], row[COLUMNS.index("Model")]) for row in rows}
    _end(tx, kept)
    tx.insert(TABLE, COLUMNS, rows, "update")
    return Tally(len(rows), unknown, shares)


def _is_empty(tx: Any) -> bool:
    return tx.value("SELECT 1 FROM AcceleratorRecords LIMIT 1") is None


def _end(tx: Any, kept: Set[Tuple[Any, ...]]) -> None:
    """No time for the records of these jobs that aren't among `kept`."""
    for row in tx.rows(BEFORE):
        if tuple(row) not in kept:
            tx.execute(NO_MORE, row)


def reference_of(machine: str, job: str, end: str) -> str:
    """AssociatedRecord: what names a job within a site. Its id alone doesn't.

    Batch ids are used again, a job that was requeued has several runs of one id, and a site may have several
    batch systems. end: UTC text. Where it would be too long, its end is a hash of the whole.
    """
    whole = "%s/%s/%sZ" % (machine, job, end.replace(" ", "T"))
    if len(whole) <= LONGEST_REFERENCE:
        return whole
    digest = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()
    return "%s/%s" % (whole[: LONGEST_REFERENCE - len(digest) - 1], digest)


def _cards(
    found: Sequence[Tuple[Any, ...]], rules: Sequence[Rule], unknown: Dict[Any, int], shares: Dict[Any, int]
) -> List[Card]:
    """A job's accelerators, one for each model. Those without a rule that need one are counted."""
    by_model: Dict[str, Card] = {}
    nameless, shared = set(), set()
    for queue, host, name, type, count, seconds, used in found:
        cards = Cards(host, queue, name, type)
        rule = rule_for(rules, cards)
        if rule is None and name is not None and name.partition(":")[0] in SHARES:
            shared.add((queue, name))
            continue
        if rule is None and name is None:
            nameless.add((queue, host or ""))
        card = _card(cards, rule or NO_RULE, float(count), int(seconds), used)
        before = by_model.get(card.model)
        by_model[card.model] = card if before is None else _together(before, card)
    for place in nameless:
        unknown[place] += 1
    for place in shared:
        shares[place] += 1
    return list(by_model.values())


def _card(cards: Cards, rule: Rule, count: float, seconds: int, used: Optional[int]) -> Card:
    type = rule.type or cards.type
    model = rule.model or cards.name or (UNKNOWN if type == "GPU" else "%s %s" % (UNKNOWN, type))
    return Card(model, type, count * rule.share, rule, seconds, None if used is None else int(used))


def _together(one: Card, other: Card) -> Card:
    """Cards of one model; of how long they were used the mean, which is what the record has."""
    number = one.number + other.number
    used = None
    if one.used is not None and other.used is not None:
        used = round((one.used * one.number + other.used * other.number) / number)
    return one._replace(number=number, used=used)


def _values(card: Card) -> Tuple[Any, ...]:
    """The columns OWN. What no column holds would stop the joining of all other jobs."""
    cores = card.rule.cores
    return (
        card.model,
        card.type,
        min(round(card.number, 6), MOST_ACCELERATORS),
        None if cores is None else min(round(cores * card.number), MOST_COUNT),
        card.seconds,
        card.used,
        *card.rule.benchmark,
    )
