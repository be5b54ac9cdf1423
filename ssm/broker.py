"""How a broker (or AMS) is found and spoken to: the options that sender and receiver share."""

import logging
import re
from typing import Any, List, Optional, Tuple

from apelcommon.options import Option, Shipped

log = logging.getLogger(__name__)

STOMP, DIRECTORY, AMS = "STOMP", "DIRECTORY", "AMS"
# IPv6 addresses stand in brackets, as in URLs.
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?$")
# What a header can hold: of another, the library that refuses it would say all of it, in the log.
TOKEN = re.compile(r"[!-~]+\Z")
DEFAULT_PORTS = {AMS: 443}
#: Of brokers alone. SSM 4 looks at no port with AMS, so files that once were for a broker may still name one.
STOMP_PORTS = (61612, 61613, 61614, 6162, 6163)
PROTOCOLS = (STOMP, DIRECTORY, AMS)


def protocol_option(section: str) -> Option:
    """The option `protocol` of a section."""
    return Option(
        section,
        "protocol",
        "choice",
        None,
        "AMS: through the ARGO Messaging Service. STOMP: through a message broker. DIRECTORY: through a "
        "directory that both ends can reach. Without it, STOMP is assumed.",
        choices=PROTOCOLS,
        sample=Shipped(AMS),
    )


BROKER = [
    Option(
        "broker",
        "host",
        "text",
        "",
        "The broker's host name; its certificate must bear it. Several, host or host:port, between commas: "
        "they are tried in this order.",
        sample="broker.example.org",
    ),
    Option(
        "broker",
        "port",
        "integer",
        None,
        "The port on which the broker speaks STOMP, for hosts without. AMS: 443 unless given.",
        sample="61614",
    ),
    Option(
        "broker",
        "authn_port",
        "integer",
        8443,
        "The port on which AMS gives tokens for certificates.",
    ),
    Option(
        "broker",
        "stomp_version",
        "choice",
        "1.1",
        "The version of STOMP to speak, 1.1 or 1.2.",
        choices=("1.1", "1.2"),
    ),
    Option(
        "broker",
        "vhost",
        "text",
        "",
        "The virtual host to ask for; RabbitMQ's is /. Empty: none with STOMP 1.1, the host's name with 1.2.",
    ),
    Option(
        "broker",
        "use_ssl",
        "boolean",
        True,
        "Whether the connection is encrypted (TLS), with our certificate. With AMS it always is.",
    ),
    Option(
        "broker",
        "verify_broker",
        "boolean",
        True,
        "Whether the broker's certificate is checked against capath and host. "
        "Leave it on: without, anybody on the way can be the broker.",
    ),
    Option("broker", "connect_timeout", "number", 10.0, "Seconds until a silent broker is given up."),
    Option(
        "broker",
        "heart_beat",
        "number",
        20.0,
        "Seconds between signs of life, both ways; a connection without is dropped after half as much "
        "again. 0: none.",
    ),
]

AMS_OPTIONS = [
    Option(
        "messaging",
        "ams_project",
        "text",
        "accounting",
        "The project in AMS. Not used by STOMP and DIRECTORY.",
    ),
    Option(
        "messaging",
        "token",
        "text",
        "",
        "The token to call AMS with. Empty: one is got for our certificate. Not used by STOMP and DIRECTORY.",
        sample="",
    ),
]


def transport_problems(settings: Any, section: Any) -> List[str]:
    """What is wrong with the way that `section` (sender or receiver) names, one sentence each."""
    if section.protocol is None:
        section.protocol = STOMP
        log.warning("%s: no protocol is given; STOMP is assumed.", settings.path)
    if section.protocol == AMS and settings.broker.port in STOMP_PORTS:
        text = "%s: [broker] port %d is one of STOMP, not of AMS: %d is taken."
        log.warning(text, settings.path, settings.broker.port, DEFAULT_PORTS[AMS])
        settings.broker.port = None
    problems = []
    if section.protocol in (AMS, STOMP):
        problems += _broker_problems(settings.broker, DEFAULT_PORTS.get(section.protocol))
    if section.protocol == AMS and not settings.messaging.ams_project:
        problems.append("[messaging] ams_project is empty")
    if section.protocol == AMS and settings.messaging.token and not TOKEN.match(settings.messaging.token):
        problems.append("[messaging] token holds a blank, a line end or what else is in no token")
    if not settings.messaging.destination:
        problems.append("[messaging] destination is empty")
    return problems


def _broker_problems(broker: Any, default_port: Optional[int]) -> List[str]:
    try:
        if broker_addresses(broker, default_port):
            return []
    except ValueError as err:
        return ["[broker] %s" % err]
    no_port = broker.port is None and default_port is None
    return ["[broker] host is missing"] + (["[broker] port is missing"] if no_port else [])


def broker_addresses(broker: Any, default: Optional[int] = None) -> List[Tuple[str, int]]:
    """(host, port) of each broker in the section [broker]. Raises ValueError with words for the admin."""
    hosts = [host.strip() for host in broker.host.split(",") if host.strip()]
    return [_address(host, default if broker.port is None else broker.port) for host in hosts]


def _address(text: str, default: Optional[int]) -> Tuple[str, int]:
    match = ADDRESS.match(text)
    if match is None:
        raise ValueError("host: %r is neither a host nor host:port" % text)
    port = int(match.group(2)) if match.group(2) else default
    if port is None:
        raise ValueError("port is missing")
    if not 0 < port < 65536:
        raise ValueError("there is no port %d" % port)
    return match.group(1).strip("[]"), port
