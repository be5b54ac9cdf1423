"""Figures for Prometheus: whole, right over restarts and crashes, and never in the way of the work."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apelcommon.config import OptionTable
from apelcommon.metrics import METRICS, Metrics


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "apel.prom")


def lines(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def run(path, count=1, program="ssmsend", **labels):
    metrics = Metrics(path, program)
    metrics.counter("ssm_messages_sent_total", "Messages sent.").add(count, **labels)
    assert metrics.write()


def test_file_is_in_the_text_format(path):
    metrics = Metrics(path, "ssmreceive", queue="a")
    metrics.gauge("ssm_queue_messages", "Messages in a queue,\nlocked or not: \\ all.").set(2.5, state="x")
    metrics.counter("ssm_rejected_total", "Rejected.").add(3, reason='a "b"\n\\c')
    metrics.write()
    assert lines(path) == [
        "# HELP ssm_queue_messages Messages in a queue,\\nlocked or not: \\\\ all.",
        "# TYPE ssm_queue_messages gauge",
        'ssm_queue_messages{program="ssmreceive",queue="a",state="x"} 2.5',
        "# HELP ssm_rejected_total Rejected.",
        "# TYPE ssm_rejected_total counter",
        'ssm_rejected_total{program="ssmreceive",queue="a",reason="a \\"b\\"\\n\\\\c"} 3',
    ]
    assert os.stat(path).st_mode & 0o777 == 0o644, "node_exporter is another user"


def test_counters_go_on_over_restarts(path):
    for _ in range(3):
        run(path, 2)
    assert 'ssm_messages_sent_total{program="ssmsend"} 6' in lines(path)


def test_a_second_write_adds_only_what_is_new(path):
    metrics = Metrics(path, "ssmsend")
    counter = metrics.counter("ssm_messages_sent_total", "Messages sent.")
    counter.add(2)
    metrics.write()
    counter.add()
    metrics.write()
    metrics.write()
    assert 'ssm_messages_sent_total{program="ssmsend"} 3' in lines(path)


def test_programs_share_a_file(path):
    run(path, 1, "ssmsend")
    run(path, 5, "apelclient")
    run(path, 1, "ssmsend")
    assert [line for line in lines(path) if not line.startswith("#")] == [
        'ssm_messages_sent_total{program="apelclient"} 5',
        'ssm_messages_sent_total{program="ssmsend"} 2',
    ]


def test_processes_at_the_same_time_lose_no_count(path):
    code = (
        "import sys; from apelcommon.metrics import Metrics; metrics = Metrics(sys.argv[1], 'x')\n"
        "counter = metrics.counter('done_total', 'Done.')\n"
        "for _ in range(20): counter.add(); metrics.write()\n"
        "while not metrics.write(): pass"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, path]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert 'done_total{program="x"} 60' in lines(path)


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"done_total{ 5\n", b"done_total five\n", b'a{b="c} 1\n'])
def test_a_damaged_file_is_begun_anew(path, damage, caplog):
    run(path, 4)
    with open(path, "ab") as stream:
        stream.write(damage)
    run(path, 1)
    assert 'ssm_messages_sent_total{program="ssmsend"} 1' in lines(path)
    assert "is damaged" in caplog.text


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    """Warned of once; nothing counted is lost when it can be written again."""
    folder = tmp_path / "collector"
    metrics = Metrics(str(folder / "apel.prom"), "x")
    counter = metrics.counter("done_total", "Done.")
    counter.add()
    assert not metrics.write()
    assert not metrics.write()
    assert len(caplog.records) == 1
    folder.mkdir()
    counter.add()
    assert metrics.write()
    assert 'done_total{program="x"} 2' in lines(metrics.path)


def test_gauges_of_what_is_gone_go(path):
    metrics = Metrics(path, "x")
    gauge = metrics.gauge("queue_messages", "Messages.")
    gauge.set(1, queue="a")
    metrics.write()
    gauge.clear()
    gauge.set(2, queue="b")
    metrics.write()
    assert [line for line in lines(path) if not line.startswith("#")] == [
        'queue_messages{program="x",queue="b"} 2'
    ]


def test_last_success_outlives_a_failed_run(path):
    Metrics(path, "x").ended(True)
    succeeded = [line for line in lines(path) if line.startswith("apel_last_success")]
    Metrics(path, "x").ended(False)
    assert [line for line in lines(path) if line.startswith("apel_last_success")] == succeeded
    assert any(line.startswith('apel_last_run_timestamp_seconds{program="x"}') for line in lines(path))
    assert any(line.startswith('apel_run_seconds{program="x"} ') for line in lines(path))


def test_a_daemon_writes_now_and_then(path):
    metrics = Metrics(path, "x")
    counter = metrics.counter("done_total", "Done.")
    counter.add()
    metrics.write_now_and_then(3600)
    counter.add()
    metrics.write_now_and_then(3600)
    assert 'done_total{program="x"} 1' in lines(path)
    metrics.write()
    assert 'done_total{program="x"} 2' in lines(path)


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Metrics("", "x").ended(True)
    assert list(tmp_path.iterdir()) == []


def test_faults_of_the_programmer_are_refused():
    metrics = Metrics("", "x")
    with pytest.raises(ValueError, match="_total"):
        metrics.counter("done", "Done.")
    with pytest.raises(ValueError, match="no name"):
        metrics.gauge("a b", "Blank.")
    with pytest.raises(ValueError, match="go back"):
        metrics.counter("done_total", "Done.").add(-1)
    with pytest.raises(ValueError, match="label"):
        metrics.counter("done_total", "Done.").add(**{"a-b": "c"})


@given(st.text(), st.floats())
def test_any_label_and_value_come_back(tmp_path_factory, text, value):
    path = str(tmp_path_factory.getbasetemp() / "any.prom")
    first, second = Metrics(path, "x"), Metrics(path, "x")
    first.gauge("any", "Any.", kept=True).set(value, text=text)
    assert first.write()
    with open(path, "rb") as stream:
        written = stream.read()
    second.gauge("any", "Any.", kept=True)
    assert second.write()
    with open(path, "rb") as stream:
        assert stream.read() == written
    os.unlink(path)


def test_option_is_declared_once():
    table = OptionTable("x", METRICS)
    assert table.parse("").metrics.textfile == ""
    assert table.parse("[metrics]\ntextfile = /a/b.prom").metrics.textfile == "/a/b.prom"
