"""Shows the built pages on the loopback interface, for a look at them; a web server serves them for good."""

import functools
import http.server
import logging
import os
import socketserver
from typing import Any

log = logging.getLogger(__name__)

#: Nothing is loaded from elsewhere, and no script or style stands in a page itself.
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below a folder, with the headers that docs/pubsync.md recommends."""

    def __init__(self, folder: str, *args: Any) -> None:
        self._folder = folder
        super().__init__(*args)

    def translate_path(self, path: str) -> str:
        """Where the file of a URL is. Python 3.6 can give only what it would be in the working directory."""
        base = getattr(self, "directory", None) or os.getcwd()
        return os.path.join(self._folder, super().translate_path(path)[len(base) :].lstrip("/"))

    def end_headers(self) -> None:
        """Add our headers."""
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """No listings: a folder without a page is not found."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """To our log."""
        log.debug(format, *args)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server of the pages below `folder`; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, folder: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), functools.partial(Handler, folder))

    @property
    def url(self) -> str:
        """Where the overview is."""
        return "http://127.0.0.1:%d/publishing/" % self.server_address[1]
