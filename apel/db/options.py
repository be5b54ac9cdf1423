"""The [db] section, the same in every configuration file that has one."""

from typing import List

from apelcommon.config import REQUIRED, Option

BACKENDS = ("mysql", "sqlite")
DEFAULT_PORT = 3306

DATABASE_OPTIONS: List[Option] = [
    Option(
        "db",
        "backend",
        "choice",
        "mysql",
        "What holds the database: mysql (MariaDB 10.3 or newer, MySQL 8) or sqlite (a file).",
        choices=BACKENDS,
    ),
    Option(
        "db",
        "hostname",
        "words",
        ["localhost"],
        "mysql: the server, as host or host:port; or several, separated by commas, which are tried in order.",
    ),
    Option("db", "port", "integer", DEFAULT_PORT, "mysql: the port, where hostname does not give one."),
    Option(
        "db",
        "name",
        "text",
        REQUIRED,
        "mysql: the name of the database. sqlite: the path of its file, which is made when first used.",
        sample="apelclient",
    ),
    Option("db", "username", "text", "apel", "mysql: the account."),
    Option("db", "password", "text", "", "mysql: its password."),
]
