"""A private MariaDB, strict about SQL and in a time zone of its own, so that neither is taken for granted."""

import inspect
import itertools
import os
import shutil
import signal
import subprocess
import time
from typing import Any, Dict, List, Sequence, Tuple

import pymysql
import pytest

from servers.process import Server, ServerFailed, as_user, find_program, free_port, lend, private_folder

#: MariaDB's default and MySQL's together: the strictest that a server has unless it was changed.
SQL_MODE = os.environ.get("APEL_TEST_SQL_MODE") or (
    "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION,"
    "ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE"
)
SMALL = ["--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M"]


class MariaDB(Server):
    """One MariaDB server: `host`, `port`, `user`, `password`; `new_database()` gives a database's name.

    What is committed survives stop(), kill() and start(). Several may run at once. `options` are
    further words for the server's command line.
    """

    runs_as = "mysql"
    host = "127.0.0.1"
    user = "apel"
    password = "secret"

    def __init__(self, folder: str = "", options: Sequence[str] = ()) -> None:
        self._server = find_program(["mariadbd", "mysqld"], "mariadb-server")
        self._install = find_program(["mariadb-install-db", "mysql_install_db"], "mariadb-server")
        super().__init__(folder or private_folder("mariadb"))
        self.options = list(options)
        self.port = free_port()
        self.log_file = os.path.join(self.folder, "log")
        self._numbers = itertools.count(1)
        self._make_data()

    def _make_data(self) -> None:
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        lend(self.folder, self.runs_as)
        words = ["--no-defaults", "--datadir=%s/data" % self.folder, "--skip-test-db", SMALL[0]]
        # Neither the name of this machine nor localhost need resolve.
        words += ["--auth-root-authentication-method=normal", "--skip-name-resolve", "--force"]
        with open(self.log_file, "ab") as log:
            done = subprocess.run(
                as_user(self.runs_as) + self._quick() + [self._install] + words, stdout=log, stderr=log
            )
        if done.returncode:
            raise ServerFailed("%s failed:\n%s" % (self._install, self.log_tail()))

    @staticmethod
    def _quick() -> List[str]:
        """Where the folder is on a disk, fsync would take most of the time."""
        return ["eatmydata"] if shutil.which("eatmydata") else []

    def command(self) -> List[str]:
        words = [
            "--no-defaults",
            "--datadir=%s/data" % self.folder,
            "--tmpdir=%s/tmp" % self.folder,
            "--socket=%s/socket" % self.folder,
            "--pid-file=%s/data/pid" % self.folder,
            "--port=%d" % self.port,
            "--bind-address=%s" % self.host,
            "--skip-name-resolve",
            "--innodb-doublewrite=0",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+03:00",
            "--local-infile=1",
            "--sql-mode=%s" % SQL_MODE,
        ]
        return [*self._quick(), self._server, *words, *SMALL, *self.options]

    def ready(self) -> bool:
        try:
            self._administer("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def start(self) -> None:
        super().start()
        self._administer(
            "GRANT ALL PRIVILEGES ON *.* TO %s@'%%' IDENTIFIED BY %s WITH GRANT OPTION",
            (self.user, self.password),
        )

    def new_database(self, prefix: str = "test") -> str:
        """Make an empty database; its name."""
        name = "%s_%d" % (prefix, next(self._numbers))
        self._administer("CREATE DATABASE `%s`" % name)
        return name

    def drop_database(self, name: str) -> None:
        """Forget a database."""
        self._administer("DROP DATABASE `%s`" % name)

    def connect(self, database: str = "", **options: Any) -> "pymysql.connections.Connection[Any]":
        """A connection of the tests' account, to look at what the code under test has done."""
        return self._connection(self.user, self.password, database=database or None, **options)

    def rows(self, database: str, sql: str, parameters: Sequence[Any] = ()) -> List[Tuple[Any, ...]]:
        """The rows of one statement, on a connection of its own, committed."""
        connection = self.connect(database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def options_for(self, database: str) -> Dict[str, str]:
        """The [db] section of a configuration file for a database."""
        return {
            "backend": "mysql",
            "hostname": self.host,
            "port": str(self.port),
            "name": database,
            "username": self.user,
            "password": self.password,
        }

    def _connection(self, user: str, password: str, **options: Any) -> "pymysql.connections.Connection[Any]":
        if "ssl_disabled" in inspect.signature(pymysql.connections.Connection).parameters:
            # Without it, new PyMySQLs build a TLS context for every connection: 30 ms instead of 1.
            options["ssl_disabled"] = True
        return pymysql.connect(host=self.host, port=self.port, user=user, password=password, **options)

    def _administer(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        connection = self._connection("root", "", autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
        finally:
            connection.close()


class Borrowed(MariaDB):
    """A MariaDB or MySQL that runs already, named as root's `host:port` (root has no password there).

    It is neither started nor stopped: tests that would are skipped, and say so.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.host, self.port = host, int(port)
        self._numbers = itertools.count(int(time.time() * 1000))
        self._administer("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (self.user, self.password))
        self._administer("GRANT ALL PRIVILEGES ON *.* TO %s@'%%' WITH GRANT OPTION", (self.user,))

    def start(self) -> None:
        """It runs already."""

    def close(self) -> None:
        """It goes on running."""

    def _end(self, how: signal.Signals) -> None:
        pytest.skip("a borrowed server can't be stopped")

    @property
    def folder(self) -> str:
        """Where a server of our own keeps its files."""
        pytest.skip("a borrowed server's files are out of reach")
