"""Where servers listen. One on this host may be reached by its port alone, or by its socket alone."""

import os
from typing import List, NamedTuple, Sequence

#: Where EL's packages have it, and Debian's. Not in /tmp, where anybody may listen and be told the password.
SOCKETS = ("/var/lib/mysql/mysql.sock", "/run/mysqld/mysqld.sock")
USUAL_PORT = 3306


class Host(NamedTuple):
    """Where a server listens."""

    name: str
    port: int

    def __str__(self) -> str:
        return self.name if self.name.startswith("/") else "%s:%d" % self


def hosts(names: Sequence[str], port: int) -> List[Host]:
    """['db1', 'db2:3307', '[::1]:3306', '/run/mysqld.sock'] as hosts; `port` where none is given."""
    return [_host(name, port) for name in names]


def _host(name: str, port: int) -> Host:
    if name.startswith("/") or (name.count(":") > 1 and not name.startswith("[")):
        return Host(name, port)
    before, colon, after = name.rpartition(":")
    if colon and after.isdigit():
        return Host(before.strip("[]"), int(after))
    return Host(name.strip("[]"), port)


def or_by_socket(servers: List[Host]) -> List[Host]:
    """localhost alone → the same and, to be tried after it, the server's socket, where there is one now.

    APEL 2 connected through the C library, which takes `localhost` for the socket, so the account may be
    one of `localhost` only (with skip-name-resolve, a TCP connection is not), or the server without TCP.
    """
    if servers != [Host("localhost", USUAL_PORT)]:
        return servers
    return [*servers, *[Host(path, USUAL_PORT) for path in SOCKETS if os.path.exists(path)][:1]]
