"""Runs an upgrade that is killed (SIGKILL) after its n-th statement was sent, again and again with growing n.

The server carries out that statement although nobody waits for its answer. Arguments: the [db] section as
JSON, the schema, the first n, by how much it grows. Prints how many runs were killed before one ended well.
"""

import json
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any

import pymysql.connections

from apel.db import open_backend
from apel.upgrade.run import Upgrade
from apelcommon.errors import Transient

TRY_LATER = 75


def kill_after(statements: int) -> None:
    """Let this process die as soon as it has sent so many statements."""
    send = pymysql.connections.Connection._execute_command
    left = [statements]

    def counted(connection: Any, command: int, sql: Any) -> None:
        send(connection, command, sql)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    pymysql.connections.Connection._execute_command = counted  # type: ignore[method-assign]


def run(settings: Any, schema: str, statements: int) -> int:
    """One run in a process of its own; its status as os.waitpid gives it."""
    child = os.fork()
    if not child:
        kill_after(statements)
        try:
            Upgrade(open_backend(settings), schema).run()
        except Transient as err:
            # What the last run had begun is still going on.
            sys.stderr.write("%s\n" % err)
            os._exit(TRY_LATER)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(section: str, schema: str, first: str, step: str) -> None:
    """Run until a run comes to its end."""
    killed, statements = 0, int(first)
    while True:
        status = run(SimpleNamespace(**json.loads(section)), schema, statements)
        if status == 0:
            break
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == TRY_LATER, status
        killed += 1
        statements += int(step)
    print(killed)


if __name__ == "__main__":
    main(*sys.argv[1:])
