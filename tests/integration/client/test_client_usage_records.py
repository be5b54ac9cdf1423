"""send_ur: the client sends jobs as usage records in XML (CAR)."""

import pytest
from gridsite import CE1, DN, event, grid

from apel.messages import decode
from apelcommon.errors import ConfigError


def test_jobs_are_sent_in_several_messages(site, queue):
    """In documents of records_per_message records, each complete."""
    site.put(*(one for name in "12345" for one in (event(name), grid(name))))
    site.benchmark(CE1, 12.5)
    site.join()
    done = site.unload(queue, send_ur=True, size=2, interval="all")
    assert (done.messages, done.records, done.invalid) == (3, 5, 0)
    assert [message.format for message in queue.messages()] == ["job car"] * 3
    assert sorted(record.LocalJobId for record in queue.records()) == list("12345")
    assert {record.GlobalUserName for record in queue.records()} == {DN}


def test_names_are_withheld(site, queue):
    """As in text: only the name goes."""
    site.put(event("1"), grid("1"))
    site.benchmark(CE1)
    site.join()
    site.unload(queue, send_ur=True, withhold_dns=True)
    (text,) = queue.texts
    assert '<urf:GlobalUserName urf:type="opensslCompat">withheld</urf:GlobalUserName>' in text
    assert DN not in text


def test_a_bad_row_is_left_out(site, queue):
    site.put(event("1"), grid("1"), event("2"), grid("2"))
    site.benchmark(CE1)
    site.join()
    site.execute("UPDATE JobRecords SET EndTime = '2026-01-01 00:00:00' WHERE LocalJobId = '1'")
    done = site.unload(queue, send_ur=True)
    assert (done.messages, done.records, done.invalid) == (1, 1, 1)
    assert [record.LocalJobId for record in decode(queue.texts[0]).records] == ["2"]


@pytest.mark.parametrize("changes", [{"view": "VSuperSummaries"}, {"dict_benchmark_type": True}])
def test_only_jobs_can_be_usage_records(site, queue, changes):
    with pytest.raises(ConfigError, match="Can only send URs for JobRecords and StorageRecords."):
        site.unload(queue, send_ur=True, **changes)
    assert queue.texts == []
