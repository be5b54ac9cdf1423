"""An HTTPS server that speaks the ARGO Messaging Service's REST API, with its errors and its bad days.

What it does is documented (https://argoeu.github.io/argo-messaging/docs): tokens for certificates on a port
of its own; publish, pull, acknowledge, modifyAckDeadline; errors as JSON objects. A subscription is an offset
into its topic: a pull gives the messages after it and gives them again until they are acknowledged; an
acknowledgement is of a message and all before it, counts once, and only within the deadline.
"""

import base64
import contextlib
import http.server
import json
import re
import socket
import socketserver
import ssl
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

from servers.pki import PKI
from servers.process import free_port

POLL_SECONDS = 0.3
AUTHN = re.compile(r"/v1/service-types/ams/hosts/([^/:]+):authx509$")
CALL = re.compile(r"/v1/projects/([^/]+)/(topics|subscriptions)/([^/:]+)(?::([A-Za-z]+))?$")


class Refusal(Exception):
    """An error of the API."""

    def __init__(
        self, code: int, message: str, status: str, headers: Optional[Dict[str, str]] = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.answer = {"error": {"code": code, "message": message, "status": status}}
        self.headers = headers or {}


class Fault(NamedTuple):
    """What one of the next calls of a kind ("publish", "pull", "acknowledge", "token", …) meets.

    Waits `seconds`; then answers with `code` (0: as usual), or says `raw` in place of an answer (nothing:
    hangs up): without having done what was asked, or `after` it.
    """

    call: str
    code: int = 0
    seconds: float = 0.0
    after: bool = False
    raw: Optional[bytes] = None
    headers: Optional[Dict[str, str]] = None


class Subscription:
    """A position in a topic, and the pull that waits for its acknowledgement."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.offset = 0
        self.deadline = 10
        self.pending: Optional[Tuple[int, float]] = None  # the offset after the last given, and until when


class AmsServer:
    """The service: `host`, `port`, `authn_port`, project `accounting`, topic and subscription names as made.

    `tokens` are those that are valid; a certificate gets one if allow() knows its CN. stop() and start() are
    a restart: connections break, what was published stays.
    """

    host = "localhost"
    project = "accounting"

    def __init__(self, pki: PKI, most: int = 1048576) -> None:
        self.pki = pki
        self.most = most
        self.certificate, self.key = pki.issue(self.host, uses=("server",))
        self.port, self.authn_port = free_port(), free_port()
        self.lock = threading.Condition()
        self.topics: Dict[str, List[Dict[str, Any]]] = {}
        self.subscriptions: Dict[str, Subscription] = {}
        self.names: Dict[str, str] = {}
        self.tokens = {"secret"}
        self.may_modify = True
        self.faults: Deque[Fault] = deque()
        self.calls: List[Tuple[str, int]] = []  # (kind, status) in order
        self.largest = 0  # bytes of a request
        self._servers: List["_HttpServer"] = []

    def make(self, topic: str) -> None:
        """A topic, and a subscription of the same name."""
        with self.lock:
            self.topics[topic] = []
            self.subscriptions[topic] = Subscription(topic)

    def allow(self, cn: str) -> None:
        """Give tokens to whoever has a certificate with this CN."""
        self.names[cn] = "token-of-" + cn

    def expire_tokens(self) -> None:
        """From now on, the tokens that were given for certificates are not valid; new ones are given."""
        self.tokens = {"secret"}
        self.names = {cn: token + "'" for cn, token in self.names.items()}

    def start(self) -> None:
        """Listen, and serve in threads."""
        self._servers = [
            _HttpServer(self, self.port, self._context(False)),
            _HttpServer(self, self.authn_port, self._context(True)),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _context(self, with_certificates: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if with_certificates:
            context.load_verify_locations(capath=self.pki.ca_dir)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def stop(self) -> None:
        """Stop listening and break all connections."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.shutdown()
            server.break_all()
            server.server_close()

    close = stop

    def fault(self, call: str, times: int = 1, **what: Any) -> None:
        """Have the next `times` calls of that kind meet a Fault."""
        with self.lock:
            self.faults.extend([Fault(call, **what)] * times)

    def take_fault(self, call: str) -> Optional[Fault]:
        """The fault that a call meets, if any."""
        with self.lock:
            for fault in self.faults:
                if fault.call == call:
                    self.faults.remove(fault)
                    return fault
        return None

    def published(self, topic: str) -> List[bytes]:
        """The bodies of all messages in a topic."""
        with self.lock:
            return [base64.b64decode(message["data"]) for message in self.topics[topic]]

    def put(self, topic: str, body: bytes, attributes: Any = None) -> None:
        """Put a message into a topic as another publisher would."""
        with self.lock:
            data = base64.b64encode(body).decode("ascii")
            self._append(topic, {"attributes": attributes if attributes is not None else {}, "data": data})

    def _append(self, topic: str, message: Dict[str, Any]) -> str:
        row = self.topics[topic]
        number = str(len(row))
        row.append({**message, "messageId": number, "publishTime": time.strftime("%Y-%m-%dT%H:%M:%SZ")})
        self.lock.notify_all()
        return number

    # ---------------------------------------------------------------- calls

    def token(self, cn: str) -> Dict[str, Any]:
        """A token for a certificate."""
        if cn not in self.names:
            raise Refusal(404, "Binding was not found", "NOT_FOUND")
        with self.lock:
            self.tokens.add(self.names[cn])
            return {"token": self.names[cn]}

    def publish(self, topic: str, body: Any) -> Dict[str, Any]:
        """Put messages at the end of a topic."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refusal(400, "Invalid Message Arguments", "INVALID_ARGUMENT")
        for message in messages:
            base64.b64decode(message["data"], validate=True)
        with self.lock:
            return {"messageIds": [self._append(topic, message) for message in messages]}

    def pull(self, name: str, body: Any) -> Dict[str, Any]:
        """The messages after the subscription's offset."""
        most, at_once = body.get("maxMessages", "1"), body.get("returnImmediately", "true")
        if not isinstance(most, str) or not most.isdigit() or at_once not in ("true", "false"):
            raise Refusal(400, "Invalid pull parameters", "INVALID_ARGUMENT")
        with self.lock:
            subscription = self.subscriptions[name]
            row = self.topics[subscription.topic]
            if at_once == "false":
                self.lock.wait_for(lambda: len(row) > subscription.offset, POLL_SECONDS)
            end = min(len(row), subscription.offset + int(most))
            if end > subscription.offset:
                subscription.pending = (end, time.monotonic() + subscription.deadline)
            return {
                "receivedMessages": [
                    {"ackId": self._ack_id(name, number), "message": row[number]}
                    for number in range(subscription.offset, end)
                ]
            }

    def _ack_id(self, name: str, number: int) -> str:
        return "projects/%s/subscriptions/%s:%d" % (self.project, name, number)

    def acknowledge(self, name: str, body: Any) -> Dict[str, Any]:
        """Move the offset behind the last of the messages."""
        prefix = self._ack_id(name, 0)[:-1]
        ids = body.get("ackIds")
        if not ids or not all(one.startswith(prefix) and one[len(prefix) :].isdigit() for one in ids):
            raise Refusal(400, "Invalid ack id", "INVALID_ARGUMENT")
        last = max(int(one[len(prefix) :]) for one in ids)
        with self.lock:
            subscription = self.subscriptions[name]
            pending, subscription.pending = subscription.pending, None
            if (
                pending is None
                or time.monotonic() > pending[1]
                or not subscription.offset <= last < pending[0]
            ):
                raise Refusal(408, "ack timeout", "TIMEOUT")
            subscription.offset = last + 1
        return {}

    def modifyAckDeadline(self, name: str, body: Any) -> Dict[str, Any]:  # noqa: N802 - the API's name
        """Set the subscription's deadline."""
        seconds = body.get("ackDeadlineSeconds")
        if not self.may_modify:
            raise Refusal(403, "Access to this resource is forbidden", "FORBIDDEN")
        if not isinstance(seconds, int) or not 0 <= seconds <= 600:
            raise Refusal(400, "Invalid ackDeadlineSeconds", "INVALID_ARGUMENT")
        self.subscriptions[name].deadline = seconds
        return {}

    def show(self, name: str) -> Dict[str, Any]:
        """What a subscription is."""
        subscription = self.subscriptions[name]
        return {
            "name": "projects/%s/subscriptions/%s" % (self.project, name),
            "topic": "projects/%s/topics/%s" % (self.project, subscription.topic),
            "pushConfig": {},
            "ackDeadlineSeconds": subscription.deadline,
        }


class _HttpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One port."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 50

    def __init__(self, service: AmsServer, port: int, context: ssl.SSLContext) -> None:
        self.service = service
        self.context = context
        self.open: List[socket.socket] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # Without the look-up of our own name, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in its own thread."""
        request.settimeout(30)
        with self.context.wrap_socket(request, server_side=True) as line:
            self.open.append(line)
            self.RequestHandlerClass(line, client_address, self)

    def break_all(self) -> None:
        for connection in self.open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up or show no certificate are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        self._serve("")

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _serve(self, data: Any) -> None:
        kind, work = self._find(data)
        service = self.server.service
        fault = service.take_fault(kind) or Fault(kind)
        calls = service.calls  # whoever began another list meanwhile does not want this call in it
        time.sleep(fault.seconds)
        try:
            answer, code, headers = {}, 200, {}
            if fault.after or not (fault.code or fault.raw is not None):
                answer = work()
            if fault.code:
                raise Refusal(fault.code, "Something bad happened", "INTERNAL", fault.headers)
        except Refusal as err:
            answer, code, headers = err.answer, err.code, err.headers
        calls.append((kind, code))
        self._say(answer, code, headers, fault.raw)

    def _say(self, answer: Any, code: int, headers: Dict[str, str], raw: Optional[bytes]) -> None:
        if raw is not None:
            self.close_connection = True
            self.wfile.write(raw)
            return
        text = json.dumps(answer).encode("ascii")
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _find(self, data: Any) -> Tuple[str, Callable[[], Dict[str, Any]]]:
        """(kind of the call, what does it)."""
        authn, call = AUTHN.match(self.path), CALL.match(self.path)
        if authn and self.server.server_address[1] == self.server.service.authn_port:
            return "token", lambda: self.server.service.token(self._cn())
        if call is None:
            return "unknown", self._unknown
        kind = call.group(4) or "show"
        return kind, lambda: self._work(kind, call.group(1), call.group(3), data)

    def _unknown(self) -> Dict[str, Any]:
        raise Refusal(404, "Not found", "NOT_FOUND")

    def _cn(self) -> str:
        subject = dict(pair for rdn in self.request.getpeercert()["subject"] for pair in rdn)
        return str(subject.get("commonName", ""))

    def _work(self, kind: str, project: str, name: str, data: Any) -> Dict[str, Any]:
        service = self.server.service
        if self.headers.get("x-api-key") not in service.tokens:
            raise Refusal(401, "Unauthorized", "UNAUTHORIZED")
        known = service.topics if kind == "publish" else service.subscriptions
        if project != service.project or name not in known:
            raise Refusal(
                404, "%s doesn't exist" % ("Topic" if kind == "publish" else "Subscription"), "NOT_FOUND"
            )
        if kind == "show":
            return service.show(name)
        service.largest = max(service.largest, len(data))
        if len(data) > service.most:
            raise Refusal(413, "Message size too large", "INVALID_ARGUMENT")
        try:
            body = json.loads(data.decode("utf-8"))
        except ValueError:
            raise Refusal(400, "Invalid arguments", "INVALID_ARGUMENT") from None
        answer: Dict[str, Any] = getattr(service, kind)(name, body)
        return answer
