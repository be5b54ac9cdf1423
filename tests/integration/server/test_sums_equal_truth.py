"""However records come, change and go, the sums are those that a few lines of Python make of all records."""

import random
from collections import defaultdict
from fractions import Fraction
from typing import Any, Dict, List, Tuple

from centre import Centre, Installation, job, message

from apel.server import report
from apel.server.summarise import Summariser
from apel.times import month_of

KINDS = [("si2k", 2500.0), ("SI2K", 1333.333), ("hepspec", 9.555), ("HEPscore23", 11.25)]
MONTH_SECONDS = 31 * 86400
Sums = Dict[Tuple[Any, ...], Tuple[int, ...]]


def some_job(chance: random.Random) -> Any:
    """A job, one of few, so that many come twice with other contents."""
    start = job().StartTime + chance.choice([0, MONTH_SECONDS])
    kind, level = chance.choice(KINDS)
    vo = chance.choice(["atlas", "cms"])
    return job(
        Site=chance.choice(["A", "B"]),
        LocalJobId=str(chance.randrange(40)),
        FQAN="/" + vo,
        VO=vo,
        ServiceLevelType=kind,
        ServiceLevel=level,
        WallDuration=chance.randrange(100000),
        CpuDuration=chance.randrange(100000),
        StartTime=start,
        EndTime=start + chance.choice([1, 2]),
    )


def rounded(value: Fraction) -> int:
    """To the nearest whole number, halves up."""
    return int(value + Fraction(1, 2))


def truth(jobs: List[Any]) -> Sums:
    """Jobs, wall and CPU seconds, both normalised, by site, VO, year, month, benchmark."""
    groups: Dict[Tuple[Any, ...], List[Any]] = defaultdict(list)
    for each in jobs:
        level = Fraction(str(each.ServiceLevel))
        key = (each.Site, each.VO, *month_of(each.EndTime), each.ServiceLevelType.lower(), level)
        groups[key].append(each)
    sums: Sums = {}
    for key, members in groups.items():
        factor = key[-1] / 250 if key[-2] == "si2k" else key[-1]
        wall, cpu = sum(one.WallDuration for one in members), sum(one.CpuDuration for one in members)
        sums[key] = (len(members), wall, cpu, rounded(wall * factor), rounded(cpu * factor))
    return sums


def found(centre: Centre) -> Sums:
    """The same from the database."""
    query = (
        "SELECT Sites.name, VOs.name, Year, Month, LOWER(ServiceLevelType), ServiceLevel, NumberOfJobs,"
        " WallDuration, CpuDuration, NormalisedWallDuration, NormalisedCpuDuration"
        " FROM HybridSuperSummaries JOIN Sites ON Sites.id = SiteID JOIN VOs ON VOs.id = VOID"
    )
    sums: Sums = {}
    for row in centre.rows(query):
        key = (*row[:5], Fraction(str(row[5])))
        assert key not in sums, "one row for each group"
        sums[key] = tuple(int(value) for value in row[6:])
    return sums


def test_changed_months_alone_give_the_sums_of_everything(centre: Centre) -> None:
    """D8, D6: records come, and come again with other contents; only marked months are made again."""
    chance = random.Random(7)
    have: Dict[Any, Any] = {}
    for _ in range(12):
        for _ in range(chance.randrange(3)):
            batch = [some_job(chance) for _ in range(20)]
            have.update({(one.Site, one.MachineName, one.LocalJobId, one.EndTime): one for one in batch})
            centre.load(message(batch))
        centre.summarise()
        assert found(centre) == truth(list(have.values()))
    summariser = Summariser(centre.db)
    summariser.mark(summariser.all_months())
    assert summariser.run() == 4
    assert found(centre) == truth(list(have.values()))
    assert report.total(report.rows(centre.db)).jobs == len(have)


def test_sums_beyond_32_bits_are_exact(centre: Centre) -> None:
    large = 4000000000
    jobs = [job(LocalJobId=str(number), WallDuration=large, CpuDuration=large * 8) for number in range(5)]
    centre.load(message(jobs))
    centre.summarise()
    assert found(centre) == truth(jobs)


def test_loader_and_summariser_at_once(installation: Installation) -> None:
    """D8: while one writes, the other sums; when both are done, nothing is missing."""
    chance = random.Random(11)
    have: Dict[Any, Any] = {}
    centre = installation.centre
    for _ in range(80):
        batch = [some_job(chance) for _ in range(30)]
        have.update({(one.Site, one.MachineName, one.LocalJobId, one.EndTime): one for one in batch})
        centre.deliver(message(batch))
    runs = 0
    with installation.running_loader() as loader:
        while centre.incoming.count():
            centre.summarise()
            runs += 1
        assert loader.poll() is None
    centre.summarise()
    assert runs > 1 and found(centre) == truth(list(have.values()))
