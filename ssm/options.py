"""The options of sender.cfg and receiver.cfg: the incumbent's names and defaults, and ours beside them."""

import logging
import os
import re
from typing import Any, List, Optional, Tuple

from apelcommon.config import LOGGING, REQUIRED, Option, OptionTable
from apelcommon.errors import ConfigError
from ssm.envelope import CIPHERS

log = logging.getLogger(__name__)

STOMP, DIRECTORY, AMS = "STOMP", "DIRECTORY", "AMS"
# IPv6 addresses stand in brackets, as in URLs.
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?$")
DEFAULT_PORTS = {AMS: 443}
PROTOCOLS = (STOMP, DIRECTORY, AMS)


def _protocol(section: str) -> Option:
    return Option(
        section,
        "protocol",
        "choice",
        None,
        "AMS: through the ARGO Messaging Service. STOMP: through a message broker. DIRECTORY: through a "
        "directory that both ends can reach. Without it, STOMP is assumed.",
        choices=PROTOCOLS,
        sample=STOMP,
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

CERTIFICATES = [
    Option(
        "certificates", "certificate", "path", "/etc/grid-security/hostcert.pem", "Our certificate, in PEM."
    ),
    Option(
        "certificates",
        "key",
        "path",
        "/etc/grid-security/hostkey.pem",
        "Its key, in PEM, without a password.",
    ),
    Option(
        "certificates",
        "capath",
        "path",
        "/etc/grid-security/certificates",
        "The directory of the certificate authorities we trust, in files named by hash.",
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

DESTINATION = (
    "The broker's queue, like /queue/global.accounting.cpu.central; with AMS, the topic to publish to or the "
    "subscription to pull from; with DIRECTORY, the directory of the hand-over."
)

OBSOLETE = {
    ("broker", "bdii"): "no longer used; write the broker's host and port. You can remove it.",
    ("broker", "network"): "no longer used; write the broker's host and port. You can remove it.",
}

SENDER = OptionTable(
    "ssmsend",
    [
        _protocol("sender"),
        *BROKER,
        *CERTIFICATES,
        Option(
            "certificates",
            "server_cert",
            "path",
            "",
            "The receiver's certificate, in PEM, to encrypt messages for. Without it they are signed only. "
            "Intermediate authorities may stand behind it.",
            sample="/etc/grid-security/servercert.pem",
        ),
        Option(
            "certificates",
            "verify_server_cert",
            "boolean",
            True,
            "Whether server_cert is checked against capath.",
        ),
        Option(
            "certificates",
            "cipher",
            "choice",
            "aes256",
            "How messages are encrypted for server_cert.",
            choices=CIPHERS,
        ),
        *AMS_OPTIONS,
        Option("messaging", "destination", "text", REQUIRED, DESTINATION, sample="gLite-APEL"),
        Option("messaging", "path", "path", "/var/spool/apel/outgoing", "The queue of messages to send."),
        Option(
            "messaging",
            "path_type",
            "choice",
            "dirq",
            "dirq: a queue with locks. directory: plain files, oldest first.",
            choices=("dirq", "directory"),
        ),
        Option(
            "messaging",
            "max_size",
            "integer",
            0,
            "The most bytes of a signed message; larger ones are split between records. "
            "0: as many as the broker takes.",
        ),
        Option("messaging", "window", "integer", 16, "How many messages may be on the way without receipt."),
        Option(
            "messaging",
            "receipt_timeout",
            "number",
            60.0,
            "Seconds without any receipt after which the rest stays in the queue.",
        ),
        *LOGGING("/var/log/apel/ssmsend.log", True),
    ],
    OBSOLETE,
    "Configuration of ssmsend, which signs the messages in a queue and sends them.",
)

RECEIVER = OptionTable(
    "ssmreceive",
    [
        _protocol("receiver"),
        *BROKER,
        *CERTIFICATES,
        Option(
            "certificates",
            "check_crls",
            "boolean",
            False,
            "Whether revocation lists (<hash>.r0 in capath) are checked, for the whole chain. A missing or "
            "stale list then means rejection.",
        ),
        Option(
            "certificates",
            "allow_proxies",
            "boolean",
            False,
            "Whether messages may be signed with a proxy certificate (RFC 3820); they count as signed by who "
            "made the proxy.",
        ),
        *AMS_OPTIONS,
        Option(
            "messaging",
            "destination",
            "text",
            REQUIRED,
            DESTINATION,
            sample="/queue/global.accounting.cpu.central",
        ),
        Option(
            "messaging",
            "path",
            "path",
            "/var/spool/apel",
            "The base of the queues: accepted messages go to incoming below it, others to reject.",
        ),
        Option(
            "messaging",
            "prefetch",
            "integer",
            10,
            "How many messages the broker may send ahead of our acknowledgement; with AMS, in one pull.",
        ),
        Option(
            "messaging",
            "ack_deadline",
            "integer",
            60,
            "AMS: within how many seconds a pull must be acknowledged, where we may set that; at most 600. "
            "0: leave it as it is.",
        ),
        Option(
            "auth",
            "banned-dns",
            "path",
            "/etc/apel/banned-dns",
            "The names of signers whose messages are refused though they are listed, one a line, as in the "
            "DN file. It need not be there.",
        ),
        Option(
            "auth",
            "banned_kept",
            "integer",
            100,
            "How many of their messages are kept in reject in a day; more of them are dropped, and counted.",
        ),
        *LOGGING("/var/log/apel/ssmreceive.log", False),
        Option(
            "daemon",
            "pidfile",
            "path",
            "/var/run/apel/ssmreceive.pid",
            "Where the process id is written when it runs in the background (--daemon).",
        ),
    ],
    OBSOLETE,
    "Configuration of ssmreceive, which receives messages, verifies them and queues them.",
)


def check_sender(settings: Any) -> None:
    """Check what a table can't say about sender.cfg. Raises ConfigError with every problem."""
    problems = _transport_problems(settings, settings.sender)
    own = settings.certificates
    if own.server_cert and os.path.realpath(own.server_cert) == os.path.realpath(own.certificate):
        problems.append(
            "[certificates] server_cert is our own certificate; it must be the receiver's, or nobody "
            "else could read the messages"
        )
    if settings.messaging.window < 1:
        problems.append("[messaging] window must be 1 or more")
    if settings.messaging.max_size < 0:
        problems.append("[messaging] max_size must be 0 or more")
    if settings.messaging.receipt_timeout <= 0:
        problems.append("[messaging] receipt_timeout must be more than 0")
    _refuse(settings, problems)


def check_receiver(settings: Any) -> None:
    """Check what a table can't say about receiver.cfg. Raises ConfigError with every problem."""
    problems = _transport_problems(settings, settings.receiver)
    if settings.messaging.prefetch < 1:
        problems.append("[messaging] prefetch must be 1 or more")
    if settings.auth.banned_kept < 0:
        problems.append("[auth] banned_kept must be 0 or more")
    if not 0 <= settings.messaging.ack_deadline <= 600:
        problems.append("[messaging] ack_deadline must be from 0 to 600")
    _refuse(settings, problems)


def _transport_problems(settings: Any, section: Any) -> List[str]:
    if section.protocol is None:
        section.protocol = STOMP
        log.warning("%s: no protocol is given; STOMP is assumed.", settings.path)
    problems = []
    if section.protocol in (AMS, STOMP):
        problems += _broker_problems(settings.broker, DEFAULT_PORTS.get(section.protocol))
    if section.protocol == AMS and not settings.messaging.ams_project:
        problems.append("[messaging] ams_project is empty")
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


def _refuse(settings: Any, problems: List[str]) -> None:
    if problems:
        raise ConfigError(["%s: %s" % (settings.path, problem) for problem in problems])
