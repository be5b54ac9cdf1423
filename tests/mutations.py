"""Damage to messages, the same in every run."""

import random

PIECES = [
    "%%",
    "\n",
    "\n%%\n",
    ":",
    "\0",
    "\t",
    "\r\n",
    "None",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 30,
    "\u00e9",
    "\u2028",
    "\U0001f600",
    "'; DROP TABLE JobRecords; --",
    "\\",
    "x" * 300,
    "{",
    "<",
    "&a;",
    "<!DOCTYPE a>",
    "</urf:UsageRecord>",
    "Site: \n",
]


def mutated(body: str, chance: random.Random) -> str:
    """A message with some of its text replaced, doubled, cut out or cut off."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice([0, 1, 2, 10, 50]))
        kind = chance.randrange(4)
        if kind == 0:
            body = body[:start] + chance.choice(PIECES) + body[end:]
        elif kind == 1:
            body = body[:start] + body[end:]
        elif kind == 2:
            body = body[:end] + body[start:]
        else:
            body = body[:start] + chr(chance.randrange(1, 0x2FF)) + body[start + 1 :]
        if chance.random() < 0.02:
            body = body[: chance.randrange(len(body) + 1)]
    return body
