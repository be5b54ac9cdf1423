"""Installs the suite into the build root of rpmbuild, and writes the list of files of each package.

Called by %install of the spec file, in the unpacked source: needs nothing but Python 3.6.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import Dict, List

from contents import COMMON, DIRECTORIES, LIB, PACKAGES, USER, Config, Package
from releases import RELEASES, Release
from units import adapt

SHARE = "/usr/share/apel"
COMPLETIONS = "/usr/share/bash-completion/completions/"
LICENCES = "/usr/share/licenses/apel-common"
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)
# Inserted into each command, for modules that the release hasn't, and for what one says on each start.
BUNDLED_LINE = """import sys
import warnings

sys.path.insert(0, %r)
warnings.filterwarnings("ignore", message="Python 3.6 is no longer supported")
"""
LICENCE_NAMES = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
NOT_INSTALLED = shutil.ignore_patterns("__pycache__", "*.py[cod]")


class BuildRoot:
    """The tree below %{buildroot}, and which package each of its files is in."""

    def __init__(self, root: str, release: Release) -> None:
        self.root = root
        self.release = release
        self.files: Dict[str, List[str]] = {package: [] for package in PACKAGES}

    def path(self, target: str) -> str:
        """Where in the build root a path of the installed system is; its folder exists."""
        path = self.root + target
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def own(self, package: str, target: str, mode: int = 0o644, owner: str = "root", mark: str = "") -> None:
        """Put a file into the list of a package. `mark` is a directive of %files."""
        attributes = "%%attr(%04o, %s, %s)" % (mode, owner, owner)
        self.files[package].append(" ".join(filter(None, [attributes, mark, target])))

    def write(self, package: str, target: str, text: str, mode: int = 0o644, mark: str = "") -> None:
        """Write a file."""
        with open(self.path(target), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(self.root + target, mode)
        self.own(package, target, mode, mark=mark)

    def copy(self, package: str, source: str, target: str, mode: int = 0o644, mark: str = "") -> None:
        """Copy a file of the source."""
        shutil.copy(os.path.join(SOURCE, source), self.path(target))
        os.chmod(self.root + target, mode)
        self.own(package, target, mode, mark=mark)

    def tree(self, package: str, source: str, target: str) -> None:
        """Copy a folder, all of it owned by one package."""
        shutil.copytree(os.path.join(SOURCE, source), self.path(target), ignore=NOT_INSTALLED)
        for folder, _, names in os.walk(self.root + target):
            os.chmod(folder, 0o755)
            for name in names:
                os.chmod(os.path.join(folder, name), 0o644)
        self.files[package].append(target)

    def write_lists(self, folder: str) -> None:
        """Write `<package>.files` for the -f of %files."""
        for package, lines in self.files.items():
            with open(os.path.join(folder, package + ".files"), "w", encoding="utf-8") as stream:
                stream.write("".join(line + "\n" for line in lines))


def read(*path: str) -> str:
    """A text of the source."""
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as stream:
        return stream.read()


def install_package(root: BuildRoot, name: str, contents: Package) -> None:
    """What the tables say is in a package."""
    for module in contents.modules:
        root.tree(name, module, "%s/%s" % (root.release.site_packages, module))
    for command in contents.commands:
        install_command(root, name, command)
    for config in contents.configs:
        install_config(root, name, config)
    for unit in contents.units:
        text = adapt(read("rpm", "systemd", unit), root.release.systemd)
        root.write(name, "/usr/lib/systemd/system/" + unit, text)
    if contents.logrotate:
        source = os.path.join("rpm", "logrotate", contents.logrotate)
        root.copy(name, source, "/etc/logrotate.d/" + contents.logrotate, mark="%config(noreplace)")
    if contents.tmpfiles:
        source = os.path.join("rpm", "tmpfiles", contents.tmpfiles)
        root.copy(name, source, "/usr/lib/tmpfiles.d/" + contents.tmpfiles)
    for script in contents.scripts:
        root.copy(name, os.path.join("rpm", "compat", script), "%s/%s" % (SHARE, script), 0o755)
    for link, target in contents.links:
        os.symlink(target, root.path("%s/%s" % (SHARE, link)))
        root.files[name].append("%s/%s" % (SHARE, link))


def install_command(root: BuildRoot, package: str, command: str) -> None:
    """A command, its manual page and its completion."""
    root.write(package, "/usr/bin/" + command, entry_script(command, root.release), 0o755)
    with gzip.GzipFile(root.path("/usr/share/man/man1/%s.1.gz" % command), "wb", mtime=0) as packed:
        packed.write(read("man", command + ".1").encode("utf-8"))
    root.own(package, "/usr/share/man/man1/%s.1.gz" % command)
    root.copy(package, os.path.join("completions", command), COMPLETIONS + command)


def install_config(root: BuildRoot, package: str, config: Config) -> None:
    """A sample of conf/ in /etc/apel. Who has the password in it is the user that runs the programs."""
    target = "/etc/apel/" + config.name
    shutil.copy(os.path.join(SOURCE, "conf", config.name), root.path(target))
    mode, owner = (0o600, USER) if config.secret else (0o644, "root")
    os.chmod(root.root + target, mode)
    root.own(package, target, mode, owner, "%config(noreplace)")


def entry_script(command: str, release: Release) -> str:
    """A command: run by the release's own Python, whatever `python3` is, with our bundle first."""
    head, _, body = read("bin", command).partition("\n")
    if not head.startswith("#!") or body.count("\nimport sys\n") != 1:
        raise SystemExit("bin/%s: not an entry script as the others are" % command)
    bundled = "\n" + BUNDLED_LINE % release.private
    return "#!%s -s\n%s" % (release.python, body.replace("\nimport sys\n", bundled, 1))


