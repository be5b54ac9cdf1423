"""Several loaders on one queue: a correction never overtakes what it corrects."""

from typing import Any, List

from centre import Centre, Installation, job, jobs, message, wait_for

SIGNERS = ["/DC=org/DC=example/CN=host%d" % number for number in range(4)]
PAIRS = 40


def wall_times(centre: Centre) -> List[Any]:
    """By site, the wall times that are in the database."""
    return sorted(set(centre.rows("SELECT Site, WallDuration FROM VJobRecords")))


def deliver_versions(centre: Centre, versions: int, signers: List[str]) -> None:
    """Messages with the same jobs of each signer's site, with another wall time each time."""
    for version in range(1, versions + 1):
        for number, signer in enumerate(signers):
            records = jobs(20, Site="SITE-%d" % number, WallDuration=version)
            centre.deliver(message(records), signer=signer)


def test_messages_of_one_signer_are_loaded_in_order(centre: Centre) -> None:
    """D6: the first message is in the hands of another loader, so the second must wait, and no others."""
    deliver_versions(centre, 2, SIGNERS[:2])
    first = next(iter(centre.incoming.ids()))
    another = centre._queue("incoming", dict(centre.incoming.schema))
    assert another.lock(first)
    loader = centre.loader()
    assert loader.step() == 2
    assert wall_times(centre) == [("SITE-1", 2)]
    another.unlock(first)
    assert loader.step() == 2
    assert wall_times(centre) == [("SITE-0", 2), ("SITE-1", 2)]


def test_a_signer_need_not_wait_when_the_other_loader_is_done(centre: Centre) -> None:
    """Done, as it was taken away; nothing of its signer has been passed over."""
    deliver_versions(centre, 2, SIGNERS[:1])
    first, second = centre.incoming.ids()
    another = centre._queue("incoming", dict(centre.incoming.schema))
    assert another.lock(first)
    turns = centre.loader()._turns
    turns.is_held(first)
    assert turns.must_wait(second)
    turns.begin_pass()
    turns.is_held(first)
    another.remove(first)
    assert not turns.must_wait(second)
    assert not turns.passed_over


def test_two_loaders_leave_the_last_version_of_small_messages(installation: Installation) -> None:
    """D6: two processes share a queue of small messages: what one takes together keeps the other in order."""
    centre = installation.centre
    deliver_versions(centre, PAIRS, SIGNERS)
    text = (installation.folder / "loader.cfg").read_text()
    pid = "pidfile = %s" % installation.pidfile
    other = installation.write("loader2.cfg", text.replace(pid, pid + "2"))
    with installation.running_loader(), installation.running_loader("-c", other):
        wait_for(lambda: centre.incoming.count() == 0, 120)
    assert centre.rejected() == []
    assert wall_times(centre) == [("SITE-%d" % number, PAIRS) for number in range(len(SIGNERS))]


def test_two_loaders_leave_the_last_version_of_each_job(installation: Installation) -> None:
    """D6: two processes share a queue of large messages, each followed by a small correction."""
    centre = installation.centre
    for number in range(PAIRS):
        records = jobs(300, MachineName="batch%d" % number, WallDuration=1)
        centre.deliver(message(records))
        centre.deliver(message([job(MachineName="batch%d" % number, LocalJobId="0", WallDuration=2)]))
    text = (installation.folder / "loader.cfg").read_text()
    pid = "pidfile = %s" % installation.pidfile
    other = installation.write("loader2.cfg", text.replace(pid, pid + "2"))
    with installation.running_loader(), installation.running_loader("-c", other):
        wait_for(lambda: centre.incoming.count() == 0)
    assert centre.rejected() == []
    assert centre.rows("SELECT WallDuration FROM JobRecords WHERE LocalJobId = '0'") == [(2,)] * PAIRS
