"""A Galera cluster of three nodes on the loopback interface: what one node knows, kill, stop and cut off."""

import os
import re
import shutil
import signal
import subprocess
import time
from types import SimpleNamespace
from typing import Any, List, Sequence

import pymysql

from servers.mariadb import MariaDB
from servers.process import ServerFailed, ServerMissing, as_user, free_port, lend, private_folder

PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
#: Quicker than the defaults to find out that a node is gone (3 s in place of 5). All four belong together.
TIMEOUTS = (
    "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT3S;evs.install_timeout=PT4S;evs.inactive_timeout=PT5S"
)

#: Seconds after which nodes that were all killed have found each other by themselves, if ever.
RECOVERS_WITHIN = 30


class Node(MariaDB):
    """One node; `group` is the address at which the others find it. The first one begins the cluster."""

    def __init__(self, number: int, cluster: "Cluster") -> None:
        self.number = number
        self.cluster = cluster
        self.group_port, self._transfer_port, self._catch_up_port = (free_port() for _ in range(3))
        self.begins = number == 0
        self._position = ""
        super().__init__(private_folder("galera%d" % number), cluster.options)

    @property
    def group(self) -> str:
        """Where the node talks to the others."""
        return "%s:%d" % (self.host, self.group_port)

    @property
    def address(self) -> str:
        """What `hostname` in [db] has for this node."""
        return "%s:%d" % (self.host, self.port)

    def _make_data(self) -> None:
        if self.begins:
            super()._make_data()
            return
        # The others copy what the first one has.
        for name in ("data", "tmp"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        lend(self.folder, self.runs_as)

    def command(self) -> List[str]:
        provider = "gmcast.listen_addr=tcp://%s;ist.recv_addr=%s:%d;base_port=%d;gcache.size=64M;%s" % (
            self.group,
            self.host,
            self._catch_up_port,
            self.group_port,
            TIMEOUTS,
        )
        words = [
            "--server-id=%d" % (self.number + 1),
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--innodb-flush-log-at-trx-commit=2",
            "--wsrep-on=ON",
            "--wsrep-provider=%s" % self.cluster.provider,
            "--wsrep-cluster-name=apel",
            "--wsrep-cluster-address=gcomm://%s" % ",".join(node.group for node in self.cluster.nodes),
            "--wsrep-node-name=node%d" % self.number,
            "--wsrep-node-address=%s" % self.group,
            "--wsrep-sst-method=rsync",
            "--wsrep-sst-receive-address=%s:%d" % (self.host, self._transfer_port),
            "--wsrep-provider-options=%s" % provider,
        ]
        if self._position:
            words.append("--wsrep-start-position=%s" % self._position)
        return [*super().command(), *words, *(["--wsrep-new-cluster"] if self.begins else [])]

    def launch(self) -> None:
        """Start the process as the unit of MariaDB does: it asks the data first how far they go.

        A node that was killed doesn't know, and nodes that don't know believe that they hold the same.
        """
        self._position = ""
        if os.path.exists(os.path.join(self.folder, "data", "grastate.dat")):
            self._position = self._recovered()
        super().launch()

    def _recovered(self) -> str:
        done = subprocess.run(
            [*as_user(self.runs_as), *self.command(), "--wsrep-recover"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        found = re.search(r"Recovered position:? (\S+:-?\d+)", done.stderr)
        if not found:
            raise ServerFailed("MariaDB does not say how far its data go:\n%s" % done.stderr[-2000:])
        return found.group(1)

    def ready(self) -> bool:
        return self.status("wsrep_local_state_comment") == "Synced" and self.status("wsrep_ready") == "ON"

    def start(self) -> None:
        super().start()
        self.begins = False

    def status(self, name: str) -> str:
        """A status variable, or nothing where the node does not answer."""
        try:
            connection = self._connection("root", "", autocommit=True, read_timeout=10)
        except pymysql.err.MySQLError:
            return ""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SHOW GLOBAL STATUS LIKE %s", (name,))
                row = cursor.fetchone()
                return str(row[1]) if row else ""
        except (pymysql.err.MySQLError, OSError):
            return ""
        finally:
            connection.close()

    def is_primary(self) -> bool:
        """Whether the node belongs to the part of the cluster that serves."""
        return self.status("wsrep_cluster_status") == "Primary"

    def isolate(self) -> None:
        """Cut the node off from the others: it answers its clients, but has no quorum."""
        self._administer("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def rejoin(self) -> None:
        """Let it reach the others again."""
        self._administer("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")

    def seqno(self) -> int:
        """How far the data of a node go that is down."""
        return int(self._recovered().rpartition(":")[2])

    def bootstrap(self) -> None:
        """Start it as the first one of the cluster, as galera_new_cluster does."""
        path = os.path.join(self.folder, "data", "grastate.dat")
        with open(path, encoding="ascii") as stream:
            text = stream.read()
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        self.begins = True
        self.start()

    def send_kill(self) -> None:
        """kill -9, and do not wait."""
        if self.pid is not None:
            self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop its process: connections stay open and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)


class Cluster:
    """Three nodes; what is asked of the cluster as a whole is asked of the first node that is up."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = list(options)
        found = [path for path in PROVIDERS if os.path.exists(path)]
        if not found or not shutil.which("rsync"):
            raise ServerMissing(
                "Galera is not installed: install galera-4 and rsync (./runtests does that as root)."
            )
        self.provider = found[0]
        self.nodes: List[Node] = []
        for number in range(3):
            self.nodes.append(Node(number, self))

    def start(self) -> None:
        """Start the nodes one after the other; all of them are in step then."""
        for node in self.nodes:
            node.start()

    def kill(self) -> None:
        """kill -9 of all nodes at once, as when the power goes: none sees another one die."""
        for node in self.nodes:
            node.send_kill()
        for node in self.nodes:
            node.kill()

    def start_again(self) -> None:
        """Start all nodes; if they don't find each other, as the manual says, from the one that has most."""
        for node in self.nodes:
            node.launch()
        end = time.monotonic() + RECOVERS_WITHIN
        while not all(node.is_primary() for node in self.nodes):
            if time.monotonic() > end:
                self._begin_anew()
                break
            time.sleep(0.2)
        for node in self.nodes:
            node.wait_until_ready()

    def _begin_anew(self) -> None:
        self.kill()
        first = max(self.nodes, key=Node.seqno)
        first.bootstrap()
        for node in self.nodes:
            if node is not first:
                node.start()

    def close(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.close()

    def settings(self, database: str, first: int = 0) -> Any:
        """A [db] section for a database, with the nodes in order, beginning with one of them."""
        nodes = self.nodes[first:] + self.nodes[:first]
        return SimpleNamespace(
            backend="mysql",
            hostname=[node.address for node in nodes],
            port=3306,
            name=database,
            username=MariaDB.user,
            password=MariaDB.password,
        )
