"""A site and a centre side by side in a folder: their configuration files, and their commands to run."""

import os
import shutil
import subprocess
import sys
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from apel.db import Database, open_database
from apel.db.options import DATABASE_OPTIONS
from apel.demo.certificates import Authority
from apelcommon.config import OptionTable
from apelcommon.errors import ServiceError
from apelcommon.files import write_atomically

Sections = Mapping[str, Mapping[str, str]]


class Link(NamedTuple):
    """How messages get from site to centre: the options of sender and receiver that say so.

    `certificates` are the options that both ends share ([certificates] of either may differ).
    """

    protocol: str
    broker: Mapping[str, str]
    destination: str
    site_certificates: Mapping[str, str]
    centre_certificates: Mapping[str, str]
    site_dn: str


class LogFiles(NamedTuple):
    """Where the logs are: `blah` None means that all jobs are local."""

    system: str
    batch: str
    blah: Optional[str]


def sqlite_database(path: str) -> Dict[str, str]:
    """The [db] options of an embedded database."""
    return {"backend": "sqlite", "name": path}


class Deployment:
    """The files of a site (`site/`) and a centre (`centre/`) below one folder."""

    site_name = "EXAMPLE-SITE"
    machine_name = "batch.grid.example.org"
    #: The time zone of the logs, where a log doesn't say: that of the samples. '' is the host's own.
    zone = "UTC"

    def __init__(
        self, folder: str, site_db: Mapping[str, str], centre_db: Mapping[str, str], link: Link
    ) -> None:
        self.folder = os.path.abspath(folder)
        self.site_db = dict(site_db)
        self.centre_db = dict(centre_db)
        self.link = link
        for name in ("site/log", "site/spool/outgoing", "centre/log", "centre/spool"):
            os.makedirs(self.path(name), exist_ok=True)

    def path(self, name: str) -> str:
        """A path below the folder."""
        return os.path.join(self.folder, name)

    def write_site(self, logs: LogFiles, benchmarks: Mapping[str, str], **client: Mapping[str, str]) -> None:
        """Write the site's files. `benchmarks`: CE (or the batch system) → `type,value`."""
        self._write("site/parser.cfg", self._parser(logs))
        self._write("site/client.cfg", self._client(benchmarks, logs.blah is None, client))
        self._write(
            "site/sender.cfg",
            {
                "sender": {"protocol": self.link.protocol},
                "broker": self.link.broker,
                "certificates": self.link.site_certificates,
                "messaging": {
                    "destination": self.link.destination,
                    "path": self.path("site/spool/outgoing"),
                    "path_type": "dirq",
                },
                "logging": self._logging("site", "ssmsend"),
            },
        )

    def _parser(self, logs: LogFiles) -> Sections:
        blah = {"enabled": "true" if logs.blah else "false", "dir": logs.blah or "", "subdirs": "false"}
        return {
            "db": self.site_db,
            "site_info": {"site_name": self.site_name, "lrms_server": self.machine_name},
            "blah": dict(blah, filename_prefix="blah"),
            "batch": {
                "enabled": "true",
                "type": logs.system.upper() if logs.system != "htcondor" else "HTCondor",
                "parallel": "true",
                "dir": logs.batch,
                "filename_pattern": ".*",
                "subdirs": "false",
            },
            "logging": self._logging("site", "parser"),
        }

    def _client(self, benchmarks: Mapping[str, str], local: bool, changes: Sections) -> Sections:
        specs = {"enabled": "false", "site_name": self.site_name, "lrms_server": self.machine_name}
        local_type, local_value = benchmarks.get(self.machine_name, "HEPscore23,10.0").split(",")
        specs.update(spec_type=local_type, spec_value=local_value)
        compute_elements = sorted(set(benchmarks) - {self.machine_name})
        for number, ce in enumerate(compute_elements, 1):
            specs["manual_spec%d" % number] = "%s,%s" % (ce, benchmarks[ce])
        sections: Dict[str, Dict[str, str]] = {
            "db": self.site_db,
            "spec_updater": specs,
            "joiner": {"enabled": "true", "local_jobs": "true" if local else "false"},
            "unloader": {"enabled": "true", "dir_location": self.path("site/spool")},
            "ssm": {"enabled": "false"},
            "logging": self._logging("site", "client"),
        }
        for section, options in changes.items():
            sections.setdefault(section, {}).update(options)
        return sections

    def write_centre(self) -> None:
        """Write the centre's files: its databases, its DN list, receiver, loader and summariser."""
        write_atomically(self.path("centre/dns"), (self.link.site_dn + "\n").encode())
        self._write("centre/db.cfg", {"db": self.centre_db})
        self._write(
            "centre/receiver.cfg",
            {
                "receiver": {"protocol": self.link.protocol},
                "broker": self.link.broker,
                "certificates": dict(self.link.centre_certificates, check_crls="false"),
                "messaging": {"destination": self.link.destination, "path": self.path("centre/spool")},
                "daemon": {"pidfile": self.path("centre/ssmreceive.pid")},
                "logging": self._logging("centre", "ssmreceive"),
            },
        )
        loader = {
            "msgpath": self.path("centre/spool"),
            "pidfile": self.path("centre/loader.pid"),
            "interval": "1",
        }
        self._write("centre/loader.cfg", {"loader": loader, "logging": self._logging("centre", "loader")})
        summariser = {"pidfile": self.path("centre/summariser.pid")}
        logging = self._logging("centre", "summariser")
        self._write("centre/summariser.cfg", {"summariser": summariser, "logging": logging})

    def _logging(self, side: str, name: str) -> Dict[str, str]:
        return {"logfile": self.path("%s/log/%s.log" % (side, name)), "level": "INFO", "console": "false"}

    def _write(self, name: str, sections: Sections) -> None:
        write_atomically(self.path(name), _ini(sections).encode(), 0o600)

    def site_database(self) -> Database:
        """The site's database, opened."""
        return _open(self.site_db, "client")

    def central_database(self) -> Database:
        """The central database, opened."""
        return _open(self.centre_db, "server")

    def command(self, name: str, *extra: str) -> List[str]:
        """The words of a command line, with its configuration files, to run from anywhere."""
        configs = {
            "apelparser": ["-c", "site/parser.cfg"],
            "apelclient": ["-c", "site/client.cfg", "-s", "site/sender.cfg"],
            "ssmsend": ["-c", "site/sender.cfg"],
            "ssmreceive": ["-c", "centre/receiver.cfg", "-d", "centre/dns"],
            "apeldb": ["-c", "centre/db.cfg"],
            "apeldbloader": ["-d", "centre/db.cfg", "-c", "centre/loader.cfg"],
            "apelsummariser": ["-d", "centre/db.cfg", "-c", "centre/summariser.cfg"],
            "apelreport": ["-d", "centre/db.cfg"],
        }
        words = [self.path(word) if word.endswith((".cfg", "/dns")) else word for word in configs[name]]
        return [_executable(name), *words, *extra]

    def run(self, name: str, *extra: str) -> str:
        """Run a command to its end; what it printed. Raises ServiceError with that if it failed."""
        done = subprocess.run(
            self.command(name, *extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self.environment(),
        )
        output = done.stdout.decode("utf-8", "replace")
        if done.returncode:
            raise ServiceError("%s ended with status %d:\n%s" % (name, done.returncode, output))
        return output

    def start(self, name: str, *extra: str) -> "subprocess.Popen[bytes]":
        """Start a command and leave it running, its output in the log folder."""
        with open(self.path("%s.out" % name), "ab") as output:
            return subprocess.Popen(
                self.command(name, *extra),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
            )

    def environment(self) -> Dict[str, str]:
        """The environment of the commands."""
        return dict(os.environ, TZ=self.zone) if self.zone else dict(os.environ)


def embedded_deployment(folder: str) -> Deployment:
    """A site and a centre that need no server: SQLite, throw-away certificates, a hand-over directory."""
    authority = Authority(os.path.join(folder, "certificates"))
    for side in ("site", "centre"):
        os.makedirs(os.path.join(folder, side), exist_ok=True)
    site = authority.issue(os.path.join(folder, "site"), "site.example.org")
    centre = authority.issue(os.path.join(folder, "centre"), "centre.example.org")
    link = Link(
        protocol="DIRECTORY",
        broker={"host": "localhost"},
        destination=os.path.join(folder, "handover"),
        site_certificates={"certificate": site.certificate, "key": site.key, "capath": authority.folder},
        centre_certificates={
            "certificate": centre.certificate,
            "key": centre.key,
            "capath": authority.folder,
        },
        site_dn=site.dn,
    )
    os.makedirs(link.destination, exist_ok=True)
    site_db = sqlite_database(os.path.join(folder, "site", "site.db"))
    return Deployment(folder, site_db, sqlite_database(os.path.join(folder, "centre", "centre.db")), link)


def shown(words: Sequence[str], folder: str) -> str:
    """A command line as a person would type it in `folder`."""
    head = os.path.basename(words[0])
    return " ".join([head, *[word.replace(folder + os.sep, "") for word in words[1:]]])


def _ini(sections: Sections) -> str:
    lines: List[str] = []
    for section, options in sections.items():
        lines.append("[%s]" % section)
        lines += ["%s = %s" % (key, str(value).replace("%", "%%")) for key, value in options.items()]
        lines.append("")
    return "\n".join(lines)


def _open(db: Mapping[str, str], schema: str) -> Database:
    settings = OptionTable("demo", DATABASE_OPTIONS).parse(_ini({"db": db}))
    return open_database(settings.db, schema=schema)


def _executable(name: str) -> str:
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.path.exists(beside) else shutil.which(name)
    if found is None:
        raise ServiceError("The command %s is not installed beside %s." % (name, sys.executable))
    return found
