"""Judges rejected messages again: a signer is listed by now, a revocation list is fresh, a key is there."""

import logging
from collections import Counter
from typing import Counter as Counts
from typing import NamedTuple

from apelcommon.ids import of_sender
from ssm.dn import canonical
from ssm.errors import QueueError
from ssm.reasons import BANNED, NOT_DECRYPTED, NOT_LISTED, NOT_VERIFIED
from ssm.receiver import Receiver

log = logging.getLogger("ssmreceive")

#: How the reasons begin for which a receiver rejects what may be right later. Others are the loader's.
OURS = (NOT_LISTED, NOT_VERIFIED, NOT_DECRYPTED, BANNED)


class Replayed(NamedTuple):
    """What became of rejected messages: how many are in `incoming` now, and how many are left, by reason."""

    accepted: int
    left: Counts[str]


def replay_rejected(receiver: Receiver, name: str = "") -> Replayed:
    """Put what is acceptable by now from `reject` into `incoming`; with `name` only what that signer signed.

    Each message is judged as if it came today; what fails stays as it is. Raises TrustError, StorageError:
    then what was already put back is in `incoming`, and the rest is where it was.
    """
    replay = _Replay(receiver, canonical(name))
    for element in receiver.reject.ids():
        replay.try_one(element)
    return Replayed(replay.accepted, replay.left)


class _Replay:
    """One pass over the queue of rejected messages."""

    def __init__(self, receiver: Receiver, name: str) -> None:
        self.receiver = receiver
        self.name = name
        self.accepted = 0
        self.left: Counts[str] = Counter()

    def try_one(self, element: str) -> None:
        """Judge a message again, if it is one of those meant and nobody else has it."""
        queue = self.receiver.reject
        try:
            if not self._is_meant(element) or not queue.lock(element):
                return
        except (OSError, QueueError) as err:
            log.warning("Message reject/%s is passed over: %s", element, err)
            return
        put_back = False
        try:
            put_back = self._judge(element)
        finally:
            if put_back:
                queue.remove(element)
            else:
                queue.unlock(element)

    def _is_meant(self, element: str) -> bool:
        found = self.receiver.reject.get(element)
        right_name = not self.name or canonical(found.get("signer", "")) == self.name
        return right_name and found["error"].startswith(OURS)

    def _judge(self, element: str) -> bool:
        found = self.receiver.reject.read(element)
        identifier = of_sender(found.get("empaid", b"").decode("utf-8", "replace"))
        verdict = self.receiver.judge_anything(identifier, found["body"])
        if verdict.error:
            self.left[verdict.error] += 1
            log.info("Message reject/%s stays rejected: %s", element, verdict.error)
            return False
        # In incoming before it leaves reject: killed between the two, it is loaded twice, not never.
        stored = self.receiver.incoming.add(
            {"body": verdict.body, "signer": verdict.signer, "empaid": identifier}
        )
        self.accepted += 1
        log.info("Message reject/%s from %s put back (incoming/%s).", element, verdict.signer, stored)
        return True
