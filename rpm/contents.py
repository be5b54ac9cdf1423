"""What is in which package: every command, sample, unit and log of the suite, once.

The build installs by these tables, and tests compare them with the checkout: whatever is added to the
suite and not here fails them.
"""

from typing import Dict, Iterator, NamedTuple, Tuple

COMMON, LIB, PARSERS, CLIENT = "apel-common", "apel-lib", "apel-parsers", "apel-client"
SERVER, LOADER_SERVICE = "apel-server", "apeldbloader-service"
SSM, SSM_SERVICE = "apel-ssm", "apel-ssm-service"
USER = "apel"
SERVER_SCHEMAS = ("server.sql", "cloud.sql", "storage.sql", "accelerator.sql", "ip.sql")


class Config(NamedTuple):
    """A file of conf/ that goes to /etc/apel: `secret` ones hold a password or token."""

    name: str
    secret: bool = False


class Package(NamedTuple):
    """One package. Paths are those of the checkout; `links` are (link, target) below /usr/share/apel."""

    modules: Tuple[str, ...] = ()
    commands: Tuple[str, ...] = ()
    configs: Tuple[Config, ...] = ()
    units: Tuple[str, ...] = ()
    logrotate: str = ""
    tmpfiles: str = ""
    scripts: Tuple[str, ...] = ()
    links: Tuple[Tuple[str, str], ...] = ()


# In the order in which rpm can install them one by one.
PACKAGES: Dict[str, Package] = {
    COMMON: Package(modules=("apelcommon",), tmpfiles="apel.conf"),
    LIB: Package(modules=("apel",), commands=("apeldb",)),
    SSM: Package(
        modules=("ssm",),
        commands=("ssmsend", "ssmreceive", "ssmqueue"),
        configs=(Config("sender.cfg", secret=True), Config("receiver.cfg", secret=True), Config("dns")),
        units=("ssmsend.service", "ssmsend.timer", "ssmsend-daemon.service"),
        logrotate="apel-ssm",
    ),
    PARSERS: Package(
        commands=("apelparser", "apelcollect"),
        configs=(Config("parser.cfg", secret=True), Config("collect.cfg")),
        units=("apelparser.service", "apelparser.timer", "apelcollect@.service", "apelcollect@.timer"),
        logrotate="apel-parsers",
        tmpfiles="apel-parsers.conf",
        scripts=("slurm_acc.sh", "htcondor_acc.sh"),
    ),
    CLIENT: Package(
        commands=("apelclient", "apel", "apelstar"),
        configs=(Config("client.cfg", secret=True), Config("star.cfg"), Config("identity.map")),
        units=(
            "apelclient.service",
            "apelclient.timer",
            "apelclient-daemon.service",
            "apelstar@.service",
            "apelstar@.timer",
        ),
        logrotate="apel-client",
        links=(("client.sql", "schemas/mysql/client.sql"),),
    ),
    SERVER: Package(
        commands=(
            "apeldbloader",
            "apeldbunloader",
            "apelsummariser",
            "apelreport",
            "apelauth",
            "apelpubsync",
            "apelreplay",
        ),
        configs=(
            Config("db.cfg", secret=True),
            Config("loader.cfg"),
            Config("unloader.cfg"),
            Config("summariser.cfg"),
            Config("auth.cfg"),
            Config("pubsync.cfg"),
        ),
        units=(
            "apeldbunloader.service",
            "apeldbunloader.timer",
            "apeldbunloader@.service",
            "apeldbunloader@.timer",
            "apeldbunloader-daemon.service",
            "apelsummariser.service",
            "apelsummariser.timer",
            "apelauth.service",
            "apelauth.timer",
            "apelpubsync.service",
            "apelpubsync.timer",
        ),
        logrotate="apel-server",
        links=tuple((name, "schemas/mysql/" + name) for name in SERVER_SCHEMAS),
    ),
    LOADER_SERVICE: Package(units=("apeldbloader.service", "apeldbloader@.service")),
    SSM_SERVICE: Package(units=("ssmreceive.service",)),
}


class Directory(NamedTuple):
    """A directory that apel-common makes."""

    path: str
    mode: int
    owner: str = "root"


DIRECTORIES = (
    Directory("/etc/apel", 0o755),
    Directory("/usr/share/apel", 0o755),
    Directory("/var/log/apel", 0o755, USER),
    Directory("/var/spool/apel", 0o755, USER),
    Directory("/var/lib/apel", 0o751, USER),
)


def all_of(attribute: str) -> Iterator[Tuple[str, str]]:
    """(package, name) of every command, unit, …: all_of('commands')."""
    for package, contents in PACKAGES.items():
        for each in getattr(contents, attribute):
            yield package, each.name if isinstance(each, Config) else each
