"""A root directory that stands for a host with EL: a shell, its tools, a Python, and rpm's database.

Packages are installed into it with `rpm --root`, and their scriptlets and commands run in it (chroot). What
the distribution would have installed is a stand-in package that provides it; its Python is one of this
machine of the same version, with the distribution's versions of the libraries from the package index.
"""

import glob
import os
import re
import shutil
import stat
import subprocess
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "rpm"))

import build  # noqa: E402 - of rpm/, which is no package
import contents  # noqa: E402, F401 - for the tests
import releases  # noqa: E402
import units  # noqa: E402, F401 - for the tests

SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
CHROOT = shutil.which("chroot", path=SBIN) or "chroot"
TOOLS = (
    "bash",
    "cat",
    "chmod",
    "chown",
    "cp",
    "date",
    "false",
    "getent",
    "grep",
    "gzip",
    "ls",
    "mkdir",
    "mv",
)
TOOLS += ("kill", "rm", "sleep", "true", "groupadd", "useradd", "logrotate")
# These need a running system: their stand-ins note what they were asked.
STUBS = ("systemctl", "systemd-tmpfiles")
STUB = '#!/bin/sh\necho "${0##*/} $*" >>/asked\n'
NOT_COPIED = shutil.ignore_patterns(
    "test", "tests", "config-*", "site-packages", "idlelib", "ensurepip", "lib2to3", "*.a"
)
DEBIANS_REMARKS = (
    "rpm: RPM should not be used directly install RPM packages, use Alien instead!",
    "rpm: However assuming you know what you are doing...",
)
BASE = ("/bin/sh", "/usr/bin/python3", "/usr/libexec/platform-python", "logrotate", "shadow-utils", "systemd")


class File(NamedTuple):
    """A file of a package, as rpm tells it."""

    package: str
    path: str
    mode: str
    owner: str
    flags: str

    @property
    def is_directory(self) -> bool:
        return self.mode.startswith("d")


