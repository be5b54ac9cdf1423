"""The messenger with each release of stomp.py that a supported system may have, through a real broker."""

import os
import subprocess
import sys

import pytest
from messenger import Ends

GOOD = ("4.1.24", "7.0.0", "8.1.0", "8.2.0")
BAD = "9.0.0"
HERE = os.path.dirname(os.path.abspath(__file__))
UNIT_TESTS = os.path.join(os.path.dirname(HERE), "unit", "ssm", "test_stomp_transport.py")
SAY = "import stomp; v = stomp.__version__; print(v if isinstance(v, str) else '.'.join(map(str, v)))"
RUN = "import sys; from ssm.commands.%s import main; sys.exit(main(sys.argv[1:]))"


class Library:
    """One release of stomp.py, in a folder that comes before what is installed."""

    def __init__(self, version, folder):
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        done = run([*command, "--target", folder, "stomp.py==%s" % version])
        if done.returncode != 0:
            pytest.fail("stomp.py %s can't be installed: %s" % (version, done.stdout), pytrace=False)
        self.environment = dict(os.environ, PYTHONPATH=folder, PYTHONWARNINGS="ignore")
        said = self.python("-c", SAY).stdout.strip()
        assert said == version, "another stomp.py is found first"

    def python(self, *words):
        """Run Python with this release; the finished process, with what it printed."""
        return run([sys.executable, *words], self.environment)


def run(words, environment=None):
    return subprocess.run(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=300,
    )


@pytest.mark.parametrize("version", GOOD)
def test_messages_go_and_come_with_this_release(activemq, pki, tmp_path, version):
    library = Library(version, str(tmp_path / "stomp"))
    ends = Ends(activemq, pki, str(tmp_path))
    texts = ends.fill(50)
    sent = library.python("-c", RUN % "ssmsend", "-c", ends.write_sender_config())
    assert sent.returncode == 0, sent.stdout
    assert ends.outgoing.count() == 0
    config = ends.write_receiver_config()
    words = ("-c", RUN % "ssmreceive", "-c", config, "-d", ends.dns, "--once", "--timeout", "2")
    for _ in range(20):
        received = library.python(*words)
        assert received.returncode == 0, received.stdout
        if len(ends.arrived()) >= len(texts):
            break
    assert sorted(message["body"] for message in ends.arrived()) == sorted(texts)
    # What it does when the broker misbehaves: heart-beats, errors, half messages, acknowledgements.
    # (Old releases call what new Pythons deprecate.)
    words = ("-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning")
    unit = library.python("-m", "pytest", *words, UNIT_TESTS)
    assert unit.returncode == 0, unit.stdout


@pytest.mark.skipif(sys.version_info < (3, 10), reason="stomp.py 9 wants Python 3.10")
def test_release_that_never_notices_a_lost_line_is_refused(activemq, pki, tmp_path):
    library = Library(BAD, str(tmp_path / "stomp"))
    ends = Ends(activemq, pki, str(tmp_path))
    ends.fill(1)
    sent = library.python("-c", RUN % "ssmsend", "-c", ends.write_sender_config())
    assert sent.returncode == 2
    assert "stomp.py 9.0.0 is installed, but must be 4.1.24 or newer and older than 9" in sent.stdout
    assert ends.outgoing.count() == 1
