"""A TCP line that a test can spoil: a proxy that cuts, delays, freezes and half-closes its connections."""

import contextlib
import socket
import struct
import threading
import time
from typing import List, Tuple

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST


class Proxy:
    """Listens on `port` of the loopback interface and forwards each connection to `target`.

    `delay` is how many seconds each piece of data lies on the way. freeze() keeps all data back and
    acknowledges it, as a router does that has lost its way: neither end hears of it (half-open).
    """

    host = "localhost"

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._pairs: List[Tuple[socket.socket, socket.socket]] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(20)
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(CHUNK)
                if self.delay:
                    time.sleep(self.delay)
                self._flows.wait()
                if not data:
                    break
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Reset every connection."""
        for near, far in self._take():
            for end in (near, far):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                # shutdown() wakes the thread that reads; close() alone would not.
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RD)
                end.close()

    def half_close(self) -> None:
        """End what goes from the server to the client; the other way stays open, and nobody listens there."""
        with self._lock:
            pairs = list(self._pairs)
        for near, _ in pairs:
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_WR)

    def freeze(self) -> None:
        """Take whatever is sent, and hand nothing on, until thaw()."""
        self._flows.clear()

    def thaw(self) -> None:
        """Hand on what was kept back, and what comes."""
        self._flows.set()

    def _take(self) -> List[Tuple[socket.socket, socket.socket]]:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        return pairs

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.thaw()
        self.cut()