def run(words: Sequence[str], **more: Any) -> str:
    """Run to the end; what it printed, both ways. Fails with that when it fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, "%s\n%s" % (" ".join(words), output)
    return output


def query(form: str, *packages: str) -> List[str]:
    """The lines of `rpm -qp --qf`."""
    return run(["rpm", "-qp", "--qf", form, *packages]).splitlines()


def files_of(package: str) -> List[File]:
    """All files of a package file."""
    form = "[%{=NAME}|%{FILENAMES}|%{FILEMODES:perms}|%{FILEUSERNAME}:%{FILEGROUPNAME}|%{FILEFLAGS:fflags}\n]"
    return [File(*line.split("|")) for line in query(form, package) if "|" in line]


class ElRoot:
    """One such root."""

    def __init__(self, folder: str, el: str) -> None:
        self.folder = folder
        self.el = el
        self.release = releases.RELEASES[el]
        self.python = build.compiler(self.release)
        self._make_folders()
        for tool in TOOLS:
            self._copy_program(tool)
        os.symlink("bash", self.path("/usr/bin/sh"))
        for stub in STUBS:
            self.write("/usr/bin/" + stub, STUB, 0o755)
        self.write("/asked", "", 0o666)

    def remove(self) -> None:
        """Give the space back: it is much."""
        shutil.rmtree(self.folder)

    def path(self, inside: str) -> str:
        """Where a path of the root is on this machine."""
        return self.folder + inside

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file."""
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(self.path(inside), mode)

    def add_file(self, source: str, inside: str, owner: str = "") -> None:
        """Copy a file of this machine, and give it to a user of the root."""
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        shutil.copy(source, self.path(inside))
        if owner:
            os.chown(self.path(inside), user_of(self, owner) or 0, -1)

    def read(self, inside: str) -> str:
        """The text of a file."""
        with open(self.path(inside), encoding="utf-8") as stream:
            return stream.read()

    def exists(self, inside: str) -> bool:
        return os.path.lexists(self.path(inside))

    def _make_folders(self) -> None:
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        for name in (
            "usr/bin",
            "usr/lib",
            "usr/lib64",
            "usr/libexec",
            "etc/logrotate.d",
            "var/log",
            "var/lib",
        ):
            os.makedirs(os.path.join(self.folder, name))
        for name in ("dev", "tmp", "run", "srv", "root", "usr/share"):
            os.makedirs(os.path.join(self.folder, name))
        for link, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin")):
            os.symlink(target, os.path.join(self.folder, link))
        for name in ("lib", "lib64"):
            os.symlink("usr/" + name, os.path.join(self.folder, name))
        os.symlink("../run", os.path.join(self.folder, "var/run"))
        os.chmod(self.path("/tmp"), 0o1777)
        os.mknod(self.path("/dev/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(self.path("/dev/null"), 0o666)
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.write("/etc/group", "root:x:0:\n")

    def _copy_program(self, name: str) -> None:
        program = shutil.which(name, path=SBIN)
        assert program, "%s is not on this machine" % name
        shutil.copy(program, self.path("/usr/bin/" + name))
        self._copy_libraries([program])

    def _copy_libraries(self, binaries: Sequence[str]) -> None:
        """The shared libraries of programs, at the same paths."""
        if not binaries:
            return
        done = subprocess.run(["ldd", *binaries], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for library in set(re.findall(r"(/\S+\.so\S*) \(0x", done.stdout.decode())):
            target = self.path(library)
            if not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.realpath(library), target)

    def add_python(self) -> None:
        """The release's Python, from this machine, and the libraries that the distribution would have."""
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(self.python)))
        library = "%s/lib/python%s" % (prefix, self.release.python_version)
        shutil.copytree(library, self.path(library), ignore=NOT_COPIED)
        os.makedirs(self.path(prefix + "/bin"), exist_ok=True)
        shutil.copy(os.path.realpath(self.python), self.path(prefix + "/bin/python"))
        self._copy_libraries([os.path.realpath(self.python), *glob.glob(library + "/lib-dynload/*.so")])
        # Of every distribution; a thread that ends looks for it then only.
        for shared in glob.glob("/lib/*/libgcc_s.so.1") + glob.glob("/lib64/libgcc_s.so.1"):
            os.makedirs(os.path.dirname(self.path(shared)), exist_ok=True)
            shutil.copy(shared, self.path(shared))
        for name in {"/usr/bin/python3", self.release.python}:
            os.symlink(prefix + "/bin/python", self.path(name))
        self.write(library + "/site-packages/el.pth", self.release.site_packages + "\n" + self.modules + "\n")
        self._add_modules()

    def add_libraries(self) -> None:
        """The shared libraries of all compiled modules, which the distribution has."""
        for top in (self.modules, self.release.private):
            for folder, _, names in os.walk(self.path(top)):
                compiled = [os.path.join(folder, name) for name in names if name.endswith(".so")]
                self._copy_libraries(compiled)

    @property
    def modules(self) -> str:
        """Where the distribution's compiled modules are."""
        return "/usr/lib64/python%s/site-packages" % self.release.python_version

    def _add_modules(self) -> None:
        wanted = ["%s==%s" % (r.pip, r.has) for r in self.release.required if r.pip and not r.weak]
        if wanted:
            words = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--no-compile",
            ]
            words += ["--target", self.path(self.modules), "--only-binary", ":all:", "--implementation", "cp"]
            words += ["--python-version", self.release.python_version, "--root-user-action", "ignore"]
            for machine in ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"):
                words += ["--platform", machine]
            run([*words, *wanted])

    # ------------------------------------------------------------ packages

    def rpm(self, *words: str) -> str:
        """Run rpm on the root; what it said. Scriptlets that complain are heard, too."""
        said = run(["rpm", "--root", self.folder, *words])
        return "".join(line for line in said.splitlines(True) if line.strip() not in DEBIANS_REMARKS)

    def dnf(self, *words: str, repository: str) -> str:
        """Run dnf on the root, with a folder of packages as its only repository."""
        settings = (
            "[main]\ngpgcheck=0\nplugins=0\nassumeyes=1\nreposdir=/nowhere\ncachedir={0}/cache\nlogdir={0}\n"
        )
        settings += "[apel]\nname=apel\nbaseurl=file://{0}\n"
        path = os.path.join(repository, "dnf.conf")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(settings.format(repository))
        run(["createrepo_c", "-q", repository])
        return run(["dnf", "-c", path, "--installroot", self.folder, "--releasever", self.el, *words])

    def install_base(self, folder: str) -> None:
        """Install the stand-in for the distribution: it provides what releases.py says that this EL has."""
        provided = [*BASE, "python(abi) = %s" % self.release.python_version]
        provided += ["%s = %s" % (each.rpm, each.has) for each in self.release.required]
        lines = ["Name: el-base", "Version: %s" % self.el, "Release: 1", "Summary: stand-in", "License: none"]
        lines += ["BuildArch: noarch", *("Provides: %s" % each for each in provided)]
        text = "\n".join([*lines, "%description", "Stand-in.", "%files", ""])
        self.rpm("-i", *build_spec(text, folder))

    def chroot(self, *words: str, user: str = "apel", **environment: str) -> str:
        """Run a command inside, as the user apel."""
        settings = {"PATH": "/usr/bin", "HOME": "/tmp", "TZ": "UTC", "LC_ALL": "C.UTF-8", **environment}
        return run([CHROOT, "--userspec=%s:%s" % (user, user), self.folder, *words], env=settings)

    def asked(self) -> List[str]:
        """What the stand-ins were asked since last time."""
        lines = self.read("/asked").splitlines()
        self.write("/asked", "", 0o666)
        return lines

    def create_files(self) -> None:
        """What systemd-tmpfiles does when a package is installed, and at boot."""
        run(["systemd-tmpfiles", "--root=" + self.folder, "--create", "apel.conf", "apel-parsers.conf"])

    def everything(self, *tops: str) -> List[str]:
        """Every path below some folders of the root, without rpm's own."""
        found = []
        for top in tops:
            for folder, folders, names in os.walk(self.path(top)):
                inside = folder[len(self.folder) :]
                found += [os.path.join(inside, name) for name in [*folders, *names]]
        return sorted(path for path in found if not path.startswith("/var/lib/rpm"))


def build_spec(text: str, folder: str, **defines: str) -> List[str]:
    """Build the packages of a spec file; their paths."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "stand-in.spec")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    words = ["rpmbuild", "-bb", "--nodeps", "--define", "_topdir %s" % folder]
    words += [word for name, value in defines.items() for word in ("--define", "%s %s" % (name, value))]
    run([*words, path])
    return sorted(glob.glob(os.path.join(folder, "RPMS", "*", "*.rpm")))


def user_of(root: ElRoot, name: str = "apel") -> Optional[int]:
    """The number of a user of the root."""
    found = re.search(r"^%s:[^:]*:(\d+):" % name, root.read("/etc/passwd"), re.MULTILINE)
    return int(found.group(1)) if found else None


def packages_by_name(paths: Sequence[str]) -> Dict[str, str]:
    """Name → path of package files, without the source package."""
    return {query("%{NAME}", path)[0]: path for path in paths if not path.endswith(".src.rpm")}
