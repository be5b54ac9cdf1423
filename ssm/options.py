"""The options of sender.cfg and receiver.cfg: the incumbent's names and defaults, and ours beside them."""

import os
from typing import Any, List

from apelcommon.config import LOGGING, REQUIRED, Option, OptionTable
from apelcommon.errors import ConfigError
from apelcommon.metrics import METRICS
from ssm.broker import AMS_OPTIONS, BROKER, protocol_option, transport_problems
from ssm.envelope import CIPHERS

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
        protocol_option("sender"),
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
        *METRICS,
        Option(
            "daemon",
            "interval",
            "number",
            60.0,
            "Seconds between two looks into the queue, with --daemon.",
        ),
    ],
    OBSOLETE,
    "Configuration of ssmsend, which signs the messages in a queue and sends them.",
)

RECEIVER = OptionTable(
    "ssmreceive",
    [
        protocol_option("receiver"),
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
        Option("messaging", "destination", "text", REQUIRED, DESTINATION),
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
        Option(
            "reject",
            "max_mb",
            "integer",
            2000,
            "How many MB the reject queue may hold; beyond it, messages are removed, and counted: first "
            "those that did not verify, then the oldest. 0: no limit.",
        ),
        Option(
            "reject",
            "max_days",
            "integer",
            0,
            "After how many days a rejected message is removed, and counted. 0: never.",
        ),
        *LOGGING("/var/log/apel/ssmreceive.log", False),
        *METRICS,
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
    problems = transport_problems(settings, settings.sender)
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
    if settings.daemon.interval < 1:
        problems.append("[daemon] interval must be 1 or more")
    _refuse(settings, problems)


def check_receiver(settings: Any) -> None:
    """Check what a table can't say about receiver.cfg. Raises ConfigError with every problem."""
    problems = transport_problems(settings, settings.receiver)
    if settings.messaging.prefetch < 1:
        problems.append("[messaging] prefetch must be 1 or more")
    if settings.auth.banned_kept < 0:
        problems.append("[auth] banned_kept must be 0 or more")
    if not 0 <= settings.messaging.ack_deadline <= 600:
        problems.append("[messaging] ack_deadline must be from 0 to 600")
    if min(settings.reject.max_mb, settings.reject.max_days) < 0:
        problems.append("[reject] max_mb and max_days must be 0 or more")
    _refuse(settings, problems)


def _refuse(settings: Any, problems: List[str]) -> None:
    if problems:
        raise ConfigError(["%s: %s" % (settings.path, problem) for problem in problems])
