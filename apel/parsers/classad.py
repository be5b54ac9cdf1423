"""Attributes of HTCondor's jobs as JSON has them: the text that each stands for in other forms of the log."""

from typing import FrozenSet, Mapping, Sequence, Tuple

from apel.identity import ORIGINAL, TOKEN_PARTS

#: What stands for an attribute without a value.
UNDEFINED: FrozenSet[str] = frozenset(["undefined", "error", ""])

#: Numbers below this are written without exponent.
MOST_PLAIN = 10**9

#: The user's token, if a compute element routed the job, and else the one that it was submitted with.
TOKENS = [tuple(prefix + part.lower() for part in TOKEN_PARTS) for prefix in (ORIGINAL, "")]
#: Without any of these there is none.
TOLD_BY = (*TOKENS[0][:2], *TOKENS[1][:2])
NO_TOKEN = ("", "", "")


def token_of_job(job: Mapping[str, object]) -> Sequence[str]:
    """Issuer, subject and groups; '' for each that isn't told."""
    if not any(name in job for name in TOLD_BY):
        return NO_TOKEN
    found = [[text_of(job, (name,)) for name in names] for names in TOKENS]
    return found[0] if any(found[0]) else found[1]


def text_of(job: Mapping[str, object], names: Tuple[str, ...]) -> str:
    """The first of some attributes that has a value, as it would stand between bars; '' if there is none.

    An expression, which JSON has as "/Expr(…)/", is no value. A list stands with commas.
    """
    for attribute in names:
        value = job.get(attribute)
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return ",".join(value)
        if isinstance(value, str) and value not in UNDEFINED and not value.startswith("/Expr("):
            return value
        if isinstance(value, float) and value.is_integer() and abs(value) < MOST_PLAIN:
            return "%d" % value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    return ""
