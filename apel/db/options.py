"""The [db] section, the same in every configuration file that has one."""

import configparser
import io
from typing import List, Optional, Tuple

from apelcommon.config import REQUIRED, Option, OptionTable, Settings, read_text
from apelcommon.errors import ConfigError
from apelcommon.metrics import METRICS

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
        "mysql: the server, as host, host:port or the path of its socket; or several, separated by commas, "
        "which are tried in order. localhost: its port, then its socket.",
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

#: The schema that each [db] type of the centre stands for.
SCHEMAS = {
    "cpu": "server",
    "cloud": "cloud",
    "storage": "storage",
    "accelerator": "accelerator",
    "ip": "ip",
}

#: Options that other programs have in [db].
_OTHERS = {("db", "type"): "for the summariser"}
_CLIENT_SECTIONS = ("site_info", "spec_updater", "joiner", "unloader")


def read_database_settings(path: str) -> Tuple[Settings, Optional[str]]:
    """[db] and [metrics] of any of the suite's files, and which schema the rest of the file speaks of.

    The schema is None if it can't be told. Raises ConfigError.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(read_text(path), path)
    except configparser.Error as err:
        raise ConfigError("Config file %s can't be read: %s" % (path, " ".join(str(err).split()))) from err
    if any(parser.has_section(section) for section in _CLIENT_SECTIONS):
        schema: Optional[str] = "client"
    else:
        kind = parser.get("db", "type", fallback=None)
        schema = SCHEMAS.get(kind.strip().lower(), "server") if kind else None
    return _only(parser, path, ("db", "metrics")), schema


def _only(parser: configparser.RawConfigParser, path: str, sections: Tuple[str, ...]) -> Settings:
    for section in parser.sections():
        if section not in sections:
            parser.remove_section(section)
    text = io.StringIO()
    parser.write(text)
    return OptionTable("apeldb", [*DATABASE_OPTIONS, *METRICS], _OTHERS).parse(text.getvalue(), path)
