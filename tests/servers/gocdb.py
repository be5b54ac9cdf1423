"""A local GOCDB: the part of its public interface that apelauth asks, over HTTP or HTTPS."""

import http.server
import ssl
import threading
import urllib.parse
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from xml.sax.saxutils import escape

ENDPOINT = """  <SERVICE_ENDPOINT PRIMARY_KEY="%(key)s">
    <PRIMARY_KEY>%(key)s</PRIMARY_KEY>
    <HOSTNAME>%(host)s</HOSTNAME>
    <GOCDB_PORTAL_URL>https://goc.example.org/portal/index.php?Page_Type=Service&amp;id=%(key)s</GOCDB_PORTAL_URL>
    <HOSTDN>%(dn)s</HOSTDN>
    <BETA>N</BETA>
    <SERVICE_TYPE>%(type)s</SERVICE_TYPE>
    <IN_PRODUCTION>Y</IN_PRODUCTION>
    <NODE_MONITORED>Y</NODE_MONITORED>
    <SITENAME>%(site)s</SITENAME>
    <ENDPOINTS/>
    <SCOPES><SCOPE>EGI</SCOPE></SCOPES>
    <EXTENSIONS/>
  </SERVICE_ENDPOINT>
"""


class Service(NamedTuple):
    """A service endpoint that GOCDB knows."""

    site: str
    dn: str
    type: str = "gLite-APEL"


class Gocdb:
    """The server: `services` it knows, `per_page` of them a page; `url` asks for them.

    `certificate`: (certificate file, key file) for HTTPS. `answers` maps the number of a page, from 0, to
    what is answered in its place: (status, body).
    """

    def __init__(self, certificate: Optional[Tuple[str, str]] = None, per_page: int = 100) -> None:
        self.services: List[Service] = []
        self.per_page = per_page
        self.answers: Dict[int, Tuple[int, bytes]] = {}
        self.asked: List[str] = []
        gocdb = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - the library's name
                gocdb._answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.base = "%s://localhost:%d" % (scheme, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What `gocdb_url` has for it."""
        return self.base + "/gocdbpi/public/?method=get_service_endpoint&service_type=gLite-APEL"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        page = int(query.get("next_cursor", ["0"])[0])
        status, body = self.answers.get(page) or (200, self._page(query, page).encode("utf-8"))
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _page(self, query: Dict[str, List[str]], page: int) -> str:
        kind = query.get("service_type", [""])[0]
        services = [service for service in self.services if kind in ("", service.type)]
        first = page * self.per_page
        links = '<link rel="self" href="%s"/>' % escape(self.url)
        if first + self.per_page < len(services):
            following = urllib.parse.urlencode({"service_type": kind, "next_cursor": page + 1})
            href = "%s/gocdbpi/public/?method=get_service_endpoint&%s" % (self.base, following)
            links += '<link rel="next" href="%s"/>' % escape(href)
        texts = [
            ENDPOINT
            % {
                "key": "%dG0" % number,
                "host": "host%d.example.org" % number,
                "dn": escape(service.dn),
                "type": service.type,
                "site": service.site,
            }
            for number, service in enumerate(services[first : first + self.per_page])
        ]
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<results>\n  <meta>%s</meta>\n' % links
        return head + "".join(texts) + "</results>\n"
