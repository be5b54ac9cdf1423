"""The ARGO Messaging Service's REST API: JSON over HTTPS, with a token, each call bounded in time.

Of the published client library little would be left here: it waits a minute between tries, verifies by
python-requests' own list of authorities, and never asks for another token when one has expired.
"""

import contextlib
import http.client
import json
import logging
import re
import socket
import ssl
import threading
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterator, Optional, Tuple

from apelcommon.backoff import Backoff
from apelcommon.daemon import asked_to_end, cut_short, pause
from ssm.broker import TOKEN
from ssm.errors import TransportError
from ssm.transport.wire import tls_context

log = logging.getLogger(__name__)

#: The longest that any answer is waited for, from the first byte of the request to the last of the answer.
CALL_SECONDS = 120.0
QUIET_SECONDS = 60.0
TRIES = 3
MOST_WAIT = 30.0
TRY_AGAIN = (408, 429, 500, 502, 503, 504)
MOST_ANSWER = 256 * 1024 * 1024
LINE_TROUBLE = (OSError, http.client.HTTPException, ssl.SSLError, ValueError)


class AmsRefused(TransportError):
    """The service answers with an error; `status` is the HTTP status."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class AmsUnreachable(TransportError):
    """The service can't be reached, or doesn't answer, or not in its own language."""


class Api:
    """One AMS host, as the sections [broker], [certificates] and [messaging] say."""

    def __init__(self, settings: Any, address: Tuple[str, int]) -> None:
        self.host, self.port = address
        self.broker = settings.broker
        self.certificates = settings.certificates
        self.project = settings.messaging.ams_project
        self._configured = settings.messaging.token
        self._token = ""
        self._line: Optional[http.client.HTTPSConnection] = None

    def post(self, path: str, body: Any, tries: int = TRIES) -> Dict[str, Any]:
        """POST below the project: the answer's JSON object. Raises AmsRefused or AmsUnreachable.

        What may pass (no answer, 429, 5xx, 408 but of an acknowledgement) is tried `tries` times, with
        growing waits.
        """
        return self._insist("POST", self._path(path), body, tries)

    def get(self, path: str, tries: int = TRIES) -> Dict[str, Any]:
        """GET below the project, as `post`."""
        return self._insist("GET", self._path(path), None, tries)

    def _path(self, path: str) -> str:
        return "/v1/projects/%s/%s" % (urllib.parse.quote(self.project, ""), path)

    def _insist(self, method: str, path: str, body: Any, tries: int) -> Dict[str, Any]:
        backoff = Backoff(1.0, MOST_WAIT)
        for remaining in reversed(range(tries)):
            wait = backoff.next()
            try:
                return self._with_token(method, path, body)
            except AmsRefused as err:
                too_late = err.status == 408 and path.endswith(":acknowledge")
                if not remaining or too_late or err.status not in TRY_AGAIN or asked_to_end():
                    raise
                wait = max(wait, getattr(err, "retry_after", 0.0))
                log.info("%s Trying again.", err)
            except AmsUnreachable as err:
                if not remaining or asked_to_end():
                    raise
                log.info("%s Trying again.", err)
            pause(min(wait, MOST_WAIT))
        raise AssertionError("tries must be 1 or more")

    def _with_token(self, method: str, path: str, body: Any) -> Dict[str, Any]:
        fresh = not self._token
        try:
            return self._call(method, path, body, self.token())
        except AmsRefused as err:
            if err.status != 401 or self._configured or fresh:
                raise
        log.info("AMS no longer takes our token: asking for another.")
        self._token = ""
        return self._call(method, path, body, self.token())

    def token(self) -> str:
        """The token to call with: that of the configuration, or one got for our certificate."""
        if self._configured:
            return str(self._configured)
        if not self._token:
            self._token = self._exchange()
        return self._token

    def _exchange(self) -> str:
        own = self.certificates
        context = self._context(own.certificate, own.key)
        line = self._connect(self.host, self.broker.authn_port, context)
        path = "/v1/service-types/ams/hosts/%s:authx509" % urllib.parse.quote(self.host, "")
        try:
            answer = self._talk(line, "GET", path, None, {})
        except AmsRefused as err:
            raise AmsRefused(
                "No token for the certificate %s: %s Is its name registered for this service (GOCDB)? "
                "A change there may take 4 hours." % (own.certificate, err),
                err.status,
            ) from err
        finally:
            line.close()
        if not isinstance(answer.get("token"), str) or not TOKEN.match(answer["token"]):
            raise AmsUnreachable("AMS at %s answers without a token." % self.host)
        return str(answer["token"])

    def _call(self, method: str, path: str, body: Any, token: str) -> Dict[str, Any]:
        """One request on the kept line; once more on a new one if that had been closed meanwhile."""
        headers = {"x-api-key": token}
        kept = self._line is not None
        line = self._kept_line()
        try:
            return self._talk(line, method, path, body, headers)
        except AmsUnreachable:
            self.close()
            if not kept or asked_to_end():
                raise
        try:
            return self._talk(self._kept_line(), method, path, body, headers)
        except AmsUnreachable:
            self.close()
            raise

    def _kept_line(self) -> http.client.HTTPSConnection:
        if self._line is None:
            self._line = self._connect(self.host, self.port, self._context("", ""))
        return self._line

    def connect(self) -> None:
        """Open the line and get a token, so that trouble with either is told at once."""
        self._kept_line()
        self.token()

    def _context(self, certificate: str, key: str) -> ssl.SSLContext:
        # The service's certificate may be of a grid authority or of a public one.
        return tls_context(
            self.certificates.capath, certificate, key, self.broker.verify_broker, and_public=True
        )

    def _connect(self, host: str, port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        seconds = self.broker.connect_timeout
        proxy = _proxy_for(host)
        where, at = proxy if proxy is not None else (host, port)
        line = http.client.HTTPSConnection(where, at, timeout=seconds, context=context)
        if proxy is not None:
            line.set_tunnel(host, port)

        def end() -> None:
            raise AmsUnreachable("AMS at %s:%d does not answer, and we were asked to end." % (host, port))

        try:
            with cut_short(end):
                line.connect()
            assert line.sock is not None
            line.sock.settimeout(QUIET_SECONDS)
            return line
        except LINE_TROUBLE as err:
            line.close()
            raise AmsUnreachable("Cannot connect to AMS at %s:%d: %s." % (host, port, err)) from err

    def _talk(
        self, line: http.client.HTTPSConnection, method: str, path: str, body: Any, headers: Dict[str, str]
    ) -> Dict[str, Any]:
        data = None if body is None else json.dumps(body).encode("ascii")
        headers = dict(headers, **{"Content-Type": "application/json", "Accept": "application/json"})
        try:
            with _bounded(line):
                line.request(method, path, data, headers)
                response = line.getresponse()
                with contextlib.closing(response):
                    said = response.read(MOST_ANSWER)
        except LINE_TROUBLE as err:
            text = str(err) or type(err).__name__
            raise AmsUnreachable("No answer from AMS at %s: %s." % (self.host, text)) from err
        if response.status != 200:
            raise _refused(response, said, self.host)
        return _read(said, self.host)

    def close(self) -> None:
        """Close the line; the token is kept. Never raises."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.close()


