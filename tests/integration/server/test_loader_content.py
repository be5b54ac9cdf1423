"""What the loader makes of good and bad content; the database is SQLite."""

import errno
import os
from typing import Any, List

import pytest
from central_records import accelerators, at, cloud, gpu, ips, measured, vm
from centre import SIGNER, Centre, job, jobs, message, refuse_13_cores, summary, sync

from apel.db.schema import CENTRE, initialise
from apel.messages import Message
from apel.records import JobRecord
from apel.server.verdicts import as_rejected
from apelcommon.errors import Transient
from ssm.errors import StorageError

GOOD = message(jobs(3))


def reason(centre: Centre) -> str:
    """The error of the only rejected message."""
    (rejected,) = centre.rejected()
    return rejected["error"]


def test_a_message_is_stored_and_its_signer_is_the_publisher(centre: Centre) -> None:
    centre.load(GOOD)
    query = "SELECT LocalJobId, DNs.name FROM JobRecords JOIN DNs ON DNs.id = PublisherDNID ORDER BY 1"
    assert centre.rows(query) == [("0", SIGNER), ("1", SIGNER), ("2", SIGNER)]
    assert centre.incoming.count() == centre.reject.count() == 0


def test_every_kind_of_message_is_stored(centre: Centre) -> None:
    centre.load(
        message([job()], "job v0.3"),
        message([job(LocalJobId="b")], "job v0.4"),
        message([summary()], "summary v0.2"),
        message([summary(VO="ops", ServiceLevelType="hepspec")], "summary v0.4"),
        sync(5),
    )
    assert [centre.count(table) for table in ("JobRecords", "Summaries", "SyncRecords")] == [2, 2, 1]
    assert centre.rejected() == []


def test_loader_whose_clock_is_far_behind_refuses_nothing(centre: Centre, monkeypatch: Any) -> None:
    """D2: for it all that is new is of the future. The clock is at fault, and passes."""
    for schema in sorted(CENTRE):
        initialise(centre.db.backend, schema)
    sums = message([summary()], "summary v0.2")
    machines, cards, addresses = (
        cloud(vm("2025-03-31", 10)),
        accelerators(gpu()),
        ips(measured("2025-03-02", 3)),
    )
    for body in (message([job()]), sums, machines, cards, addresses):
        centre.deliver(body)
        with monkeypatch.context() as wrong:
            wrong.setattr("apel.times.now", lambda: at("2024-01-01"))
            with pytest.raises(Transient, match="clock"):
                centre.loader().step()
        assert centre.rejected() == [] and centre.incoming.count() == 1
        centre.loader().step()
        assert centre.rejected() == [] and centre.incoming.count() == 0


def test_changed_months_are_marked_with_the_records(centre: Centre) -> None:
    april = 32 * 86400
    later = job(LocalJobId="x", StartTime=job().StartTime + april, EndTime=job().EndTime + april)
    centre.load(message([job(), later]), message([summary()], "summary v0.2"), sync(5))
    query = "SELECT name, Year, Month FROM ChangedMonths JOIN Sites ON Sites.id = SiteID ORDER BY 1, 2, 3"
    assert centre.rows(query) == [
        ("EXAMPLE-NORTH", 2025, 3),
        ("EXAMPLE-NORTH", 2025, 4),
        ("EXAMPLE-SOUTH", 2025, 3),
    ]


