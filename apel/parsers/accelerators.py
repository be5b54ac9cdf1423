"""Accelerators of a job as its batch log tells them: how many of which model, on which host, for how long."""

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from apel.errors import RecordError
from apel.parsers.base import Parser, name
from apel.records.fields import MOST_TUPLES

GPU, FPGA = "GPU", "FPGA"

#: More of one kind no job has, and no record holds: the log is wrong.
MOST_CARDS = 999999

#: In the place of a number of GPUs that is none, or is impossible: the job is recorded without it.
UNREAD = -1
NO_GPUS = "number of GPUs of unknown form, recorded without it"

#: The generic resources of SLURM that are accelerators: name, type, and what their model begins with where
#: they are shares of GPUs. How large a share, only the site knows.
GRES = (("gpu", GPU, ""), ("fpga", FPGA, ""), ("shard", GPU, "shard:"), ("mps", GPU, "mps:"))

#: The models of shares, alone or before a colon and a model.
SHARES = ("shard", "mps")

#: As EventRecord.Accelerators has them.
Attached = Tuple[int, Optional[str], Optional[str], str, float, int, Optional[int]]


class Cards(NamedTuple):
    """Some accelerators of one job, host and model; None for what the log doesn't tell."""

    host: Optional[str]
    model: Optional[str]
    type: str
    number: float


def attached(cards: Sequence[Cards], wall: int, used: Optional[int] = None) -> Optional[Tuple[Attached, ...]]:
    """The field Accelerators of a job that had these for `wall` seconds, and used them for `used`."""
    if len(cards) > MOST_TUPLES:
        cards = _merged(cards)
    numbered = enumerate(card for card in cards if 0 < card.number <= MOST_CARDS)
    return tuple((place, *card, wall, used) for place, card in numbered) or None


def _merged(cards: Iterable[Cards]) -> List[Cards]:
    """One for each model, with the first of its hosts."""
    by_model: Dict[Tuple[Optional[str], str], Cards] = {}
    for card in cards:
        key = (card.model, card.type)
        before = by_model.get(key, card._replace(number=0))
        by_model[key] = before._replace(number=before.number + card.number)
    return list(by_model.values())[:MOST_TUPLES]


def possible(number: int) -> int:
    """A number of GPUs; UNREAD for more than any job has."""
    return number if number <= MOST_CARDS else UNREAD


def known_gpus(parser: Parser, number: Optional[int]) -> Optional[int]:
    """The number; None for UNREAD, which the parser counts."""
    if number != UNREAD:
        return number
    parser.doubt(NO_GPUS)
    return None


def known_name(text: str) -> Optional[str]:
    """A host or model as records have it; None for what can't be one, which loses no job."""
    try:
        return name(text)
    except RecordError:
        return None


def of_tres(counts: Mapping[str, Any]) -> Tuple[Cards, ...]:
    """Accelerators among SLURM's trackable resources, {"gres/gpu": 2, "gres/gpu:a100": 2}; hosts to be added.

    The total of a kind stands there beside its models, or alone. Counts are numbers or text; what is neither
    says nothing. A share of GPUs has the word for it as its model: `shard`, or `shard:<model>`.
    """
    cards: List[Cards] = []
    for kind, type, share in GRES:
        models = _models(counts, "gres/" + kind)
        rest = _number(counts.get("gres/" + kind)) - sum(models.values())
        cards += [Cards(None, known_name(share + model), type, number) for model, number in models.items()]
        if rest > 0:
            cards.append(Cards(None, share.rstrip(":") or None, type, rest))
    return tuple(cards)


def _models(counts: Mapping[str, Any], kind: str) -> Dict[str, int]:
    begin = kind + ":"
    found = {what[len(begin) :]: _number(count) for what, count in counts.items() if what.startswith(begin)}
    return {model: number for model, number in found.items() if number > 0}


def _number(count: Any) -> int:
    """A count that may be one, or text of one; 0 for anything else."""
    if isinstance(count, str):
        count = int(count) if count.isdecimal() and len(count) < 10 else 0
    good = isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MOST_CARDS
    return count if good else 0


def first_host(nodes: str) -> Optional[str]:
    """The first of SLURM's list of nodes: 'wn[11-12,20],wn30' -> wn11."""
    host, bracket, rest = nodes.partition("[")
    if not bracket or "," in host:
        return known_name(nodes.partition(",")[0])
    inside, _, behind = rest.partition("]")
    return known_name(host + inside.partition(",")[0].partition("-")[0] + behind.partition(",")[0])
