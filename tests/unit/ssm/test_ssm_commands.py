"""ssmsend and ssmreceive as commands: options, exit statuses, what they say."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from apelcommon import __version__
from ssm.broker import DEFAULT_PORTS, broker_addresses, transport_problems
from ssm.commands import ssmreceive, ssmsend
from ssm.options import RECEIVER, SENDER
from ssm.queues import INCOMING, MessageQueue
from ssm.receiver import Received

# The incumbent's options and defaults (None: required there, or filled by hand).
OLD_SENDER = {
    "broker.host": "",
    "broker.port": None,
    "broker.use_ssl": True,
    "certificates.certificate": "/etc/grid-security/hostcert.pem",
    "certificates.key": "/etc/grid-security/hostkey.pem",
    "certificates.capath": "/etc/grid-security/certificates",
    "certificates.server_cert": "",
    "certificates.verify_server_cert": True,
    "messaging.ams_project": "accounting",
    "messaging.token": "",
    "messaging.path": "/var/spool/apel/outgoing",
    "messaging.path_type": "dirq",
    "logging.logfile": "/var/log/apel/ssmsend.log",
    "logging.level": "INFO",
    "logging.console": True,
}
OLD_RECEIVER = {
    "broker.host": "",
    "broker.port": None,
    "broker.use_ssl": True,
    "certificates.certificate": "/etc/grid-security/hostcert.pem",
    "certificates.key": "/etc/grid-security/hostkey.pem",
    "certificates.capath": "/etc/grid-security/certificates",
    "certificates.check_crls": False,
    "messaging.ams_project": "accounting",
    "messaging.token": "",
    "messaging.path": "/var/spool/apel",
    "logging.logfile": "/var/log/apel/ssmreceive.log",
    "logging.level": "INFO",
    "logging.console": False,
    "daemon.pidfile": "/var/run/apel/ssmreceive.pid",
}


@pytest.mark.parametrize(
    ("table", "old"), [(SENDER, OLD_SENDER), (RECEIVER, OLD_RECEIVER)], ids=["sender", "receiver"]
)
def test_options_and_defaults_are_the_incumbents(table, old):
    settings = table.defaults({"messaging.destination": "x"})
    for name, value in old.items():
        section, option = name.split(".")
        assert getattr(settings.section(section), option) == value, name


@pytest.fixture
def write(tmp_path):
    def write(name, settings, **changes):
        values = {
            "certificates": {
                name: getattr(settings.certificates, name) for name in ("certificate", "key", "capath")
            },
            "messaging": {name: getattr(settings.messaging, name) for name in ("destination", "path")},
            name: {"protocol": "DIRECTORY"},
            "logging": {"logfile": str(tmp_path / "log"), "console": "false"},
        }
        for change, value in changes.items():
            section, option = change.split("__")
            values.setdefault(section, {})[option] = value
        path = tmp_path / (name + ".cfg")
        path.write_text(
            "".join(
                "[%s]\n%s" % (section, "".join("%s = %s\n" % pair for pair in options.items()))
                for section, options in values.items()
            )
        )
        return str(path)

    return write


@pytest.fixture
def sender_cfg(write, sender_settings):
    return write("sender", sender_settings)


@pytest.fixture
def receiver_cfg(write, receiver_settings):
    return write("receiver", receiver_settings)


def received(tmp_path):
    queue = MessageQueue(str(tmp_path / "centre" / "incoming"), INCOMING)
    return [queue.get(element)["body"] for element in queue.ids()]


def test_message_goes_from_queue_to_queue(sender_cfg, receiver_cfg, dns, outgoing, tmp_path):
    outgoing.add("Site: Aye")
    assert ssmsend.main(["-c", sender_cfg]) == 0
    assert ssmreceive.main(["-c", receiver_cfg, "-d", dns, "--once"]) == 0
    assert received(tmp_path) == ["Site: Aye"]
    log = (tmp_path / "log").read_text()
    assert "ssmsend - INFO - Message" in log
    assert "ssmreceive - INFO - Messages: 1 stored, 0 rejected." in log


@pytest.mark.parametrize("command", [ssmsend, ssmreceive])
def test_version_and_help(command, capsys):
    assert command.main(["-v"]) == 0
    assert capsys.readouterr().out == "SSM %s\n" % __version__
    assert command.main(["-h"]) == 0
    assert "--check-config" in capsys.readouterr().out
    assert command.main(["--nonsense"]) == 2


@pytest.mark.parametrize("command", [ssmsend, ssmreceive])
def test_missing_config_file_is_said(command, capsys):
    assert command.main(["-c", "/nonexistent.cfg"]) == 2
    assert "Config file not found at /nonexistent.cfg" in capsys.readouterr().err


def test_check_config_of_the_sender(sender_cfg, write, sender_settings, outgoing, host, another_host, capsys):
    outgoing.add("Site: Aye")
    assert ssmsend.main(["-c", sender_cfg, "--check-config", "--connect"]) == 0
    out = capsys.readouterr().out
    assert "ok       certificate: %s, 29 days left" % host.dn in out
    assert out.endswith("Everything is in order.\n")
    assert outgoing.count() == 1
    assert not os.path.exists(sender_settings.messaging.destination), "it changes nothing"
    for option, value, said in (
        ("certificates__key", another_host.key, "failed   certificate: .* not a pair"),
        ("certificates__capath", "/nonexistent", "failed   capath: .*no directory /nonexistent"),
        ("certificates__capath", "/", "failed   capath: / holds no authority"),
        ("messaging__path", "/dev/null", "failed   spool: /dev/null is no directory"),
        ("certificates__server_cert", "/nonexistent", "failed   server_cert: "),
    ):
        assert (
            ssmsend.main(["-c", write("sender", sender_settings, **{option: value}), "--check-config"]) == 1
        )
        assert re.search(said, capsys.readouterr().out)


def test_check_config_warns_of_a_certificate_that_ends_soon(write, sender_settings, pki, capsys):
    certificate, key = pki.issue("soon.example.org", days=(-1, 5))
    changes = {"certificates__certificate": certificate, "certificates__key": key}
    assert ssmsend.main(["-c", write("sender", sender_settings, **changes), "--check-config"]) == 0
    assert re.search("warning  certificate: .*soon.example.org, 4 days left", capsys.readouterr().out)


def test_check_config_tries_the_broker_if_asked_to(write, sender_settings, receiver_settings, dns, capsys):
    way = {"broker__host": "127.0.0.1", "broker__port": 1, "broker__connect_timeout": 1.0}
    path = write("sender", sender_settings, sender__protocol="STOMP", **way)
    assert ssmsend.main(["-c", path, "--check-config"]) == 0
    assert ssmsend.main(["-c", path, "--check-config", "--connect"]) == 1
    assert "failed   connection: Cannot connect to the broker 127.0.0.1:1" in capsys.readouterr().out
    path = write("receiver", receiver_settings, receiver__protocol="AMS", **way)
    assert ssmreceive.main(["-c", path, "-d", dns, "--check-config", "--connect"]) == 1
    assert "failed   connection: Cannot connect to AMS at 127.0.0.1:1" in capsys.readouterr().out


@pytest.mark.parametrize("command", [ssmsend, ssmreceive])
def test_connect_goes_with_check_config_only(command, capsys):
    assert command.main(["-c", "/nonexistent.cfg", "--connect"]) == 2
    assert "--connect goes with --check-config only" in capsys.readouterr().err


def test_check_config_of_the_receiver(receiver_cfg, write, receiver_settings, dns, tmp_path, capsys):
    assert ssmreceive.main(["-c", receiver_cfg, "-d", dns, "--check-config"]) == 0
    assert "has 1 DNs" in capsys.readouterr().out
    (tmp_path / "empty").write_text("")
    assert ssmreceive.main(["-c", receiver_cfg, "-d", str(tmp_path / "empty"), "--check-config"]) == 1
    assert "No valid DN" in capsys.readouterr().out
    wrong = write("receiver", receiver_settings, certificates__capath="/nonexistent")
    assert ssmreceive.main(["-c", wrong, "-d", dns, "--check-config"]) == 1
    assert "capath" in capsys.readouterr().out


def test_old_options_are_accepted_with_a_hint(write, sender_settings, tmp_path):
    path = write(
        "sender",
        sender_settings,
        broker__bdii="ldap://bdii:2170",
        broker__network="PROD",
        messaging__token="",
        messaging__ams_project="accounting",
        messaging__path_type="dirq",
    )
    assert ssmsend.main(["-c", path, "-l", "/etc/apel/logging.cfg"]) == 0
    log = (tmp_path / "log").read_text()
    assert "[broker] bdii: no longer used" in log
    assert "[broker] network: no longer used" in log
    assert "Separate logging config file option has been deprecated" in log


def test_protocol_missing_means_stomp(write, sender_settings, tmp_path, capsys):
    path = write("sender", sender_settings)
    with open(path) as stream:
        text = stream.read()
    with open(path, "w") as stream:
        stream.write(text.replace("protocol = DIRECTORY\n", ""))
    assert ssmsend.main(["-c", path]) == 2
    assert "[broker] host is missing" in capsys.readouterr().err
    assert "STOMP is assumed" in (tmp_path / "log").read_text()


def test_ams_without_a_host_is_refused(write, sender_settings, capsys):
    assert ssmsend.main(["-c", write("sender", sender_settings, sender__protocol="AMS")]) == 2
    assert "[broker] host is missing" in capsys.readouterr().err


def test_the_port_of_a_former_broker_is_not_that_of_ams(write, sender_settings, tmp_path):
    """SSM 4 looks at no port with AMS, so such files work there."""
    for port, taken in (("61614", 443), ("8080", 8080)):
        path = write(
            "sender", sender_settings, sender__protocol="AMS", broker__host="a, b:1", broker__port=port
        )
        assert ssmsend.main(["-c", path]) == 0
        settings = SENDER.read(path)
        assert transport_problems(settings, settings.sender) == []
        addresses = broker_addresses(settings.broker, DEFAULT_PORTS["AMS"])
        assert addresses == [("a", taken), ("b", 1)]
    assert (tmp_path / "log").read_text().count("is one of STOMP, not of AMS: 443 is taken") == 2


def test_unusable_key_fails_and_keeps_the_queue(write, sender_settings, another_host, outgoing, capsys):
    """S4: non-zero exit, nothing removed."""
    outgoing.add("Site: Aye")
    assert ssmsend.main(["-c", write("sender", sender_settings, certificates__key=another_host.key)]) == 1
    assert "not a pair" in capsys.readouterr().err
    assert outgoing.count() == 1


def test_empty_message_makes_the_run_fail(sender_cfg, outgoing, capsys):
    """S5: put aside and said so; exit status 1."""
    outgoing.add("")
    assert ssmsend.main(["-c", sender_cfg]) == 1
    assert "1 messages can't be sent" in capsys.readouterr().err


def test_no_broker_means_try_later(write, sender_settings, receiver_settings, outgoing, dns, capsys):
    """S8: exit status 75, everything stays."""
    outgoing.add("Site: Aye")
    broker = {"broker__host": "127.0.0.1", "broker__port": "1", "broker__use_ssl": "false"}
    path = write("sender", sender_settings, sender__protocol="STOMP", **broker)
    assert ssmsend.main(["-c", path]) == 75
    assert "Cannot connect to the broker 127.0.0.1:1" in capsys.readouterr().err
    assert outgoing.count() == 1
    path = write("receiver", receiver_settings, receiver__protocol="STOMP", **broker)
    assert ssmreceive.main(["-c", path, "-d", dns, "--once"]) == 75


RUN = "import sys; from ssm.commands.ssmreceive import main; sys.exit(main(sys.argv[1:]))"


def eventually(ready, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.05)
    return ready()


def test_receiver_runs_until_it_is_told_to_end(receiver_cfg, sender_cfg, dns, outgoing, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", RUN, "-c", receiver_cfg, "-d", dns])
    try:
        outgoing.add("one")
        assert ssmsend.main(["-c", sender_cfg]) == 0
        assert eventually(lambda: received(tmp_path) == ["one"])
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "Configuration read again." in (tmp_path / "log").read_text())
        outgoing.add("two")
        assert ssmsend.main(["-c", sender_cfg]) == 0
        assert eventually(lambda: received(tmp_path) == ["one", "two"])
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.wait()


def test_hangup_with_broken_files_keeps_the_old_configuration(receiver_cfg, dns, tmp_path):
    """S11: neither a wrong configuration nor an empty DN list ends a running receiver."""
    process = subprocess.Popen([sys.executable, "-c", RUN, "-c", receiver_cfg, "-d", dns])
    try:
        assert eventually(lambda: os.path.exists(str(tmp_path / "hand-over" / ".receiver.lock")))
        with open(receiver_cfg, "a") as stream:
            stream.write("nonsense = 1\n")
        with open(dns, "w"):
            pass
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "the old one stays in force" in (tmp_path / "log").read_text())
        assert process.poll() is None
        process.terminate()
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "trouble", ["a path that can't be made", "a key of another", "a banned list like no file"]
)
def test_hangup_with_what_is_of_no_use_keeps_the_old_configuration(
    receiver_cfg, dns, sender_cfg, outgoing, tmp_path, host, another_host, trouble
):
    """A configuration may be right by its words and yet be of no use here."""
    process = subprocess.Popen([sys.executable, "-c", RUN, "-c", receiver_cfg, "-d", dns])
    try:
        assert eventually(lambda: os.path.exists(str(tmp_path / "hand-over" / ".receiver.lock")))
        text = open_text(receiver_cfg)
        with open(receiver_cfg, "w") as stream:
            if trouble.startswith("a path"):
                text = text.replace("path = %s" % (tmp_path / "centre"), "path = /proc/none")
            elif trouble.startswith("a key"):
                text = text.replace("key = %s" % host.key, "key = %s" % another_host.key)
            else:
                text += "[auth]\nbanned-dns = /\n"
            stream.write(text)
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "the old one stays in force" in open_text(str(tmp_path / "log")))
        outgoing.add("still here")
        assert ssmsend.main(["-c", sender_cfg]) == 0
        assert eventually(lambda: received(tmp_path) == ["still here"])
        process.terminate()
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.wait()


def test_told_to_end_while_it_reads_its_configuration_again(receiver_cfg, dns, monkeypatch):
    """SIGTERM that comes between a SIGHUP and its effect (a good-bye to the broker takes seconds) counts."""
    turns = []

    def receive(settings, names, stop, idle, keys, banned):
        turns.append(stop.is_set())
        if len(turns) == 1:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
        return Received(0, 0)

    monkeypatch.setattr(ssmreceive, "receive", receive)
    assert ssmreceive.main(["-c", receiver_cfg, "-d", dns]) == 0
    assert turns == [False]


def test_hangups_in_a_row_do_not_kill(receiver_cfg, dns, monkeypatch):
    """Two logs with one rotation script: the second SIGHUP comes while the files are read again."""
    turns = []

    def receive(settings, names, stop, idle, keys, banned):
        turns.append(stop.is_set())
        os.kill(os.getpid(), signal.SIGHUP if len(turns) < 3 else signal.SIGTERM)
        assert stop.wait(60)
        return Received(0, 0)

    read = ssmreceive.ReceiveCommand.settings

    def read_slowly(self, args):
        if turns:
            os.kill(os.getpid(), signal.SIGHUP)
        return read(self, args)

    monkeypatch.setattr(ssmreceive, "receive", receive)
    monkeypatch.setattr(ssmreceive.ReceiveCommand, "settings", read_slowly)
    assert ssmreceive.main(["-c", receiver_cfg, "-d", dns]) == 0
    assert turns[0] is False


def test_daemon_writes_its_pid_file_and_removes_it(write, receiver_settings, dns, tmp_path):
    pid_file = str(tmp_path / "ssmreceive.pid")
    path = write("receiver", receiver_settings, daemon__pidfile=pid_file)
    words = [sys.executable, "-c", RUN, "-c", path, "-d", dns, "--daemon"]
    assert subprocess.run(words).returncode == 0
    assert eventually(lambda: os.path.exists(pid_file) and open_text(pid_file).endswith("\n"))
    pid = int(open_text(pid_file))
    # From then on it listens to signals.
    assert eventually(lambda: os.path.exists(str(tmp_path / "hand-over" / ".receiver.lock")))
    try:
        second = subprocess.run(words, stderr=subprocess.PIPE)
        assert second.returncode == 1
        assert b"Already running" in second.stderr
    finally:
        os.kill(pid, signal.SIGTERM)
    assert eventually(lambda: not os.path.exists(pid_file))


def open_text(path):
    with open(path) as stream:
        return stream.read()


def start(module, *words):
    command = "import sys; from ssm.commands.%s import main; sys.exit(main(sys.argv[1:]))" % module
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", command, *words])


def test_sender_as_a_daemon_sends_what_comes_and_outlives_trouble(
    write, sender_settings, outgoing, another_host, tmp_path
):
    """A certificate that is no good, and a hangup that brings a good one."""
    handed = sender_settings.messaging.destination
    outgoing.add("first")
    path = write("sender", sender_settings, certificates__key=another_host.key, daemon__interval=1.0)
    process = start("ssmsend", "-c", path, "--daemon")
    try:
        log = str(tmp_path / "log")
        assert eventually(lambda: os.path.exists(log) and "not a pair" in open_text(log))
        assert write("sender", sender_settings, daemon__interval=1.0) == path
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: outgoing.count() == 0)
        outgoing.add("second")
        assert eventually(lambda: len([name for name in os.listdir(handed) if "message" in name]) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.wait()


def test_figures_of_a_run_and_of_a_failed_one(write, sender_settings, outgoing, another_host, tmp_path):
    figures = str(tmp_path / "ssm.prom")
    outgoing.add("one")
    outgoing.add("")
    assert ssmsend.main(["-c", write("sender", sender_settings, metrics__textfile=figures)]) == 1
    lines = open_text(figures).splitlines()
    label = 'destination="%s",program="ssmsend"' % sender_settings.messaging.destination
    assert "ssm_messages_sent_total{%s} 1" % label in lines
    assert "ssm_messages_failed_total{%s} 1" % label in lines
    assert 'ssm_queue_messages{%s,queue="outgoing"} 0' % label in lines
    assert not any(line.startswith("apel_last_success") for line in lines)
    assert any(re.match(r"ssm_certificate_days_left\{.*\} 29\.", line) for line in lines)
    assert ssmsend.main(["-c", write("sender", sender_settings, metrics__textfile=figures)]) == 0
    assert "apel_last_success_timestamp_seconds{%s}" % label in open_text(figures)
    outgoing.add("two")
    broken = write("sender", sender_settings, metrics__textfile=figures, certificates__key=another_host.key)
    assert ssmsend.main(["-c", broken]) == 1
    lines = open_text(figures).splitlines()
    assert "ssm_messages_sent_total{%s} 1" % label in lines
    assert 'ssm_queue_messages{%s,queue="outgoing"} 1' % label in lines