@pytest.mark.parametrize(
    "body, words",
    [
        ("", "The message is empty."),
        ("   \n ", "The message is empty."),
        ("APEL-individual-job-message v0.3\n", "Message header is incorrect"),
        ("APEL-unheard-of-message: v9\nSite: X\n%%\n", "not recognised"),
        (GOOD.replace("EndTime: ", "EndTime: x"), "EndTime"),
        (GOOD.replace("LocalJobId", "LocalJobIb"), "Unknown field: LocalJobIb"),
        (GOOD.replace("WallDuration: 3600", "WallDuration: -1"), "WallDuration"),
        (GOOD.replace("ServiceLevel: 10.0", "ServiceLevel: inf"), "ServiceLevel"),
        (GOOD.replace("Queue: long", "Queue long"), "without a colon"),
        (GOOD.replace("Queue: long", "Queue: lo%%ng"), ""),
        (GOOD.replace("Queue: long", "Queue: lo\0ng"), "Queue"),
        (GOOD.replace("message: v0.3", "message: v0.4").replace("ServiceLevel: 10.0\n", ""), "ServiceLevel"),
        ("<?xml version='1.0'?><a/>", "XML"),
    ],
)
def test_bad_content_is_rejected_with_its_reason(centre: Centre, body: str, words: str) -> None:
    """D2: empty, bad header, bad values, NUL: rejected with the true reason; the next message is loaded."""
    centre.deliver(body)
    centre.load(message([job(LocalJobId="after")]))
    (rejected,) = centre.rejected()
    assert rejected["body"] == body
    assert rejected["signer"] == SIGNER and rejected["empaid"] == "0a/0b"
    assert rejected["error"].startswith("Parsing unsuccessful: ") and words in rejected["error"]
    assert centre.rows("SELECT LocalJobId FROM JobRecords") == [("after",)]


def test_a_message_without_empaid_is_loaded(centre: Centre) -> None:
    """D2: no empaid."""
    centre.deliver(GOOD, empaid=None)
    centre.load()
    assert centre.count("JobRecords") == 3


@pytest.mark.parametrize("signer", [None, "", " "])
def test_a_message_without_signer_isas_rejected(centre: Centre, signer: Any) -> None:
    """D2: no signer."""
    centre.deliver(GOOD, signer=signer, empaid=None)
    centre.load(message([job(LocalJobId="after")]))
    assert reason(centre) == "Parsing unsuccessful: The message has no signer."
    assert centre.count("JobRecords") == 1


def test_an_element_without_body_isas_rejected(centre: Centre) -> None:
    """S5: an empty message."""
    centre.incoming.add({"signer": SIGNER})
    centre.load()
    assert reason(centre) == "Parsing unsuccessful: The message is empty."


def test_one_bad_record_of_1000_is_kept_and_the_others_are_loaded(centre: Centre) -> None:
    """D3: 999 stored, one in `reject` as a message that can be loaded when it is put right."""
    good = message(jobs(1000))
    centre.load(good.replace("LocalJobId: 500\n", "LocalJobId: 500\nWallTime: many\n", 1))
    assert centre.count("JobRecords") == 999
    (rejected,) = centre.rejected()
    assert "record 501: Unknown field: WallTime" in rejected["error"]
    assert rejected["body"].count("%%") == 1 and "LocalJobId: 500\n" in rejected["body"]
    centre.load(rejected["body"].replace("WallTime: many\n", ""))
    assert centre.count("JobRecords") == 1000


def test_strict_refuses_a_message_with_one_bad_record(centre: Centre) -> None:
    """D3: the strict option."""
    body = message(jobs(10)).replace("LocalJobId: 5\n", "LocalJobId: None\n")
    centre.load(body, strict=True)
    assert centre.count("JobRecords") == centre.count("ChangedMonths") == 0
    (rejected,) = centre.rejected()
    assert rejected["body"] == body and "record 6: LocalJobId" in rejected["error"]


def test_a_record_that_only_the_database_refuses_is_kept_and_the_others_are_loaded(centre: Centre) -> None:
    """D3: with the database's reason, and the record's number in the message as it was sent."""
    refuse_13_cores(centre.db)
    records = [job(LocalJobId=str(number), Processors=12 + number % 2) for number in range(4)]
    centre.load(message(records).replace("LocalJobId: 0\n", "LocalJobId: None\n"))
    assert centre.rows("SELECT LocalJobId FROM JobRecords") == [("2",)]
    (rejected,) = centre.rejected()
    assert rejected["body"].count("%%") == 3 and "LocalJobId: 3\n" in rejected["body"]
    reasons = rejected["error"].split("; ")
    assert [reason.partition(":")[0] for reason in reasons[1:]] == ["record 2", "record 4"]
    assert "unlucky" in reasons[1] and "LocalJobId" in reasons[0]


