"""Builds the packages for one release of EL: `make rpm EL=9`, on EL or anywhere that has rpmbuild."""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Dict, Iterable, List, Tuple

from contents import COMMON
from releases import RELEASES, Release

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)


def version() -> str:
    """The version of the suite, from the one place that states it."""
    with open(os.path.join(SOURCE, "apelcommon", "__init__.py"), encoding="utf-8") as stream:
        found = re.search(r'^__version__ = "([^"]+)"', stream.read(), re.MULTILINE)
    if found is None:
        raise SystemExit("build.py: apelcommon/__init__.py states no version")
    return found.group(1)


def need(program: str) -> None:
    """End here if a program is missing."""
    if shutil.which(program) is None:
        raise SystemExit("build.py: %s is missing: install rpm-build (EL) or rpm (Debian)" % program)


def make_source(folder: str) -> None:
    """The source package, made from a copy: building leaves nothing in the checkout."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = os.path.join(temporary, "source")
        ignored = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info", "tests", "bench")
        shutil.copytree(SOURCE, copy, ignore=ignored)
        command = [sys.executable, "-W", "ignore", "setup.py", "-q", "sdist", "--formats=gztar", "-d", folder]
        subprocess.run(command, cwd=copy, check=True, stderr=subprocess.DEVNULL)


def fetch_bundled(el: str, release: Release, folder: str) -> List[str]:
    """Download the wheels that are bundled, as their hashes say; their names."""
    listed = os.path.join(HERE, "bundled", "el%s.txt" % el)
    platforms = [release.platform, "manylinux1_x86_64"] if release.platform else []
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-d", folder, "-r", listed]
    command += ["--python-version", release.python_version, "--implementation", "cp"]
    command += [word for platform in platforms for word in ("--platform", platform)]
    if subprocess.run(command).returncode:
        raise SystemExit("build.py: pip could not download what rpm/bundled/el%s.txt lists (above)" % el)
    wheels = sorted(os.path.basename(path) for path in glob.glob(os.path.join(folder, "*.whl")))
    missing = [each.pip for each in release.bundled if not any(is_of(each.pip, name) for name in wheels)]
    if missing:
        raise SystemExit("build.py: not downloaded: %s" % ", ".join(missing))
    return wheels


def is_of(project: str, wheel: str) -> bool:
    """Whether the file name of a wheel is of a project."""
    return wheel.lower().startswith(project.lower().replace("-", "_") + "-")


def write_spec(el: str, release: Release, wheels: List[str], path: str) -> None:
    """The spec file of a release, from rpm/apel.spec.in."""
    with open(os.path.join(HERE, "apel.spec.in"), encoding="utf-8") as stream:
        text = stream.read()
    words = {"@VERSION@": version(), "@EL@": el, "@PYTHON@": release.python}
    words["@NOARCH@"] = "" if release.platform else "BuildArch:      noarch"
    words["@NOARCH_PART@"] = "BuildArch:      noarch" if release.platform else ""
    words["@SOURCES@"] = tags(("Source%d" % n, name) for n, name in enumerate(wheels, 1))
    words["@WHEELS@"] = " ".join("%%{SOURCE%d}" % n for n in range(1, len(wheels) + 1))
    words.update(required(release))
    for word, value in words.items():
        text = text.replace(word, value)
    left = re.findall(r"@[A-Z_]+[^ \n]*@", text)
    if left:
        raise SystemExit("build.py: the spec file still has %s" % " ".join(left))
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(re.sub(r"\n{3,}", "\n\n", text))


def required(release: Release) -> Dict[str, str]:
    """`@REQUIRES_apel-lib@` → the tags of what a package needs of the distribution and bundles."""
    found: Dict[str, str] = {}
    for package in (COMMON, "apel-lib", "apel-ssm"):
        mine = [each for each in release.required if each.package == package]
        lines = [("Recommends" if each.weak else "Requires", each.requirement) for each in mine]
        if package == COMMON:
            pairs = [(each.pip.lower().replace(".", "-"), each.version) for each in release.bundled]
            lines += [("Provides", "bundled(python3dist(%s)) = %s" % pair) for pair in pairs]
        found["@REQUIRES_%s@" % package] = tags(lines)
    return found


def tags(pairs: Iterable[Tuple[str, str]]) -> str:
    """Lines of the spec file, in columns."""
    return "\n".join("%-15s %s" % (name + ":", value) for name, value in pairs)


def compiler(release: Release) -> str:
    """A Python of the release's version, for byte code; or nothing."""
    name = "python" + release.python_version
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    folders = glob.glob(os.path.join(pyenv, "versions", release.python_version + ".*", "bin"))
    folders += [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    candidates = [release.python, *(os.path.join(folder, name) for folder in folders)]
    for path in candidates:
        # The shims of pyenv answer only for the versions that it has switched on.
        if os.access(path, os.X_OK) and "/shims/" not in path and is_version(path, release.python_version):
            return path
    return ""


def is_version(python: str, wanted: str) -> bool:
    """Whether an interpreter is of a version."""
    code = "import sys; sys.exit('%d.%d' % sys.version_info[:2] != sys.argv[1])"
    return subprocess.run([python, "-c", code, wanted]).returncode == 0


def macros_elsewhere() -> List[str]:
    """On a host that isn't EL, its macros by hand."""
    done = subprocess.run(["rpm", "--eval", "%{?rhel}"], stdout=subprocess.PIPE, check=True)
    return [] if done.stdout.strip() else ["--load", os.path.join(HERE, "macros.el")]


def build(el: str, target: str) -> List[str]:
    """Build into the folder `target`; the paths of the packages."""
    release = RELEASES[el]
    with tempfile.TemporaryDirectory(prefix="apel-rpm-") as top:
        sources = os.path.join(top, "SOURCES")
        os.makedirs(sources)
        make_source(sources)
        wheels = fetch_bundled(el, release, sources)
        spec = os.path.join(top, "apel.spec")
        write_spec(el, release, wheels, spec)
        run_rpmbuild(el, top, spec, compiler(release))
        os.makedirs(target, exist_ok=True)
        built = glob.glob(os.path.join(top, "RPMS", "*", "*.rpm")) + glob.glob(
            os.path.join(top, "SRPMS", "*.rpm")
        )
        return sorted(shutil.copy(path, target) for path in built)


def run_rpmbuild(el: str, top: str, spec: str, python: str) -> None:
    """Run rpmbuild; its output is shown if it fails."""
    defines = {"_topdir": top, "rhel": el, "dist": ".el" + el, "el" + el: "1"}
    # EL7's rpm reads no zstd.
    defines.update(_binary_payload="w9.gzdio", _source_payload="w9.gzdio")
    defines.update({"apel_compiler": python} if python else {"apel_compiler": "%{nil}"})
    command = ["rpmbuild", "-ba", "--nodeps", *macros_elsewhere()]
    command += [word for name, value in defines.items() for word in ("--define", "%s %s" % (name, value))]
    done = subprocess.run([*command, spec], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write(done.stdout.decode("utf-8", "replace"))
        raise SystemExit("build.py: rpmbuild failed (above)")
    if not python:
        print("build.py: no Python %s here: no byte code is packaged." % RELEASES[el].python_version)


def main(argv: List[str]) -> None:
    """Build and say what was built."""
    parser = argparse.ArgumentParser(prog="rpm/build.py", description=__doc__, epilog="Example: build.py 9")
    parser.add_argument("el", choices=sorted(RELEASES), help="the release of EL")
    parser.add_argument("--target", default="", help="where the packages go (default: dist/elN)")
    args = parser.parse_args(argv)
    need("rpmbuild")
    for path in build(args.el, args.target or os.path.join(SOURCE, "dist", "el" + args.el)):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
