"""Rejected messages are put back: all, by reason, by signer; nothing is lost, whatever dies in between."""

import json
import os
import time
from typing import Any, Iterator, List

import pytest
from centre import SIGNER, Centre, Installation, job, jobs, message

from apel.commands import apelreplay
from apel.server.replay import Wanted, first_reason, received, replay
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from servers.databases import sqlite_settings

OTHER = "/DC=org/DC=example/CN=other"


@pytest.fixture
def files(tmp_path: Any) -> Iterator[Installation]:
    """A centre on SQLite, with its configuration files."""
    settings = sqlite_settings(tmp_path / "server.db")
    found = Installation(tmp_path, {"backend": "sqlite", "name": settings.name})
    yield found
    found.close()


def reject(centre: Centre, reason: str, body: str, signer: str = SIGNER) -> None:
    """Put a message into the reject queue."""
    error = "Parsing unsuccessful: " + reason
    centre.reject.add({"body": body, "signer": signer, "empaid": "1/2", "error": error})


def fill(centre: Centre) -> None:
    """Three reasons; the content is good, as if the software, or the map of sites, were better now."""
    for number in range(5):
        body = message([job(LocalJobId=str(number))])
        reject(centre, "record %d: Site: X: %s may not send it" % (number + 1, SIGNER), body)
    reject(
        centre, "record 1: EndTime: before StartTime; record 2: Queue: too long", message(jobs(2, Queue="q"))
    )
    reject(centre, "The message has no signer.", message(jobs(1)), signer="")
    reject(centre, "Message type X: v1 not recognised.", message(jobs(1, Site="OTHER")), signer=OTHER)


def run(files: Installation, *words: str) -> int:
    """Run apelreplay; its exit status."""
    return apelreplay.main(["-c", files.loader_cfg, *words])


def test_the_reasons_that_occur(files: Installation, capsys: Any) -> None:
    """Numbers and places of records apart, reasons are alike; nothing is changed."""
    fill(files.centre)
    for words in ((), ("--all", "--dry-run"), ("--list",)):
        assert run(files, *words) == EXIT_DONE
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[0] == "5" and "may not send it" in lines[0]
        assert lines[-1] == "8 messages in reject."
        assert len(lines) == 5
    assert run(files, "--json", "--reason", "EndTime") == EXIT_DONE
    (group,) = json.loads(capsys.readouterr().out)
    assert (group["reason"], group["messages"]) == ("EndTime: before StartTime", 1)
    assert time.time() - group["oldest"] < 100
    assert files.centre.reject.count() == 8 and files.centre.incoming.count() == 0


def test_messages_are_put_back_by_reason_and_loaded(files: Installation, capsys: Any) -> None:
    """The others stay; signer and id are kept, the old reason is not."""
    fill(files.centre)
    assert run(files, "--reason", "may not send it", "--most", "2") == EXIT_DONE
    assert run(files, "--reason", "may not send it") == EXIT_DONE
    assert files.centre.reject.count() == 3
    element = files.centre.incoming.get(next(iter(files.centre.incoming.ids())))
    assert (element["signer"], element["empaid"], "error" in element) == (SIGNER, "1/2", False)
    assert files.load("--once") == EXIT_DONE
    assert files.centre.count("JobRecords") == 5
    assert "3 messages were put back from reject." in capsys.readouterr().out


@pytest.mark.parametrize("number", ["0", "-1", "all"])
def test_a_number_of_messages_that_is_none_puts_nothing_back(files: Installation, number: str) -> None:
    fill(files.centre)
    before = files.centre.reject.count()
    assert run(files, "--all", "--most=" + number) == EXIT_USAGE
    assert files.centre.reject.count() == before


def test_messages_are_put_back_by_signer_and_time(files: Installation) -> None:
    fill(files.centre)
    assert run(files, "--signer", OTHER, "--since", "2025-01-01") == EXIT_DONE
    assert run(files, "--all", "--since", "2100-01-01") == EXIT_DONE
    assert files.centre.incoming.count() == 1


def test_all_but_those_without_a_signer(files: Installation, capsys: Any) -> None:
    fill(files.centre)
    assert run(files, "--all") == EXIT_DONE
    assert "1 messages have no signer" in capsys.readouterr().out
    assert files.centre.reject.count() == 1 and files.centre.incoming.count() == 7