def test_strict_refuses_a_message_with_a_record_that_only_the_database_refuses(centre: Centre) -> None:
    """D3: the strict option."""
    refuse_13_cores(centre.db)
    body = message([job(LocalJobId="1"), job(LocalJobId="2", Processors=13)])
    centre.load(body, strict=True)
    assert centre.count("JobRecords") == centre.count("ChangedMonths") == 0
    assert "unlucky" in reason(centre)


@pytest.mark.parametrize("strict", [False, True])
def test_a_signer_too_long_for_the_database_does_not_end_the_loader(centre: Centre, strict: bool) -> None:
    centre.deliver(GOOD, signer="/CN=" + "x" * 300)
    centre.load(strict=strict)
    assert centre.count("JobRecords") == 0 and centre.rejected()[0]["body"] == GOOD


def test_many_bad_records_do_not_make_an_endless_reason(centre: Centre) -> None:
    centre.load(message(jobs(100)).replace("WallDuration: 3600", "WallDuration: x"))
    assert reason(centre).endswith("; and 95 more") and len(reason(centre)) < 1000


def test_a_message_loaded_twice_or_in_another_order_makes_the_same_tables(
    centre: Centre, tmp_path: Any
) -> None:
    """D6: later content wins, and where it is the same nothing changes."""
    bodies = [
        message(jobs(5)),
        message(jobs(5, MachineName="other")),
        sync(5),
        message([summary()], "summary v0.2"),
    ]
    centre.load(*bodies)
    once = centre.picture()
    centre.load(*reversed(bodies))
    centre.load(*bodies)
    assert centre.picture() == once
    assert centre.count("JobRecords") == 10


def test_a_corrected_job_replaces_the_first(centre: Centre) -> None:
    centre.load(message([job(WallDuration=1)]), message([job(WallDuration=2)]))
    assert centre.rows("SELECT WallDuration FROM JobRecords") == [(2,)]


def test_names_that_differ_in_case_accents_or_blanks_are_kept_apart(centre: Centre) -> None:
    """D5: as the records arrive, names are trimmed; all else stays as it is."""
    names = ["atlas", "ATLAS", "Atlas", "atl\xe1s"]
    centre.load(message([job(LocalJobId=name, FQAN=None, VO=name) for name in names]))
    query = "SELECT LocalJobId, VOs.name FROM JobRecords JOIN VOs ON VOs.id = VOID"
    assert sorted(centre.rows(query)) == sorted((name, name) for name in names)


def test_messages_are_loaded_in_the_order_of_the_queue(centre: Centre) -> None:
    centre.load(*(message([job(WallDuration=number)]) for number in range(5)))
    assert centre.rows("SELECT WallDuration FROM JobRecords") == [(4,)]


def test_a_locked_message_is_left_to_its_loader(centre: Centre) -> None:
    name = centre.deliver(GOOD)
    assert centre.incoming.lock(name)
    loader = centre.loader()
    assert loader.step() == 0 and centre.count("JobRecords") == 0
    centre.incoming.unlock(name)
    assert loader.step() == 1 and centre.count("JobRecords") == 3


def test_saved_messages_are_kept_in_accept(centre: Centre) -> None:
    loader = centre.load(GOOD, "rubbish", keep=True)
    (name,) = loader.queues.accept.ids()
    assert loader.queues.accept.get(name) == {"body": GOOD, "signer": SIGNER, "empaid": "0a/0b"}


def awake(monkeypatch: Any) -> None:
    """Let messages with trouble of their own not rest."""
    monkeypatch.setattr("apel.server.rest.FIRST_SECONDS", 0.0)


