"""What each release of EL has of what we need, and what is bundled because it hasn't.

The table "Where the packages come from" of docs/install.md says the same; a test compares.
"""

from typing import Dict, NamedTuple, Tuple


class Required(NamedTuple):
    """A package of the distribution: `needs` is our floor, `has` the version it has in `repository`.

    `pip` is its name there, for the tests, which take that version of it.
    """

    package: str
    rpm: str
    needs: str
    has: str
    repository: str
    pip: str = ""
    weak: bool = False

    @property
    def requirement(self) -> str:
        """The line of the spec file after its colon."""
        return "%s >= %s" % (self.rpm, self.needs) if self.needs else self.rpm


class Bundled(NamedTuple):
    """A wheel under our private path. Which one, by its hash, is in rpm/bundled/elN.txt."""

    pip: str
    version: str
    licence: str


class Release(NamedTuple):
    """One release of EL. `python` runs the commands; `systemd` is the version its units may count on."""

    python: str
    python_version: str
    systemd: int
    required: Tuple[Required, ...]
    bundled: Tuple[Bundled, ...]
    #: pip's word for the machine, where a bundled wheel is compiled; then apel-common is not noarch.
    platform: str = ""

    @property
    def site_packages(self) -> str:
        """Where Python modules of the distribution are."""
        return "/usr/lib/python%s/site-packages" % self.python_version

    @property
    def private(self) -> str:
        """Where the bundled modules are."""
        return "/usr/%s/apel/site-packages" % ("lib64" if self.platform else "lib")


STOMP = Bundled("stomp.py", "8.1.0", "Apache-2.0")
# stomp.py imports it, though we have no use for it.
WEBSOCKET = Bundled("websocket-client", "1.3.1", "Apache-2.0")
TQDM = Bundled("tqdm", "4.62.3", "MPL-2.0 AND MIT")
PYMYSQL = Bundled("PyMySQL", "1.0.2", "MIT")
ASN1CRYPTO = Bundled("asn1crypto", "1.5.1", "MIT")
COMMON, LIB, SSM = "apel-common", "apel-lib", "apel-ssm"

RELEASES: Dict[str, Release] = {
    "7": Release(
        python="/usr/bin/python3",
        python_version="3.6",
        systemd=219,
        platform="manylinux2014_x86_64",
        required=(
            Required(COMMON, "python3", "3.6", "3.6.8", "base"),
            Required(COMMON, "libgcc", "", "4.8.5", "base"),
        ),
        bundled=(
            STOMP,
            WEBSOCKET,
            TQDM,
            PYMYSQL,
            ASN1CRYPTO,
            Bundled("cryptography", "40.0.2", "Apache-2.0 OR BSD-3-Clause"),
            Bundled("pyOpenSSL", "23.2.0", "Apache-2.0"),
            Bundled("cffi", "1.15.1", "MIT"),
            Bundled("pycparser", "2.21", "BSD-3-Clause"),
        ),
    ),
    "8": Release(
        python="/usr/libexec/platform-python",
        python_version="3.6",
        systemd=239,
        required=(
            Required(COMMON, "platform-python", "3.6", "3.6.8", "BaseOS"),
            Required(LIB, "python3-ldap", "", "3.3.1", "AppStream", "python-ldap", weak=True),
            Required(SSM, "python3-cryptography", "3.2.1", "3.2.1", "BaseOS", "cryptography"),
            Required(SSM, "python3-pyOpenSSL", "19.0.0", "19.0.0", "AppStream", "pyOpenSSL"),
            Required(SSM, "python3-asn1crypto", "0.24.0", "0.24.0", "BaseOS", "asn1crypto"),
        ),
        bundled=(STOMP, WEBSOCKET, TQDM, PYMYSQL),
    ),
    "9": Release(
        python="/usr/bin/python3",
        python_version="3.9",
        systemd=252,
        required=(
            Required(COMMON, "python3", "3.9", "3.9.18", "BaseOS"),
            Required(LIB, "python3-PyMySQL", "0.9.3", "0.10.1", "AppStream", "PyMySQL"),
            Required(LIB, "python3-ldap", "", "3.4.3", "AppStream", "python-ldap", weak=True),
            Required(SSM, "python3-cryptography", "3.2.1", "36.0.1", "BaseOS", "cryptography"),
            Required(SSM, "python3-pyOpenSSL", "19.0.0", "21.0.0", "AppStream", "pyOpenSSL"),
        ),
        bundled=(STOMP, WEBSOCKET, TQDM, ASN1CRYPTO),
    ),
}
