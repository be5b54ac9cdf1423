"""Installs the suite: the packages apel, ssm and apelcommon, the commands, schemas and samples."""

import os
import re
from glob import glob

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*path: str) -> str:
    """A text file of the checkout, or nothing where it is not there (a trimmed source package)."""
    name = os.path.join(HERE, *path)
    if not os.path.exists(name):
        return ""
    with open(name, encoding="utf-8") as stream:
        return stream.read()


def version() -> str:
    """The version, from the one place that states it; read, since importing needs the dependencies."""
    match = re.search(r'^__version__ = "([^"]+)"', read("apelcommon", "__init__.py"), re.MULTILINE)
    if match is None:
        raise RuntimeError('apelcommon/__init__.py has no line __version__ = "..."')
    return match.group(1)


def shared_files(*folders: str) -> list:
    """(where, files) for data_files: the folders as they are, below share/apel of the prefix."""
    found = []
    for top in folders:
        for folder, _, names in sorted(os.walk(os.path.join(HERE, top))):
            relative = os.path.relpath(folder, HERE)
            files = [os.path.join(relative, name) for name in sorted(names) if not name.startswith(".")]
            if files:
                found.append((os.path.join("share", "apel", relative), files))
    return found


# Python 3.14 has zstd itself; for 3.6 there is no release of the package that notices a cut file.
ZSTD = ["zstandard>=0.19; python_version>='3.7' and python_version<'3.14'"]
TEST = ["pytest>=7.0", "hypothesis>=6.31", "defusedxml", "dirq>=1.7", "PyYAML", "setuptools", "wheel", *ZSTD]
# For these there are wheels. Elsewhere the extra is empty, and the tests that need it say so.
FUZZ = ["atheris>=3.0; python_version>='3.11' and python_version<'3.14' and platform_machine=='x86_64'"]
DOCS = ["mkdocs>=1.5,<2"]
LINT = ["ruff", "mypy", "vermin", "types-PyMySQL", "types-tqdm"]

setup(
    name="apel",
    version=version(),
    description="Accounting for grid and batch computing: collect, send, load and summarise job records",
    long_description=read("README.md"),
    long_description_content_type="text/markdown",
    author="The APEL developers",
    license="Apache-2.0",
    python_requires=">=3.6",
    packages=find_packages(include=["apel", "apel.*", "ssm", "ssm.*", "apelcommon", "apelcommon.*"]),
    package_data={"apel.pubsync": ["assets/*"]},
    scripts=sorted(glob(os.path.join("bin", "*"))),
    data_files=[
        *shared_files("schemas", "conf"),
        # Where `man` and the shell look, in a virtual environment too once its bin/ is in PATH.
        (os.path.join("share", "man", "man1"), sorted(glob(os.path.join("man", "*.1")))),
        (
            os.path.join("share", "bash-completion", "completions"),
            sorted(glob(os.path.join("completions", "*"))),
        ),
    ],
    install_requires=[
        "PyMySQL>=0.9.3",
        # 9.0.0 never notices that a TLS peer has gone, and hangs in connect when the broker refuses us.
        "stomp.py>=4.1.24,<9",
        "cryptography>=3.2.1",
        "pyOpenSSL>=19",
        "asn1crypto>=0.24",
        "tqdm",
    ],
    extras_require={
        # AMS is spoken with the standard library; the name is there for instructions that ask for it.
        "ams": [],
        "ldap": ["python-ldap"],
        # MySQL 8 wants a password encrypted with its RSA key where the connection has no TLS.
        "mysql": ["PyMySQL[rsa]>=0.9.3"],
        "zstd": ZSTD,
        "test": TEST,
        "lint": LINT,
        "docs": DOCS,
        "fuzz": FUZZ,
    },
    zip_safe=False,
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Console",
        "Environment :: No Input/Output (Daemon)",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: System :: Systems Administration",
    ],
)
