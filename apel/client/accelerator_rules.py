"""[accelerators] of client.cfg: what a card is of which the log doesn't tell the model, or not all of it."""

import fnmatch
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from apel.errors import RecordError
from apel.records import AcceleratorRecord
from apelcommon.config import Option

#: What a rule may ask for, and what it may say.
CONDITIONS = ("host", "queue", "name")
SETTINGS = ("model", "type", "share", "cores", "benchmark")

HELP = (
    "Rules for the models of accelerators: rule1, rule2 and so on; the first that fits counts. Each says "
    "for which host, queue (or partition) or name (the model in the log) it is, with * and ? in patterns, "
    "and what these are: model, type (GPU, FPGA, Other), share (the part of a card that each is, such as "
    "0.142857), cores of a card, benchmark of a card as type:value. Rules without name are for what the log "
    "has no model of."
)
SAMPLE = "host=gpu-a*,model=NVIDIA A100,cores=6912"


class Cards(NamedTuple):
    """What a log tells of some accelerators of a job: name is the model in it."""

    host: Optional[str]
    queue: str
    name: Optional[str]
    type: str


class Rule(NamedTuple):
    """For which accelerators it is (patterns by condition), and what is said of them; None: nothing."""

    conditions: Tuple[Tuple[str, str], ...]
    model: Optional[str]
    type: Optional[str]
    share: float
    cores: Optional[int]
    benchmark: Tuple[Optional[str], Optional[float]]

    def fits(self, cards: Cards) -> bool:
        """Whether it is for these."""
        if cards.name is not None and "name" not in dict(self.conditions):
            return False
        found = {"host": cards.host, "queue": cards.queue, "name": cards.name}
        return all(_matches(found[what], pattern) for what, pattern in self.conditions)


NO_RULE = Rule((), None, None, 1.0, None, (None, None))


def _matches(text: Optional[str], pattern: str) -> bool:
    return text is not None and fnmatch.fnmatchcase(text.lower(), pattern.lower())


def rule_for(rules: Sequence[Rule], cards: Cards) -> Optional[Rule]:
    """The first rule that is for these accelerators."""
    return next((rule for rule in rules if rule.fits(cards)), None)


def accelerator_rule(text: str) -> Rule:
    """Reads 'host=gpu-a*,model=NVIDIA A100,cores=6912'. Raises ValueError with words for the admin."""
    words: Dict[str, str] = {}
    for item in text.split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (sign and value and name in CONDITIONS + SETTINGS) or name in words:
            known = ", ".join(CONDITIONS + SETTINGS)
            raise ValueError("has %r, but must be name=value, with each of %s at most once" % (item, known))
        words[name] = value
    conditions = tuple((name, words[name]) for name in CONDITIONS if name in words)
    if not conditions:
        raise ValueError("is %r, but must say host, queue or name" % text)
    if "name" not in words and "model" not in words:
        raise ValueError("is %r, but must say the model" % text)
    return Rule(conditions, **_settings(words))


def _settings(words: Dict[str, str]) -> Dict[str, Any]:
    kind, sign, value = words.get("benchmark", "").rpartition(":")
    if "benchmark" in words and not sign:
        raise ValueError("has benchmark %r, but must have it as type:value" % words["benchmark"])
    share = _checked("Count", words.get("share", "1"))
    if share <= 0:
        raise ValueError("has share %s, but it must be above 0" % words["share"])
    return {
        "model": _checked("Model", words.get("model")),
        "type": _checked("Type", words["type"]) if "type" in words else None,
        "share": share,
        "cores": _checked("Cores", words.get("cores")),
        "benchmark": (_checked("BenchmarkType", kind), _checked("Benchmark", value)),
    }


def _checked(field: str, text: Optional[str]) -> Any:
    """The value of a word, as a record has it; None for none."""
    (found,) = [one for one in AcceleratorRecord.fields if one.name == field]
    try:
        return found.read(text or None)
    except RecordError as err:
        raise ValueError("is wrong: %s" % err) from None


RULES: List[Option] = [Option("accelerators", "rule#", accelerator_rule, None, HELP, sample=SAMPLE)]
