"""The keys with which a receiver decrypts, through renewals of its certificate."""

import datetime
import logging
import time
from typing import List

from apelcommon.files import FileState, file_state
from ssm.credentials import Credentials, load_credentials
from ssm.envelope import Decryptor
from ssm.errors import SigningError

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
WARNING_SECONDS = 86400.0
MOST_KEPT = 3


class KeyRing:
    """Opens messages with our certificate and key, and with those that they replaced while we ran.

    The files are looked at once a minute. A changed pair that is no good leaves the last good one in use.
    """

    def __init__(self, certificate_path: str, key_path: str) -> None:
        """Raises SigningError."""
        self.paths = (certificate_path, key_path)
        self._own = [self._load()]
        self._state = self._look()
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._next_warning = time.monotonic() + WARNING_SECONDS
        self._decryptor = self._make()

    def open(self, message: bytes) -> bytes:
        """As `Decryptor.open`."""
        self.refresh()
        return self._decryptor.open(message)

    def refresh(self) -> None:
        """Take changed files up; once a day, say again that a certificate is about to end."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        state = self._look()
        if state == self._state and now < self._next_warning:
            return
        self._next_warning = now + WARNING_SECONDS
        try:
            loaded = self._load()
        except SigningError as err:
            log.error("%s What was read before stays in use.", err)
        else:
            if loaded.certificate != self._own[0].certificate:
                log.info("The certificate %s is a new one: %s", self.paths[0], loaded.name)
                self._own = [loaded, *self._own][:MOST_KEPT]
                self._decryptor = self._make()
        self._state = state

    def _load(self) -> Credentials:
        return load_credentials(*self.paths, least_valid=datetime.timedelta(0))

    def _make(self) -> Decryptor:
        return Decryptor([(own.certificate, own.key) for own in self._own])

    def _look(self) -> List[FileState]:
        return [file_state(path) for path in self.paths]