def test_disk_full_at_reject_keeps_the_message_and_the_others_go_on(centre: Centre, monkeypatch: Any) -> None:
    """D1 for the disk: the bad message waits in `incoming`, good ones are loaded, the loader tries again."""

    def full(_: Any) -> str:
        raise StorageError("Cannot add to the queue: No space left on device")

    awake(monkeypatch)
    centre.deliver("rubbish")
    centre.deliver(GOOD)
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr(centre.reject, "add", full)
        assert loader.step() == 1
        assert loader.step() == 0
    assert loader.resting == centre.incoming.count() == 1
    assert centre.count("JobRecords") == 3
    assert loader.step() == 1 and len(centre.rejected()) == 1
    assert loader.resting == 0


def test_disk_full_at_the_queue_itself_is_trouble_that_passes(centre: Centre, monkeypatch: Any) -> None:
    """D1 for the disk: nothing can be locked; the step ends, and the daemon tries again."""

    def full(_: str) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    centre.deliver(GOOD)
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr(centre.incoming, "lock", full)
        with pytest.raises(Transient, match="No space left"):
            loader.step()
    assert loader.step() == 1


def test_a_message_that_cannot_be_read_stops_no_other(centre: Centre, monkeypatch: Any, caplog: Any) -> None:
    """A bad sector under one message: it rests, the others are loaded, and the log isn't flooded."""
    first = centre.deliver(GOOD)
    get = centre.incoming.get

    def failing(name: str) -> Any:
        if name == first:
            raise OSError(errno.EIO, "Input/output error")
        return get(name)

    monkeypatch.setattr(centre.incoming, "get", failing)
    loader = centre.loader()
    for number in range(5):
        centre.deliver(message([job(LocalJobId=str(number))]))
        assert loader.step() == 1
    assert list(centre.incoming.ids()) == [first]
    assert caplog.text.count("Message %s: deferred: " % first) == 1
    assert centre.incoming.lock(first), "it is not left locked"