@contextlib.contextmanager
def _bounded(line: http.client.HTTPSConnection) -> Iterator[None]:
    """Cut the line if what is done on it takes too long: time-outs alone hold for each byte anew."""

    def cut() -> None:
        if line.sock is not None:
            with contextlib.suppress(OSError):
                # Below TLS, whose own shutdown is not for two threads at once.
                socket.socket.shutdown(line.sock, socket.SHUT_RDWR)

    timer = threading.Timer(CALL_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        with cut_short(cut):
            yield
    finally:
        timer.cancel()


def _refused(response: http.client.HTTPResponse, said: bytes, host: str) -> AmsRefused:
    try:
        text = str(json.loads(said.decode("utf-8"))["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = response.reason
    err = AmsRefused(
        "AMS at %s refuses: %s (%d)." % (host, " ".join(text.split())[:300], response.status), response.status
    )
    after = response.getheader("Retry-After") or ""
    if re.match("[0-9]{1,9}$", after):
        err.retry_after = float(after)  # type: ignore[attr-defined]
    return err


def _read(said: bytes, host: str) -> Dict[str, Any]:
    try:
        answer = json.loads(said.decode("utf-8")) if said.strip() else {}
    except (ValueError, RecursionError) as err:
        raise AmsUnreachable("AMS at %s answers with what is no JSON: %r." % (host, said[:100])) from err
    if not isinstance(answer, dict):
        raise AmsUnreachable("AMS at %s answers with no object: %r." % (host, said[:100]))
    return answer


def _proxy_for(host: str) -> Optional[Tuple[str, int]]:
    """(host, port) of the proxy that the environment names for HTTPS, or None."""
    named = urllib.request.getproxies().get("https")
    if not named or urllib.request.proxy_bypass(host):
        return None
    parts = urllib.parse.urlsplit(named if "//" in named else "//" + named)
    return (parts.hostname, parts.port or 3128) if parts.hostname else None
