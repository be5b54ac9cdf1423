"""The `reject` queue as the loader uses it: bad content with its reason, put there once if at all possible.

A loader that dies between adding to `reject` and removing from `incoming` meets the same message again.
So the first rejection of a process looks at the newest elements of `reject`, and does not repeat them.
"""

import hashlib
import logging
from collections import deque
from typing import Any, Deque, Dict, Optional

from apelcommon.errors import Permanent

log = logging.getLogger(__name__)

NEWEST = 1000


class Rejects:
    """Adds to a queue with the REJECT schema: body, signer, empaid, error."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue
        #: Of each message that was there, by digest, the name of its element.
        self._before_us: Dict[str, str] = {}
        self._looked = False

    def add(self, message: Dict[str, str]) -> None:
        """Add a message, unless a loader before us did. Raises Transient when the disk refuses."""
        if not self._looked:
            self._before_us = self._newest()
            self._looked = True
        digest = _digest(message)
        name = self._before_us.pop(digest, None)
        # It may have been put back, and removed, since we looked.
        if name is not None and self._digest_of(name) == digest:
            log.info("The reject queue holds this message already; it is not added again.")
        else:
            self.queue.add(message)

    def _newest(self) -> Dict[str, str]:
        names: Deque[str] = deque(self.queue.ids(), maxlen=NEWEST)
        digests = {self._digest_of(name): name for name in names}
        return {digest: name for digest, name in digests.items() if digest is not None}

    def _digest_of(self, name: str) -> Optional[str]:
        """Of the message in an element; None if it can't be read, or is gone."""
        try:
            return _digest(self.queue.get(name))
        except (Permanent, OSError) as err:
            log.debug("Passing over %s in the reject queue: %s", name, err)
            return None


def _digest(message: Dict[str, str]) -> str:
    parts = (message.get(key, "") for key in ("body", "signer", "empaid", "error"))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()
