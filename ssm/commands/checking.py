"""What --check-config of ssmsend and ssmreceive tries: certificates, lists, spools, the way to the broker."""

import os
from typing import Any, List

from apelcommon.checks import (
    FAILED,
    FEWEST_DAYS,
    OK,
    WARNING,
    Check,
    as_lines,
    attempt,
    exit_status,
    figures,
    log,
    obsolete,
    secrets,
    writable,
)
from apelcommon.errors import ConfigError
from ssm.broker import DIRECTORY
from ssm.credentials import days_left, load_credentials
from ssm.dnlist import DnList
from ssm.receiver import load_banned, load_keys
from ssm.sender import load_encryptor
from ssm.transport import open_transport


def refuse_connect_alone(args: Any) -> None:
    """--connect says how to check, not what to do. Raises ConfigError."""
    if args.connect and not args.check_config:
        raise ConfigError("--connect goes with --check-config only.")


def say(settings: Any, found: List[Check]) -> int:
    """Print what was found; the exit status."""
    print("Read without errors: %s" % settings.path)
    print("\n".join(as_lines([*found, *secrets(settings), *obsolete(settings)])))
    return exit_status(found)


def sender_checks(settings: Any, connect: bool) -> List[Check]:
    """All that ssmsend needs."""
    own = settings.certificates
    found = [_certificate(own), _authorities(own.capath)]
    if own.server_cert:
        found.append(attempt("server_cert", lambda: _encrypting(own)))
    found.append(writable("spool", settings.messaging.path))
    return [*found, *log(settings), *figures(settings), *_way(settings, settings.sender.protocol, connect)]


def receiver_checks(settings: Any, dn_file: str, connect: bool) -> List[Check]:
    """All that ssmreceive needs."""
    own = settings.certificates
    found = [attempt("keys", lambda: _keys(settings))]
    if settings.receiver.protocol != DIRECTORY:
        found.append(_certificate(own))
    found += [
        _authorities(own.capath),
        attempt("DN list", lambda: "%s has %d DNs" % (dn_file, len(DnList(dn_file)))),
        attempt("banned DNs", lambda: "%d" % len(load_banned(settings).names)),
        writable("spool", settings.messaging.path),
    ]
    return [*found, *log(settings), *figures(settings), *_way(settings, settings.receiver.protocol, connect)]


def _certificate(own: Any) -> Check:
    def load() -> str:
        return load_credentials(own.certificate, own.key).name

    check = attempt("certificate", load)
    if check.outcome == FAILED:
        return check
    left = days_left(own.certificate)
    text = "%s, %d days left" % (check.text, left)
    return Check(WARNING if left < FEWEST_DAYS else OK, "certificate", text)


def _keys(settings: Any) -> str:
    load_keys(settings)
    return "what is encrypted for us can be opened with %s" % settings.certificates.key


def _encrypting(own: Any) -> str:
    load_encryptor(own)
    return "messages are encrypted for %s" % own.server_cert


def _authorities(capath: str) -> Check:
    try:
        names = os.listdir(capath)
    except OSError as err:
        return Check(FAILED, "capath", "[certificates] capath: no directory %s (%s)" % (capath, err.strerror))
    count = sum(name.endswith(".0") for name in names)
    if not count:
        return Check(FAILED, "capath", "%s holds no authority in a file named by hash (HASH.0)" % capath)
    return Check(OK, "capath", "%s, %d authorities" % (capath, count))


def _way(settings: Any, protocol: str, connect: bool) -> List[Check]:
    """The way to the other side: tried if asked for; a directory always."""
    if protocol == DIRECTORY:
        return [writable("hand-over", settings.messaging.destination)]
    if not connect:
        return []
    return [attempt("connection", lambda: _connected(settings, protocol))]


def _connected(settings: Any, protocol: str) -> str:
    transport = open_transport(protocol, settings)
    try:
        transport.connect()
        return transport.where()
    finally:
        transport.close()
