"""A private LDAP server that plays a BDII: GLUE 1.3 and GLUE 2 objects of one site, read from LDIF."""

import os
import shutil
import socket
import subprocess
from typing import List

from servers.process import Server, ServerFailed, find_program, free_port, lend, private_folder

#: Just the attributes and classes that the client looks at, with the object ids of GLUE 1.3.
SCHEMA = """\
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.1 NAME 'GlueCEUniqueID' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.2 NAME 'GlueCECapability' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.3 NAME 'GlueForeignKey' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.4 NAME 'GlueChunkKey' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.5 NAME 'GlueHostBenchmarkSI00' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.6 NAME 'GlueClusterUniqueID' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.7 NAME 'GlueSubClusterUniqueID' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.9 NAME 'GlueClusterName' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.8 NAME 'mds-vo-name' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.10 NAME 'GlueHostProcessorOtherDescription' {text} )
attributetype ( 1.3.6.1.4.1.8005.100.2.2.1.11 NAME 'GlueSubClusterLogicalCPUs' {text} )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.1 NAME 'GlueCE' SUP top STRUCTURAL
  MAY ( GlueCEUniqueID $ GlueCECapability $ GlueForeignKey ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.2 NAME 'GlueCluster' SUP top STRUCTURAL
  MUST GlueClusterUniqueID MAY ( GlueForeignKey $ GlueClusterName ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.3 NAME 'GlueSubCluster' SUP top STRUCTURAL
  MUST GlueSubClusterUniqueID MAY ( GlueChunkKey $ GlueHostBenchmarkSI00 $
  GlueHostProcessorOtherDescription $ GlueSubClusterLogicalCPUs ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.4 NAME 'Mds' SUP top STRUCTURAL MAY mds-vo-name )
"""
#: GLUE 2 in the same way, with object ids of our own: each class may have any of the attributes.
GLUE2_CLASSES = (
    *("Domain", "Group", "Service", "Resource"),
    *("Benchmark", "ExecutionEnvironment", "ComputingShare", "ComputingEndpoint"),
)
GLUE2_ATTRIBUTES = (
    *("DomainID", "GroupID", "ServiceID", "ResourceID", "BenchmarkID", "ShareID", "EndpointID"),
    *("EntityOtherInfo", "BenchmarkType", "BenchmarkValue", "BenchmarkExecutionEnvironmentForeignKey"),
    *("ExecutionEnvironmentTotalInstances", "ExecutionEnvironmentLogicalCPUs", "EndpointURL"),
)
TEXT = "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15"
CONFIG = """\
include /etc/ldap/schema/core.schema
include {folder}/glue.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
access to * by * read
database mdb
suffix "o=grid"
directory {folder}/grid
maxsize 67108864
database mdb
suffix "o=glue"
directory {folder}/glue
maxsize 67108864
"""


def _glue2_schema() -> str:
    lines = [
        "attributetype ( 1.3.6.1.4.1.8005.101.1.%d NAME 'GLUE2%s' %s )" % (number, name, TEXT)
        for number, name in enumerate(GLUE2_ATTRIBUTES, 1)
    ]
    may = " $ ".join("GLUE2" + name for name in GLUE2_ATTRIBUTES)
    lines += [
        "objectclass ( 1.3.6.1.4.1.8005.101.2.%d NAME 'GLUE2%s' SUP top STRUCTURAL MAY ( %s ) )"
        % (number, name, may)
        for number, name in enumerate(GLUE2_CLASSES, 1)
    ]
    return "\n".join(lines) + "\n"


class Slapd(Server):
    """One slapd with the entries of `ldif` (o=grid) and `glue2` (o=glue): `host`, `port`."""

    runs_as = "openldap"
    host = "127.0.0.1"

    def __init__(self, ldif: str, glue2: str = "") -> None:
        self._slapd = find_program(["slapd"], "slapd")
        super().__init__(private_folder("slapd"))
        self.port = free_port()
        self.log_file = os.path.join(self.folder, "log")
        self._write("glue.schema", SCHEMA.format(text=TEXT) + _glue2_schema())
        self._write("slapd.conf", CONFIG.format(folder=self.folder))
        for name in ("grid", "glue"):
            os.makedirs(os.path.join(self.folder, name))
        for name, text in (("grid", ldif), ("glue", glue2)):
            self._write(name + ".ldif", text)
            if text:
                self._load(name)
        lend(self.folder, self.runs_as)

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _load(self, name: str) -> None:
        slapadd = find_program(["slapadd"], "slapd")
        files = ["-f", self.folder + "/slapd.conf", "-l", "%s/%s.ldif" % (self.folder, name)]
        words = [slapadd, *files, "-b", "o=" + name]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            shutil.rmtree(self.folder)
            raise ServerFailed("slapadd failed:\n%s" % done.stdout.decode("utf-8", "replace"))

    def command(self) -> List[str]:
        url = "ldap://%s:%d" % (self.host, self.port)
        return [self._slapd, "-f", self.folder + "/slapd.conf", "-h", url, "-d", "0"]

    def ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True
