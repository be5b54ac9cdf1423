"""A private ActiveMQ: STOMP, plain and over TLS with client certificates, durable over stop and kill."""

import glob
import os
import socket
import subprocess
import time
from typing import Dict, List, Optional, Tuple

from servers.pki import PKI, openssl
from servers.process import Server, find_program, free_port, lend, private_folder

PACKAGE = "activemq"
HOME = os.environ.get("ACTIVEMQ_HOME", "/usr/share/activemq")
STORE_PASSWORD = "password"
DATED_AHEAD = 2  # seconds

# %(...)s are filled in by ActiveMQ._configure. Every queue and topic is open to every known user.
BROKER_XML = """<beans xmlns="http://www.springframework.org/schema/beans"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.springframework.org/schema/beans
  http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
 <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="test"
  dataDirectory="%(folder)s/data" useShutdownHook="true">
  <persistenceAdapter>
   <kahaDB directory="%(folder)s/data/kahadb" journalMaxFileLength="8mb"/>
  </persistenceAdapter>
  <plugins>
   <jaasDualAuthenticationPlugin configuration="plain" sslConfiguration="certificate"/>
   <authorizationPlugin><map><authorizationMap><authorizationEntries>
    <authorizationEntry queue=">" read="users" write="users" admin="users"/>
    <authorizationEntry topic=">" read="users" write="users" admin="users"/>
   </authorizationEntries></authorizationMap></map></authorizationPlugin>
  </plugins>
  <sslContext><sslContext
   keyStore="file:%(folder)s/conf/server.p12" keyStoreType="PKCS12" keyStorePassword="%(password)s"
   trustStore="file:%(folder)s/conf/trust.p12" trustStoreType="PKCS12" trustStorePassword="%(password)s"/>
  </sslContext>
  <systemUsage><systemUsage>
   <memoryUsage><memoryUsage limit="64 mb"/></memoryUsage>
   <storeUsage><storeUsage limit="500 mb"/></storeUsage>
   <tempUsage><tempUsage limit="200 mb"/></tempUsage>
  </systemUsage></systemUsage>
  <transportConnectors>
   <transportConnector name="stomp" uri="stomp://127.0.0.1:%(port)d"/>
   <transportConnector name="stomp+ssl" uri="stomp+ssl://127.0.0.1:%(tls_port)d?needClientAuth=true%(limit)s"/>
  </transportConnectors>
 </broker>
</beans>
"""
LOGIN = """plain { org.apache.activemq.jaas.PropertiesLoginModule required reload=true
 org.apache.activemq.jaas.properties.user="users.properties"
 org.apache.activemq.jaas.properties.group="groups.properties"; };
certificate { org.apache.activemq.jaas.TextFileCertificateLoginModule required reload=true
 org.apache.activemq.jaas.textfiledn.user="certificates.properties"
 org.apache.activemq.jaas.textfiledn.group="groups.properties"; };
"""
LOG4J = """log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1} %m%n
"""
# The default: any certificate of the trusted authority is a user, unless it calls itself a stranger.
EVERYBODY = {"client": "/^(?!.*stranger).*$/"}


class ActiveMQ(Server):
    """One broker: `host`, `port` (plain; `user`, `password`), `tls_port` (client certificates), `pki`.

    Messages sent with persistent:true survive stop(), kill() and start(). A certificate whose subject
    holds the word `stranger` is refused, as is one of another authority; allow() changes who is let in.
    `certificate` is the broker's own (certificate path, key path). Over TLS, a frame of more than `most`
    bytes is refused (0: 100 MB).
    """

    runs_as = "activemq"
    host = "localhost"
    user = "guest"
    password = "guest"

    def __init__(
        self, pki: PKI, folder: str = "", certificate: Optional[Tuple[str, str]] = None, most: int = 0
    ) -> None:
        self._java = find_program(["java"], "a Java runtime")
        self._keytool = find_program(["keytool"], "a Java runtime")
        self._jars = glob.glob(HOME + "/lib/*.jar") + glob.glob(HOME + "/lib/optional/*.jar")
        if not self._jars:
            find_program([HOME + "/lib/*.jar"], PACKAGE)
        super().__init__(folder or private_folder("activemq"))
        self.pki = pki
        self.port = free_port()
        self.tls_port = free_port()
        self.log_file = os.path.join(self.folder, "log")
        self._conf = os.path.join(self.folder, "conf")
        for name in ("conf", "data", "tmp"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self._configure("&amp;wireFormat.maxFrameSize=%d" % most if most else "")
        self._make_stores(certificate or pki.issue(self.host, uses=("server",)))
        lend(self.folder, self.runs_as)

    def _configure(self, limit: str) -> None:
        xml = BROKER_XML % {
            "folder": self.folder,
            "password": STORE_PASSWORD,
            "port": self.port,
            "tls_port": self.tls_port,
            "limit": limit,
        }
        files = {
            "activemq.xml": xml,
            "login.config": LOGIN,
            "log4j.properties": LOG4J,
            "users.properties": "%s=%s\n" % (self.user, self.password),
        }
        for name, text in files.items():
            self._write(name, text)
        self.allow_everybody()

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._conf, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _make_stores(self, certificate: Tuple[str, str]) -> None:
        path, key = certificate
        words = ["pkcs12", "-export", "-in", path, "-inkey", key, "-name", "broker"]
        openssl(*words, "-passout", "pass:" + STORE_PASSWORD, "-out", os.path.join(self._conf, "server.p12"))
        words = [self._keytool, "-importcert", "-noprompt", "-alias", "ca", "-file", self.pki.ca_file]
        words += ["-keystore", os.path.join(self._conf, "trust.p12"), "-storetype", "PKCS12"]
        words += ["-storepass", STORE_PASSWORD]
        subprocess.run(words, stderr=subprocess.DEVNULL, check=True)

    def allow(self, names: Dict[str, str]) -> None:
        """Who is let in by certificate, from now on: {user: subject}.

        A subject is in RFC 2253 order with a blank after each comma (`CN=a, O=Test Grid, C=XX`), or a
        /regular expression/.
        """
        self._replace("certificates.properties", "".join("%s=%s\n" % pair for pair in names.items()))
        self._replace("groups.properties", "users=%s\n" % ",".join([self.user, *names]))

    def _replace(self, name: str, text: str) -> None:
        """Give the broker a new version of a file that it reads again when that is newer than its last look.

        A file's own time lags behind the clock by some milliseconds: a version written just after a look
        would seem older than that, and never be read. So it is dated ahead, and replaced in one step.
        """
        path = os.path.join(self._conf, name)
        self._write(name + ".new", text)
        ahead = time.time() + DATED_AHEAD
        os.utime(path + ".new", (ahead, ahead))
        os.replace(path + ".new", path)

    def allow_everybody(self) -> None:
        """Let every certificate in again but those of strangers."""
        self.allow(EVERYBODY)

    def command(self) -> List[str]:
        settings = {
            "java.io.tmpdir": self.folder + "/tmp",
            "java.security.auth.login.config": self._conf + "/login.config",
            "activemq.home": HOME,
            "activemq.base": self.folder,
            "activemq.conf": self._conf,
            "activemq.data": self.folder + "/data",
        }
        words = [self._java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        words += ["-D%s=%s" % pair for pair in sorted(settings.items())]
        words += ["-cp", ":".join([self._conf, *sorted(self._jars)])]
        words += ["org.apache.activemq.console.Main", "start", "xbean:file:%s/activemq.xml" % self._conf]
        return words

    def ready(self) -> bool:
        for port in (self.port, self.tls_port):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
        return True
