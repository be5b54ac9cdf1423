"""Puts messages that were rejected, or kept, back into the loader's queue, and says why they were rejected.

A message is first added to `incoming`, and then removed where it was: a run that dies in between leaves it in
both, and loading it twice is loading it once.
"""

import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from apelcommon.errors import Permanent

PREFIX = "Parsing unsuccessful: "
_PLACE = re.compile(r"^record \d+: ")
_NUMBERS = re.compile(r"\d+")
KEYS = ("body", "signer", "empaid")


class Wanted(NamedTuple):
    """Which messages: a part of the reason, a part of the signer's name, since when (epoch); None is any.

    mark: what the reason must begin with. The receiver puts messages that it could not verify into the same
    queue `reject`, and these must never come to the loader; PREFIX tells the loader's own.
    """

    reason: Optional[str] = None
    signer: Optional[str] = None
    since: Optional[int] = None
    mark: str = PREFIX

    def match(self, name: str, message: Dict[str, str]) -> bool:
        """Whether a message is one of these."""
        if self.since is not None and received(name) < self.since:
            return False
        if not message.get("error", "").startswith(self.mark):
            return False
        return all(
            part is None or part in message.get(key, "")
            for key, part in (("error", self.reason), ("signer", self.signer))
        )


class Replayed(NamedTuple):
    """How many messages were put back, and were left: in other hands, or without a signer."""

    done: int
    busy: int
    unsigned: int


class Group(NamedTuple):
    """Messages with alike reasons: numbers in them do not count. Times are epoch seconds."""

    reason: str
    messages: int
    oldest: int
    newest: int


def received(name: str) -> int:
    """When a message came into its queue, in epoch seconds: the name of an element begins with that."""
    return int(name.rpartition("/")[2][:8], 16)


def groups(queue: Any, wanted: Wanted) -> List[Group]:
    """The reasons that occur in a queue, the most frequent first."""
    found: Dict[str, Group] = {}
    for name, message in _messages(queue, wanted):
        reason = first_reason(message.get("error", ""))
        time = received(name)
        key = _NUMBERS.sub("#", reason)
        group = found.get(key, Group(reason, 0, time, time))
        found[key] = group._replace(
            messages=group.messages + 1, oldest=min(group.oldest, time), newest=max(group.newest, time)
        )
    return sorted(found.values(), key=lambda group: (-group.messages, group.reason))


def first_reason(error: str) -> str:
    """The first reason of an error, without the place of the record."""
    text = error[len(PREFIX) :] if error.startswith(PREFIX) else error
    return _PLACE.sub("", text.split("; record ")[0]).strip() or "(none)"


def replay(queue: Any, incoming: Any, wanted: Wanted, most: Optional[int] = None) -> Replayed:
    """Move messages from `queue` to `incoming`, oldest first, at most `most` of them."""
    done = busy = unsigned = 0
    for name, message in _messages(queue, wanted):
        if done == most:
            break
        if not message.get("signer", "").strip():
            unsigned += 1
        elif not queue.lock(name):
            busy += 1
        else:
            try:
                incoming.add({key: message[key] for key in KEYS if key in message})
            except BaseException:
                queue.unlock(name)
                raise
            queue.remove(name)
            done += 1
    return Replayed(done, busy, unsigned)


def _messages(queue: Any, wanted: Wanted) -> Iterator[Any]:
    for name in queue.ids():
        try:
            message = queue.get(name)
        except Permanent:
            continue  # it was taken away meanwhile, or was never whole
        if wanted.match(name, message):
            yield name, message