def test_a_message_that_cannot_be_removed_is_rejected_once(centre: Centre, monkeypatch: Any) -> None:
    """D7: what went to `reject` is not put there again by the next try."""

    def read_only(_: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    awake(monkeypatch)
    centre.deliver("rubbish")
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr(centre.incoming, "remove", read_only)
        assert [loader.step() for _ in range(3)] == [0, 0, 0]
    assert loader.step() == 1
    assert len(centre.rejected()) == 1 and centre.incoming.count() == 0


@pytest.mark.parametrize("strict", [False, True])
def test_a_message_in_trouble_does_not_undo_the_correction_after_it(
    centre: Centre, monkeypatch: Any, strict: bool
) -> None:
    """D6: what is committed is not stored again when its element can go at last; the correction waits."""
    name = centre.deliver(message([job(WallDuration=100)]))
    centre.deliver(message([job(WallDuration=200)]))
    remove = centre.incoming.remove

    def failing(element: str) -> None:
        if element == name:
            raise OSError(errno.EIO, "Input/output error")
        remove(element)

    awake(monkeypatch)
    loader = centre.loader(strict=strict)
    with monkeypatch.context() as patch:
        patch.setattr(centre.incoming, "remove", failing)
        assert loader.step() == 0 and loader.resting == 1
    assert loader.step() == 2
    assert centre.rows("SELECT WallDuration FROM VJobRecords") == [(200,)]
    assert (centre.incoming.count(), loader.tally.stored) == (0, 2)


def test_disk_full_at_reject_does_not_undo_the_correction_of_the_rest(
    centre: Centre, monkeypatch: Any
) -> None:
    """D6: the good part of a message is stored before its bad part can be put away."""

    def full(_: Any) -> str:
        raise StorageError("Cannot add to the queue: No space left on device")

    body = message([job(WallDuration=100), job(LocalJobId="bad")])
    centre.deliver(body.replace("LocalJobId: bad", "LocalJobId: None"))
    centre.deliver(message([job(WallDuration=200)]))
    awake(monkeypatch)
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr(centre.reject, "add", full)
        assert loader.step() == 0 and centre.reject.count() == 0
    assert loader.step() == 2
    assert centre.rows("SELECT WallDuration FROM VJobRecords") == [(200,)]
    (rejected,) = centre.rejected()
    assert "record 2: LocalJobId" in rejected["error"] and "WallDuration: 100" not in rejected["body"]
    assert (centre.incoming.count(), loader.tally.stored, loader.tally.rejected) == (0, 2, 1)


def test_a_loader_that_died_before_removal_does_not_reject_twice(centre: Centre, monkeypatch: Any) -> None:
    """D7: another process finds the same message in `incoming` and in `reject`."""
    body = message(jobs(3)).replace("LocalJobId: 1\n", "LocalJobId: None\n")
    centre.deliver(body)
    monkeypatch.setattr(centre.incoming, "remove", centre.incoming.unlock)
    for _ in range(3):
        centre.loader().step()
    assert len(centre.rejected()) == 1 and centre.count("JobRecords") == 2


@pytest.mark.parametrize("broken", ["deliveries.decode", "storing.store"])
def test_a_mistake_of_ours_does_not_end_the_loader(
    centre: Centre, monkeypatch: Any, caplog: Any, broken: str
) -> None:
    """The message rests with a trace in the log, the loader lives on; no content is to blame."""

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("a mistake of ours")

    awake(monkeypatch)
    centre.deliver(GOOD)
    loader = centre.loader()
    with monkeypatch.context() as patch:
        patch.setattr("apel.server." + broken, fail)
        assert loader.step() == 0
    assert (
        "Traceback" in caplog.text and "internal error: ZeroDivisionError: a mistake of ours" in caplog.text
    )
    assert loader.resting == 1 and centre.reject.count() == 0
    assert loader.step() == 1 and centre.count("JobRecords") == 3


def test_each_message_has_one_line_in_the_log_in_the_same_words(centre: Centre, caplog: Any) -> None:
    caplog.set_level("INFO", logger="apel.server.loader")
    mixed = message(jobs(3)).replace("LocalJobId: 1\n", "LocalJobId: None\n")
    centre.deliver("rubbish", signer="/CN=a\nb")
    centre.load(GOOD, mixed)
    lines: List[str] = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert (
        lines[0]
        .partition(", ")[2]
        .startswith("id 0a/0b, from /CN=a\\nb, unknown type: rejected: Message header is incorrect: rubbish")
    )
    assert lines[1].endswith(", id 0a/0b, from %s, job v0.3: 3 records stored" % SIGNER)
    assert "job v0.3: 2 records stored, 1 rejected: record 2: LocalJobId" in lines[2]


def test_stopping_ends_the_pass_after_the_message_in_hand(centre: Centre, monkeypatch: Any) -> None:
    from apelcommon.daemon import Stop

    stop = Stop()
    for _ in range(3):
        centre.deliver(GOOD)
    loader = centre.loader()
    monkeypatch.setattr("apel.server.deliveries.decode", _stopping(stop))
    assert loader.step(stop) == 1
    assert centre.incoming.count() == 2


def _stopping(stop: Any) -> Any:
    from apel.messages import decode

    def decode_and_stop(text: str) -> Any:
        stop.set()
        return decode(text)

    return decode_and_stop


def test_element_that_cannot_be_locked_holds_up_no_other(centre: Centre) -> None:
    """A foreign file among the elements, or one of another user's: it rests, and the others are loaded."""
    foreign = os.path.join(centre.incoming.path, "00000000", "0" * 14)
    os.makedirs(os.path.dirname(foreign))
    open(foreign, "w").close()
    loader = centre.load(message([job()]))
    assert centre.count("JobRecords") == 1
    assert loader.resting == 1


def test_large_message_that_the_database_refuses_is_numbered_in_one_pass() -> None:
    """D3: the numbers of 20 000 refused records, every one, are found in one pass."""
    records = jobs(20000)
    found = as_rejected(Message("job v0.3", JobRecord, records, []), [(one, "no") for one in records])
    assert [one.number for one in found] == list(range(1, 20001))
