"""The socket under stomp.py, opened and used our way.

stomp.py's own transport differs by version in whether it checks the broker, hangs in TLS shutdown on a
dead line, reads and writes one TLS object from two threads at once, and never times a send out. So only
its frames and heart-beats are used; connecting, reading and writing are here.
"""

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from typing import Any, Optional, Tuple

import stomp

from ssm.errors import TransportError

log = logging.getLogger(__name__)

CHUNK = 65536
SEND_SECONDS = 60.0
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)
KEEP_ALIVE = {
    socket.TCP_KEEPIDLE: 20,
    socket.TCP_KEEPINTVL: 10,
    socket.TCP_KEEPCNT: 4,
    TCP_USER_TIMEOUT: 60000,
}
WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


class Wire(stomp.transport.Transport):
    """A stomp.py transport on a socket to one address, through TLS if a context is given."""

    def __init__(
        self, address: Tuple[str, int], context: Optional[ssl.SSLContext], timeout: float, vhost: str = ""
    ) -> None:
        # No host header unless wanted: RabbitMQ would take our name for it for a virtual host it lacks.
        super().__init__(
            [address],
            prefer_localhost=False,
            try_loopback_connect=False,
            auto_decode=False,
            vhost=vhost or None,
        )
        self._address = address
        self._context = context
        self._seconds = timeout
        self._frame = threading.Lock()  # one frame after the other on the line
        self._object = threading.Lock()  # one thread at a time in the TLS object

    def attempt_connection(self) -> None:
        """Open the socket. Raises TransportError with the reason."""
        self.connection_error = False
        self.socket = self._open()
        self.current_host_and_port = self._address

    def _open(self) -> Any:
        where = "%s:%d" % self._address
        try:
            plain = socket.create_connection(self._address, self._seconds)
        except OSError as err:
            raise TransportError("Cannot connect to the broker %s: %s." % (where, err)) from err
        try:
            _notice_dead_lines(plain)
            line = plain
            if self._context is not None:
                line = self._context.wrap_socket(plain, server_hostname=self._address[0])
            line.setblocking(False)
            return line
        except (OSError, ValueError) as err:  # ssl.CertificateError is a ValueError in Python 3.6
            plain.close()
            raise TransportError("No secure connection to the broker %s: %s." % (where, err)) from err

    def receive(self) -> bytes:
        """Some bytes from the broker, waiting for them; empty when the connection has ended."""
        while True:
            line = self.socket
            if line is None:
                return b""
            with contextlib.suppress(*WANTS), self._object:
                data = bytes(line.recv(CHUNK))
                break
            _wait(line, for_reading=True, seconds=1.0)
        if data:
            # A part of a large message is a sign of life as well.
            self.notify("heartbeat")
        return data

    def send(self, encoded_frame: bytes) -> None:
        """Send a whole frame. Raises OSError if the broker takes nothing of it for a minute."""
        with self._frame:
            rest = memoryview(encoded_frame)
            deadline = time.monotonic() + SEND_SECONDS
            while rest:
                line = self.socket
                if line is None:
                    raise ConnectionError("not connected")
                with contextlib.suppress(*WANTS), self._object:
                    rest = rest[line.send(rest[:CHUNK]) :]
                    deadline = time.monotonic() + SEND_SECONDS
                    continue
                if time.monotonic() > deadline:
                    raise socket.timeout("the broker takes nothing")
                _wait(line, for_reading=False, seconds=1.0)

    def disconnect_socket(self) -> None:
        """Cut the line at once; the TLS farewell could wait for ever on a dead one."""
        self.running = False
        self.cleanup()
        self.notify("disconnected")

    def cleanup(self) -> None:
        """Close the socket, which also wakes the thread that waits on it."""
        line, self.socket = self.socket, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                line.close()


def _notice_dead_lines(plain: socket.socket) -> None:
    """Have the kernel give a line up after a minute without answer, even where there are no heart-beats."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        plain.setsockopt(socket.IPPROTO_TCP, name, value)


def _wait(line: Any, for_reading: bool, seconds: float) -> None:
    # A line closed meanwhile by another thread: the caller's next turn sees it.
    with contextlib.suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(line.fileno(), select.POLLIN if for_reading else select.POLLOUT)
        poll.poll(int(seconds * 1000))


def tls_context(
    capath: str, certificate: str, key: str, verify: bool, and_public: bool = False
) -> ssl.SSLContext:
    """TLS as a client with our certificate (if any), that trusts the CA directory only.

    With `and_public`, the authorities that the system trusts are trusted as well. Raises TransportError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        log.warning("The broker's certificate is NOT checked ([broker] verify_broker is off).")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        context.load_verify_locations(capath=capath)
        if and_public:
            context.load_default_certs()
        if certificate:
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as err:
        raise TransportError("TLS with %s, %s and %s: %s." % (capath, certificate, key, err)) from err
    return context
