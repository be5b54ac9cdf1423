"""How a server on this host is reached besides its port: old accounts and servers may know nothing else."""

import os
from typing import List, Sequence

#: Where EL's packages have it, Debian's, and the server's own default.
SOCKETS = ("/var/lib/mysql/mysql.sock", "/run/mysqld/mysqld.sock", "/tmp/mysql.sock")
USUAL_PORT = 3306


def or_by_socket(names: Sequence[str], port: int) -> List[str]:
    """['localhost'] → the same and, to be tried after it, the server's socket, where there is one.

    APEL 2 connected through the C library, which takes `localhost` for the socket, so the account may be
    one of `localhost` only (with skip-name-resolve, a TCP connection is not), or the server without TCP.
    """
    if list(names) != ["localhost"] or port != USUAL_PORT:
        return list(names)
    return [*names, *[path for path in SOCKETS if os.path.exists(path)][:1]]
