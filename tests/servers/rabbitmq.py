"""A private RabbitMQ: STOMP, plain and over TLS with client certificates, durable over stop and kill."""

import contextlib
import glob
import os
import signal
import socket
import subprocess
import time
from typing import Dict, List

from servers.pki import PKI
from servers.process import Server, ServerFailed, as_user, find_program, free_port, lend, private_folder

PACKAGE = "rabbitmq-server"
HOME = "/usr/lib/rabbitmq"
CONTROL_SECONDS = 180
ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none"
CONFIG = """listeners.tcp = none
stomp.listeners.tcp.1 = 127.0.0.1:%(port)d
stomp.listeners.ssl.1 = 127.0.0.1:%(tls_port)d
ssl_options.cacertfile = %(folder)s/ca.pem
ssl_options.certfile = %(folder)s/server.pem
ssl_options.keyfile = %(folder)s/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
stomp.ssl_cert_login = true
stomp.default_user = guest
stomp.default_pass = guest
ssl_cert_login_from = common_name
max_message_size = %(most)d
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.file.level = info
"""


class RabbitMQ(Server):
    """One broker: `host`, `port` (plain), `tls_port` (client certificates), `pki`.

    A user is the CN of a certificate, and must be let in with allow(). Messages sent with persistent:true
    survive stop(), kill() and start(). A message of more than `most` bytes is refused.
    """

    runs_as = "rabbitmq"
    host = "localhost"

    def __init__(self, pki: PKI, most: int = 134217728) -> None:
        find_program([HOME + "/bin/rabbitmq-server"], PACKAGE)
        super().__init__(private_folder("rabbitmq"))
        self.pki = pki
        self.port, self.tls_port = free_port(), free_port()
        self._epmd_port, self._dist_port = free_port(), free_port()
        self._node = "apel%d@localhost" % self.port
        self.log_file = os.path.join(self.folder, "log")
        for name in ("mnesia", "logs"):
            os.makedirs(os.path.join(self.folder, name))
        self._configure(most)
        lend(self.folder, self.runs_as)

    def _configure(self, most: int) -> None:
        certificate, key = self.pki.issue(self.host, uses=("server",))
        for name, source in (("server.pem", certificate), ("server.key", key), ("ca.pem", self.pki.ca_file)):
            with open(source, encoding="ascii") as stream:
                self._write(name, stream.read())
        values = {"port": self.port, "tls_port": self.tls_port, "folder": self.folder, "most": most}
        self._write("rabbitmq.conf", CONFIG % values)
        self._write("plugins", "[rabbitmq_stomp,rabbitmq_auth_mechanism_ssl].\n")

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def environment(self) -> Dict[str, str]:
        """What both the server and its control program are told by."""
        folder = self.folder
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": folder,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_MNESIA_BASE": folder + "/mnesia",
            "RABBITMQ_LOG_BASE": folder + "/logs",
            "RABBITMQ_CONFIG_FILE": folder + "/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder + "/plugins",
            "RABBITMQ_PID_FILE": folder + "/pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }

    def command(self) -> List[str]:
        pairs = ["%s=%s" % pair for pair in sorted(self.environment().items())]
        return ["env", "-i", *pairs, HOME + "/bin/rabbitmq-server"]

    def ready(self) -> bool:
        for port in (self.port, self.tls_port):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
        return True

    def allow(self, name: str) -> None:
        """Let in whoever has a certificate with this CN, with every right."""
        self._control("add_user", name, "unused")
        self._control("set_permissions", name, ".*", ".*", ".*")

    def _control(self, *words: str) -> None:
        program = sorted(glob.glob(HOME + "/lib/rabbitmq_server-*/sbin/rabbitmqctl"))[-1]
        done = subprocess.run(
            [*as_user(self.runs_as), program, "-n", self._node, *words],
            env=self.environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CONTROL_SECONDS,
            universal_newlines=True,
        )
        if done.returncode != 0:
            raise ServerFailed("rabbitmqctl %s: %s" % (" ".join(words), done.stdout))

    def _end(self, how: signal.Signals) -> None:
        # The script is in the foreground and hands no signal on; Erlang's process writes its own id.
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError), open(
            os.path.join(self.folder, "pid"), encoding="ascii"
        ) as stream:
            os.kill(int(stream.read()), how)
        super()._end(how)
        self._wait_for_ports()

    def _wait_for_ports(self) -> None:
        end = time.monotonic() + CONTROL_SECONDS
        while self.ready() and time.monotonic() < end:
            time.sleep(0.05)

    def close(self) -> None:
        """End it, the port mapper that Erlang started beside it, and remove its folder."""
        self.kill()
        for pid in _processes_with("ERL_EPMD_PORT=%d" % self._epmd_port):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().close()


def _processes_with(variable: str) -> List[int]:
    """The ids of all processes that have such a variable in their environment."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError), open("/proc/%s/environ" % name, "rb") as stream:
            if name.isdigit() and variable.encode() in stream.read().split(b"\0"):
                found.append(int(name))
    return found