def install_shared(root: BuildRoot) -> None:
    """What all packages share: directories, the user, samples, documentation."""
    for directory in DIRECTORIES:
        os.makedirs(root.root + directory.path, exist_ok=True)
        root.own(COMMON, directory.path, directory.mode, directory.owner, "%dir")
    os.makedirs(root.root + "/run/apel", exist_ok=True)
    root.own(COMMON, "/run/apel", 0o755, USER, "%ghost %dir")
    if root.release.systemd >= 239:
        root.copy(COMMON, "rpm/sysusers.conf", "/usr/lib/sysusers.d/apel.conf")
    root.tree(COMMON, "conf", SHARE + "/conf")
    root.tree(LIB, "schemas", SHARE + "/schemas")
    root.tree(COMMON, "docs", "/usr/share/doc/apel-common/docs")
    for name in ("README.md", "CHANGELOG.md"):
        root.copy(COMMON, name, "/usr/share/doc/apel-common/" + name, mark="%doc")
    root.files[COMMON].append("%dir /usr/share/doc/apel-common")
    shutil.copy(os.path.join(SOURCE, "LICENSE"), root.path(LICENCES + "/LICENSE"))
    root.files[COMMON].append(LICENCES)


def install_bundled(root: BuildRoot, wheels: List[str]) -> None:
    """Unpack the bundled wheels into our private path, their licences beside ours."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                unpack(root, archive, name, os.path.basename(wheel).split("-")[0])
    target = os.path.dirname(root.release.private)
    root.files[COMMON].append(target)
    for folder, _, names in os.walk(root.root + target):
        os.chmod(folder, 0o755)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o755 if name.endswith(".so") else 0o644)


def unpack(root: BuildRoot, archive: zipfile.ZipFile, name: str, project: str) -> None:
    """One file of a wheel: modules and licences; not the metadata, which would claim to be installed."""
    top = name.split("/")[0]
    if name.endswith("/") or top.endswith(".data") or not_needed(name):
        return
    if not top.endswith(".dist-info"):
        target = "%s/%s" % (root.release.private, name)
    elif LICENCE_NAMES.search(os.path.basename(name)):
        target = "%s/%s/%s" % (LICENCES, project, os.path.basename(name))
    else:
        return
    with open(root.path(target), "wb") as stream:
        stream.write(archive.read(name))


def not_needed(name: str) -> bool:
    """Headers for compiling, tests, and what would belong outside of the modules."""
    return name.endswith((".h", ".sh", ".1", "_wsdump.py")) or "/tests/" in name


def compile_modules(root: BuildRoot, python: str) -> None:
    """Compile to byte code, which the user apel could not write. Another Python's would be of no use."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([python, "-c", code], stdout=subprocess.PIPE).stdout.decode().strip()
    if version != root.release.python_version:
        text = "install.py: %s is Python %s, not %s: no byte code is made, and commands start slower."
        print(text % (python, version or "?", root.release.python_version), file=sys.stderr)
        return
    for top in (root.release.site_packages, root.release.private):
        command = [python, "-m", "compileall", "-q", "-f", "-d", top, root.root + top]
        subprocess.run(command, check=True)


def main(argv: List[str]) -> None:
    """Install everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="the build root")
    parser.add_argument("--el", required=True, choices=sorted(RELEASES), help="the release of EL")
    parser.add_argument("--compiler", default="", help="the Python that makes byte code")
    parser.add_argument("wheels", nargs="*", help="what is bundled")
    args = parser.parse_args(argv)
    root = BuildRoot(args.root, RELEASES[args.el])
    install_shared(root)
    for name, contents in PACKAGES.items():
        install_package(root, name, contents)
    install_bundled(root, args.wheels)
    if args.compiler:
        compile_modules(root, args.compiler)
    root.write_lists(os.getcwd())


if __name__ == "__main__":
    main(sys.argv[1:])
