"""Keeps the messages of one signer in order when several loaders share a queue.

What comes later replaces what came before, so a correction must not overtake what it corrects. A loader that
finds a message in the hands of another one passes over all later messages of its signer, until its next
pass over the queue. Messages of other signers are not held up.
"""

from typing import Any, Dict, Set


class Turns:
    """The signers that other loaders are busy with, as one pass over a queue finds them."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        #: signer -> the first of the messages in other hands.
        self._held: Dict[str, str] = {}
        self._waiting: Set[str] = set()
        #: Signers of messages that we have stored but can't finish.
        self.stuck: Set[str] = set()

    def begin_pass(self) -> None:
        """A new pass over the queue, from its oldest message."""
        self._held.clear()
        self._waiting.clear()
        self.stuck.clear()

    @property
    def passed_over(self) -> bool:
        """Whether messages were left in this pass because it was not their turn."""
        return bool(self._waiting)

    def is_held(self, name: str) -> None:
        """A message was found in the hands of another loader."""
        signer = self._signer(name)
        if signer is not None:
            self._held.setdefault(signer, name)

    def is_stuck(self, name: str, signer: str) -> None:
        """A message of ours is stored, but can't be taken out of the queue: it holds up those after it, too.

        If we die, another loader will store it once more, and must then find all that corrects it behind it.
        """
        self.is_held(name)
        self.stuck.add(signer)

    def must_wait(self, name: str) -> bool:
        """Whether an earlier message of the same signer is in other hands, or was passed over."""
        signer = self._signer(name) if self._held else None
        if signer is None or signer not in self._held:
            return False
        if signer not in self._waiting and self._signer(self._held[signer]) is None:
            del self._held[signer]  # the other loader has finished, and nothing was passed over
            return False
        self._waiting.add(signer)
        return True

    def _signer(self, name: str) -> Any:
        """The signer of a message; None if it has none, or is gone."""
        return self._queue.value(name, "signer")
