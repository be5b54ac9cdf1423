"""The options of apelauth: what /etc/apel/auth.cfg may say."""

import urllib.parse
from typing import Iterator, List, Sequence

from apelcommon.config import LOGGING, Option, OptionTable, Settings
from apelcommon.metrics import METRICS
from apelcommon.options import Shipped

SITE_MAP = "/etc/apel/dn-sites"

AUTH: List[Option] = [
    Option(
        "auth",
        "gocdb_url",
        "words",
        [],
        "Where GOCDB is asked for service endpoints: one or more addresses, with commas between them. Not "
        "given: GOCDB is not asked, and only extra-dns counts.",
        sample=Shipped(
            "https://goc.egi.eu/gocdbpi/public/?method=get_service_endpoint&service_type=gLite-APEL"
        ),
    ),
    Option(
        "auth",
        "service_types",
        "words",
        [],
        "Each address is asked for each of these service types, in the place of the one it names. Not given: "
        "the addresses are taken as they stand.",
        sample="gLite-APEL, eu.egi.cloud.accounting, eu.egi.storage.accounting",
    ),
    Option(
        "auth",
        "extra-dns",
        "path",
        "/etc/apel/extra-dns",
        "A file of names that may send as well, one a line.",
    ),
    Option(
        "auth",
        "banned-dns",
        "path",
        "/etc/apel/banned-dns",
        "A file of names that may not send, whatever GOCDB says, one a line.",
    ),
    Option(
        "auth", "allowed-dns", "path", "/etc/apel/dns", "Where the list of names goes: ssmreceive reads it."
    ),
    Option(
        "auth",
        "dn-sites",
        "path",
        SITE_MAP,
        "Where the map goes that says which name may send records of which site: apeldbloader reads it. "
        "Empty: nowhere.",
    ),
    Option(
        "auth",
        "extra-dn-sites",
        "path",
        "/etc/apel/extra-dn-sites",
        "A file of lines `SITE /DN` that are put into this map as well; a site of * means any. For names of "
        "extra-dns, whose sites GOCDB does not know.",
    ),
    Option(
        "auth",
        "proxy",
        "text",
        "",
        "A web proxy that is asked when GOCDB can't be reached directly. Empty: none.",
        sample="http://wwwcache.example.org:8080",
    ),
    Option(
        "auth",
        "expire_hours",
        "number",
        2,
        "When GOCDB can't be asked, the last good list stays in force. Once it is older than so many hours, "
        "that is an error in the log, not a warning.",
    ),
    Option(
        "auth",
        "ca",
        "path",
        "",
        "A file, or a directory with hashed names, of the certificate authorities that GOCDB's server "
        "certificate must come from, beside the system's own. Empty: only those.",
    ),
    Option("auth", "timeout", "number", 60, "Seconds in which GOCDB must have sent a page."),
    *METRICS,
    *LOGGING("/var/log/apel/auth.log"),
]


def _problems(settings: Settings) -> Iterator[str]:
    for url in settings.auth.gocdb_url or ():
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            yield "[auth] gocdb_url: %s is no address that begins with https:// or http://" % url
    if not (settings.auth.timeout is None or settings.auth.timeout > 0):
        yield "[auth] timeout must be more than 0"


TABLE = OptionTable(
    "apelauth",
    AUTH,
    introduction="Configuration of apelauth, which makes the list of those who may send.",
    check=_problems,
)


def addresses(urls: Sequence[str], service_types: Sequence[str]) -> List[str]:
    """Each address for each service type; without types, the addresses as they stand."""
    return [_asking_for(url, kind) for url in urls for kind in service_types] if service_types else list(urls)


def _asking_for(url: str, service_type: str) -> str:
    parts = urllib.parse.urlsplit(url)
    words = [pair for pair in urllib.parse.parse_qsl(parts.query, True) if pair[0] != "service_type"]
    query = urllib.parse.urlencode([*words, ("service_type", service_type)])
    return urllib.parse.urlunsplit(parts._replace(query=query))