def test_kept_messages_are_loaded_again(files: Installation) -> None:
    """As after the loss of a database."""
    files.centre.load(message(jobs(3)), keep=True)
    files.centre.execute("DELETE FROM JobRecords")
    assert run(files, "--from", "accept", "--all") == EXIT_DONE
    assert files.load("--once") == EXIT_DONE
    assert files.centre.count("JobRecords") == 3


def test_what_the_receiver_has_rejected_is_left_alone(files: Installation, capsys: Any) -> None:
    """S2: its signer was not verified, or may not send; the loader must never see it."""
    error = "The signer is not in the list: /DC=org/DC=example/CN=may not send it"
    element = {"body": message(jobs(1)), "signer": SIGNER, "empaid": "1/2", "error": error}
    files.centre.reject.add(element)
    assert run(files) == run(files, "--all") == run(files, "--reason", "may not send it") == EXIT_DONE
    assert "0 messages in reject." in capsys.readouterr().out
    assert files.centre.reject.count() == 1 and files.centre.incoming.count() == 0


def test_killed_between_adding_and_removing(files: Installation) -> None:
    """The message is in both queues then, and loading it twice is loading it once."""
    fill(files.centre)

    class Killed(BaseException):
        """What nobody catches."""

    def die(name: str) -> None:
        raise Killed

    files.centre.reject.remove = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        replay(files.centre.reject, files.centre.incoming, Wanted("may not send"))
    assert files.load("--once") == EXIT_DONE
    files.centre.reject.purge()
    assert run(files, "--all") == EXIT_DONE
    assert files.load("--once") == EXIT_DONE
    assert len(files.centre.rows("SELECT DISTINCT LocalJobId FROM JobRecords")) == 5


def test_a_message_in_other_hands_is_left(files: Installation, capsys: Any) -> None:
    fill(files.centre)
    another = files.centre._queue("reject", dict(files.centre.reject.schema))
    assert another.lock(next(iter(another.ids())))
    assert run(files, "--reason", "may not") == EXIT_DONE
    assert "1 messages are in use" in capsys.readouterr().out
    assert files.centre.incoming.count() == 4


def test_a_path_without_queues_is_a_mistake(files: Installation, tmp_path: Any, capsys: Any) -> None:
    path = files.write("other.cfg", "[loader]\nmsgpath = %s\n" % (tmp_path / "nowhere"))
    assert apelreplay.main(["-c", path]) == EXIT_USAGE
    assert not (tmp_path / "nowhere").exists()
    assert "there is no queue" in capsys.readouterr().err


def test_another_user_than_the_queues_is_refused(files: Installation, capsys: Any, monkeypatch: Any) -> None:
    """The loader could not take what is put there."""
    fill(files.centre)
    monkeypatch.setattr("os.geteuid", lambda: os.stat(files.centre.incoming.path).st_uid + 1)
    assert run(files, "--all") == EXIT_FAILED
    assert "run this command as that user" in capsys.readouterr().err
    assert files.centre.incoming.count() == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("Parsing unsuccessful: record 17: EndTime: before; record 18: x; and 3 more", "EndTime: before"),
        ("something else", "something else"),
        ("", "(none)"),
    ],
)
def test_the_first_reason(error: str, reason: str) -> None:
    assert first_reason(error) == reason


def test_when_a_message_was_received() -> None:
    names: List[str] = ["00000000/65000000000000", "65000000abcde1"]
    assert [received(name) for name in names] == [0x65000000] * 2


def test_a_message_that_is_rejected_again_for_the_same_reason_is_kept(files: Installation) -> None:
    """The loader remembers what it found in `reject` at first; the message is there no longer."""
    centre = files.centre
    centre.load("rubbish")
    loader = centre.loader()
    centre.deliver("other rubbish")
    loader.step()
    for _ in range(2):
        assert run(files, "--all") == EXIT_DONE and centre.reject.count() == 0
        assert loader.step() == 2
        assert sorted(one["body"] for one in centre.rejected()) == ["other rubbish", "rubbish"]
