"""A private LDAP server that plays a BDII: GLUE 1.3 objects of one site, read from LDIF."""

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
objectclass ( 1.3.6.1.4.1.8005.100.2.1.1 NAME 'GlueCE' SUP top STRUCTURAL
  MAY ( GlueCEUniqueID $ GlueCECapability $ GlueForeignKey ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.2 NAME 'GlueCluster' SUP top STRUCTURAL
  MUST GlueClusterUniqueID MAY ( GlueForeignKey $ GlueClusterName ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.3 NAME 'GlueSubCluster' SUP top STRUCTURAL
  MUST GlueSubClusterUniqueID MAY ( GlueChunkKey $ GlueHostBenchmarkSI00 ) )
objectclass ( 1.3.6.1.4.1.8005.100.2.1.4 NAME 'Mds' SUP top STRUCTURAL MAY mds-vo-name )
"""
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
"""


class Slapd(Server):
    """One slapd with the entries of `ldif`: `host`, `port`."""

    runs_as = "openldap"
    host = "127.0.0.1"

    def __init__(self, ldif: str) -> None:
        self._slapd = find_program(["slapd"], "slapd")
        super().__init__(private_folder("slapd"))
        self.port = free_port()
        self.log_file = os.path.join(self.folder, "log")
        os.makedirs(os.path.join(self.folder, "grid"))
        self._write("glue.schema", SCHEMA.format(text=TEXT))
        self._write("slapd.conf", CONFIG.format(folder=self.folder))
        self._write("grid.ldif", ldif)
        self._load()
        lend(self.folder, self.runs_as)

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _load(self) -> None:
        slapadd = find_program(["slapadd"], "slapd")
        words = [slapadd, "-f", self.folder + "/slapd.conf", "-b", "o=grid", "-l", self.folder + "/grid.ldif"]
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
