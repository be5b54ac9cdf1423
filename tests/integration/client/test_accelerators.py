"""Accelerators of batch jobs become records of their own when the jobs are joined."""

import pytest
from gridsite import CE1, DN, END, MACHINE, SITE, event, grid, settings_with

from apel import unloader
from apel.client.accelerators import reference_of
from apel.client.join import rejoin_month
from apel.client.run import missing_rules, unload
from apel.db.store import store
from apel.db.tables import EVENTS
from apel.records import AcceleratorRecord

COLUMNS = "LocalJobId, Model, Type, Count, Cores, AvailableDuration, ActiveDuration"
A100 = "host=gpu-a*,model=NVIDIA A100,cores=6912"


def cards(*found, hours=1.0):
    """Accelerators of a job: (host, model, number) each."""
    wall = int(hours * 3600)
    return tuple(
        (place, host, model, "GPU", number, wall, None) for place, (host, model, number) in enumerate(found)
    )


def job(name, *found, end=END, hours=1.0, **changes):
    """A batch job with accelerators."""
    return event(name, end, hours, Accelerators=cards(*found, hours=hours), **changes)


@pytest.fixture
def ready(site):
    """A site that knows its benchmarks."""
    site.benchmark(CE1)
    site.benchmark(MACHINE)
    return site


def records(site):
    return sorted(site.rows("SELECT %s FROM VAcceleratorRecords" % COLUMNS))


def test_every_model_of_a_job_has_a_record(ready):
    two = job("1", ("n1", "a100", 2), ("n2", "a100", 1), ("n2", "t4", 1))
    ready.put(two, grid("1"), event("2"), grid("2"))
    assert ready.join().accelerators.records == 2
    assert records(ready) == [
        ("1", "a100", "GPU", 3, None, 3600, None),
        ("1", "t4", "GPU", 1, None, 3600, None),
    ]


def test_record_has_the_identity_of_its_job_and_the_month_of_its_end(ready):
    """A job over the end of a month is accounted in the month in which it ends, and so are its cards."""
    end = "2026-04-01 00:30:00"
    ready.put(job("1", ("n1", "a100", 1), end=end), grid("1", "2026-03-31 23:00:00"))
    ready.join()
    columns = (
        "MeasurementYear, MeasurementMonth, AssociatedRecordType, AssociatedRecord, GlobalUserName, FQAN, VO"
    )
    columns += ", VORole, SiteName, SubmitHost, InfrastructureType, EndTime"
    reference = MACHINE + "/1/2026-04-01T00:30:00Z"
    fqan = "/atlas/Role=production/Capability=NULL"
    who = (DN, fqan, "atlas", "Role=production", SITE, CE1, "grid", end)
    assert ready.rows("SELECT %s FROM VAcceleratorRecords" % columns) == [(2026, 4, "job", reference, *who)]


def test_local_jobs_have_theirs(ready):
    ready.put(job("1", ("n1", "a100", 1)))
    assert ready.join().accelerators.records == 0
    assert records(ready) == []
    ready.join(local_jobs=True)
    found = ready.rows("SELECT GlobalUserName, VO, InfrastructureType, Count FROM VAcceleratorRecords")
    assert found == [("None", "atlas", "local", 1)]


def test_job_that_is_joined_later_gets_them_then(ready):
    ready.put(job("1", ("n1", "a100", 1)))
    ready.join()
    ready.put(grid("1"))
    assert ready.join().accelerators.records == 1
    assert [row[0] for row in records(ready)] == ["1"]


def test_joining_again_doubles_nothing_and_sends_nothing_again(ready):
    ready.put(job("1", ("n1", "a100", 2)), grid("1"))
    ready.join()
    ready.execute("UPDATE AcceleratorRecords SET UpdateTime = '2026-05-01 00:00:00'")
    rejoin_month(ready.db, 2026, 3)
    ready.join()
    stamps = ready.rows("SELECT CAST(UpdateTime AS CHAR) FROM AcceleratorRecords")
    assert stamps == [("2026-05-01 00:00:00",)]


def test_runs_of_one_batch_id_are_kept_apart(ready):
    """A job that was requeued, and ids that are used again."""
    ready.put(job("1", ("n1", "a100", 1)), job("1", ("n1", "a100", 1), end="2026-03-10 11:00:00"), grid("1"))
    ready.join(local_jobs=True)
    references = ready.rows("SELECT AssociatedRecord FROM AcceleratorRecords")
    assert len(set(references)) == 2


def test_parsing_again_without_them_puts_an_end_to_their_records(ready):
    """reparse = true: the centre must not keep counting what the job never had."""
    ready.put(job("1", ("n1", "a100", 2), ("n1", "t4", 1)), grid("1"))
    ready.join()
    store(ready.db, EVENTS, [job("1", ("n1", "a100", 1))], "update")
    ready.join()
    assert [(row[1], row[3], row[5]) for row in records(ready)] == [("a100", 1, 3600), ("t4", 1, 0)]
    store(ready.db, EVENTS, [event("1")], "update")
    ready.join()
    assert [(row[1], row[5]) for row in records(ready)] == [("a100", 0), ("t4", 0)]


def test_rules_name_models(ready):
    """By host, by queue, by the log's own name; cores are those of all cards."""
    ready.put(
        job("1", ("gpu-a7", None, 2)), grid("1"),
        job("2", ("other", None, 1), Queue="t4"), grid("2"),
        job("3", ("gpu-a7", "tesla", 1)), grid("3"),
        job("4", ("other", "v100", 1)), grid("4"),
    )  # fmt: skip
    rules = [A100, "queue=t4,model=NVIDIA T4", "name=v1*,model=NVIDIA V100,type=Other,benchmark=HS-GPU:12.5"]
    assert not ready.join(rules=rules).accelerators.unknown
    assert records(ready) == [
        ("1", "NVIDIA A100", "GPU", 2, 13824, 3600, None),
        ("2", "NVIDIA T4", "GPU", 1, None, 3600, None),
        ("3", "tesla", "GPU", 1, None, 3600, None),
        ("4", "NVIDIA V100", "Other", 1, None, 3600, None),
    ]
    benchmarks = "SELECT LocalJobId, BenchmarkType, Benchmark FROM VAcceleratorRecords WHERE Benchmark > 0"
    assert ready.rows(benchmarks) == [("4", "HS-GPU", 12.5)]


def test_unknown_model_is_recorded_and_said_and_a_rule_cures_it(ready):
    """The record of the unknown model is put an end to: the centre would count the card twice."""
    ready.put(job("1", ("gpu-a7", None, 2)), grid("1"), job("2", ("gpu-a7", None, 1)), grid("2"))
    joined = ready.join()
    assert [(row[1], row[3]) for row in records(ready)] == [("unknown", 2), ("unknown", 1)]
    (advice,) = missing_rules(joined, settings_with("/etc/apel/client.cfg"))
    assert advice.startswith("2 jobs on gpu-a7 had accelerators whose model the log doesn't tell")
    assert "[accelerators] of /etc/apel/client.cfg: rule1 = host=gpu-a7,model=<model>" in advice
    rejoin_month(ready.db, 2026, 3)
    ready.join(rules=[A100])
    alive = [row for row in records(ready) if row[5]]
    assert [(row[0], row[1]) for row in alive] == [("1", "NVIDIA A100"), ("2", "NVIDIA A100")]
    assert len(records(ready)) == 4


def test_only_the_places_with_the_most_unknown_cards_are_named(ready):
    for number in range(8):
        host = "gpu%d" % (number % 7) if number else None
        ready.put(job(str(number), (host, None, 1), Queue="g"), grid(str(number)))
    *named, last = missing_rules(ready.join(), settings_with())
    assert len(named) == 5
    assert any(line.startswith("1 jobs of queue g had") and "rule1 = queue=g," in line for line in named)
    assert last.startswith("So had jobs of 3 other hosts or queues")


def test_shares_are_recorded_as_parts_of_cards_where_a_rule_says_of_what(ready):
    """Without one they are not taken for whole cards."""
    ready.put(job("1", ("n1", "shard", 2)), grid("1"), job("2", ("n1", "1g.5gb", 1)), grid("2"))
    joined = ready.join()
    assert [(row[1], row[3]) for row in records(ready)] == [("1g.5gb", 1)]
    (advice,) = missing_rules(joined, settings_with())
    assert advice.startswith("1 jobs of queue grid had shares of GPUs (shard) that are not recorded")
    rejoin_month(ready.db, 2026, 3)
    ready.join(rules=["name=shard,model=T4,share=0.25", "name=1g.*,model=A100,share=0.142857,cores=7000"])
    alive = [row[:5] for row in records(ready) if row[5]]
    assert alive == [("1", "T4", "GPU", 0.5, None), ("2", "A100", "GPU", 0.142857, 1000)]


def test_absurd_numbers_of_cards_keep_no_job_from_being_joined(ready):
    ready.put(
        job("1", ("n1", "x", 999999), ("n2", "x", 999999)), grid("1"), job("2", ("n1", "t4", 1)), grid("2")
    )
    assert ready.join(rules=["name=x,share=1000,cores=9000"]).grid == 2
    found = [(row[1], row[3], row[4]) for row in records(ready)]
    assert found == [("x", 999999.999999, 2147483647), ("t4", 1, None)]


def test_time_of_use_of_cards_of_one_model_is_their_mean(ready):
    found = ((0, "n1", "t4", "GPU", 3, 3600, 3600), (1, "n2", "t4", "GPU", 1, 3600, 0))
    ready.put(event("1", Accelerators=found), grid("1"))
    ready.join()
    assert records(ready) == [("1", "t4", "GPU", 4, None, 3600, 2700)]


def test_reference_of_a_job_fits_and_is_unique():
    assert reference_of("b", "1", END) == "b/1/2026-03-10T12:00:00Z"
    long = {reference_of("b" * 200, "j" * 200 + last, END) for last in "xy"}
    assert [len(reference) for reference in long] == [255, 255]


# -- unloading ----------------------------------------------------------------------------------


@pytest.fixture
def joined(ready, monkeypatch):
    """Jobs of two VOs and a local one, with accelerators; two are of April."""
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
    april = "2026-04-02 12:00:00"
    ready.put(
        job("1", ("n1", "a100", 2)), grid("1"), event("2"), grid("2"),
        job("3", ("n1", "a100", 0.5), end=april),
        grid("3", "2026-04-02 10:00:00", VO="cms", FQAN=None, GlobalUserName=None),
        job("4", ("n1", "t4", 1), end=april),
    )  # fmt: skip
    ready.join(local_jobs=True)
    age(ready)
    return ready


def age(site):
    for table in ("JobRecords", "AcceleratorRecords"):
        site.execute("UPDATE %s SET UpdateTime = '2026-05-01 00:00:00'" % table)


def sent(site, queue, **options):
    """What a run of the client unloads of accelerators: job ids; and only that of the queue."""
    values = {"unloader__" + name: value for name, value in options.items()}
    settings = settings_with(joiner__local_jobs=True, **dict({"unloader__accelerators": True}, **values))
    queue.texts = []
    unload(site.db, settings, queue)
    return sorted(record.AssociatedRecord.split("/")[1] for record in queue.records("accelerator"))


def test_nothing_is_sent_unless_asked_for(joined, queue):
    """A receiver with APEL 2 rejects the messages; the records are kept for a day when it can read them."""
    assert sent(joined, queue, accelerators=False) == []
    assert len(records(joined)) == 3


def test_latest_sends_what_is_new_and_all_when_it_is_switched_on(joined, queue):
    """Long after the jobs were sent: the watermark of accelerators is their own."""
    sent(joined, queue, accelerators=False)
    assert sent(joined, queue) == ["1", "3", "4"]
    assert sent(joined, queue) == []
    assert queue.records("job") == [], "the watermark of jobs was lost"
    joined.put(job("5", ("n1", "a100", 1)), grid("5"))
    joined.join(local_jobs=True)
    assert sent(joined, queue) == ["5"]
    assert sent(joined, queue, interval="all") == ["1", "3", "4", "5"]


def test_message_says_all_of_a_record(joined, queue):
    sent(joined, queue)
    first, cms, local = sorted(queue.records("accelerator"), key=lambda record: record.AssociatedRecord)
    assert first == AcceleratorRecord.of(
        MeasurementMonth=3,
        MeasurementYear=2026,
        AssociatedRecordType="job",
        AssociatedRecord=MACHINE + "/1/2026-03-10T12:00:00Z",
        GlobalUserName=DN,
        FQAN="/atlas/Role=production/Capability=NULL",
        VO="atlas",
        VOGroup="/atlas",
        VORole="Role=production",
        SiteName=SITE,
        Count=2,
        AvailableDuration=3600,
        Type="GPU",
        Model="a100",
    )
    assert (cms.Count, cms.GlobalUserName, cms.MeasurementMonth) == (0.5, None, 4)
    assert local.Model == "t4"


def test_message_says_the_vo_also_of_jobs_without_fqan(joined, queue):
    """Jobs with tokens, local jobs, and where a rule names another VO: the message has no key for it."""
    who = {"VO": "dune", "VOGroup": "/dune/prod", "VORole": "Role=pilot"}
    joined.put(job("5", ("n1", "a100", 1)), grid("5", FQAN=None, **who))
    joined.put(job("6", ("n1", "a100", 1)), grid("6", VO="lhcb", VOGroup=None, VORole=None))
    joined.join(local_jobs=True)
    sent(joined, queue)
    found = {one.AssociatedRecord.split("/")[1]: one for one in queue.records("accelerator")}
    assert {name: (one.VO, one.FQAN) for name, one in found.items() if name != "1"} == {
        "3": ("cms", "cms"),
        "4": ("atlas", "atlas"),
        "5": ("dune", "/dune/prod/Role=pilot"),
        "6": ("lhcb", "lhcb"),
    }
    assert (found["5"].VOGroup, found["5"].VORole) == ("/dune/prod", "Role=pilot")


def test_names_are_withheld(joined, queue):
    sent(joined, queue, withhold_dns=True)
    assert {record.GlobalUserName for record in queue.records("accelerator")} == {"withheld", None}
    assert DN not in "".join(queue.texts)


def test_vos_and_gap_choose_accelerators_as_they_choose_jobs(joined, queue):
    assert sent(joined, queue, include_vos=["cms"]) == ["3"]
    gap = {"interval": "gap", "gap_start": "2026-03-01", "gap_end": "2026-03-31"}
    assert sent(joined, queue, **gap) == ["1"]


def test_accelerators_are_sent_beside_sums_and_usage_records(joined, queue):
    assert sent(joined, queue, send_summaries=True) == ["1", "3", "4"]
    assert sent(joined, queue, send_ur=True, interval="all") == ["1", "3", "4"]
    assert sent(joined, queue, dict_benchmark_type=True, interval="all") == ["1", "3", "4"]


def test_record_that_is_no_more_is_sent_without_time(joined, queue):
    """A centre that replaces by key then counts the card once."""
    sent(joined, queue)
    rejoin_month(joined.db, 2026, 3)
    joined.join(local_jobs=True, rules=["name=a100,model=NVIDIA A100"])
    assert sent(joined, queue) == ["1", "1"]
    found = {record.Model: record.AvailableDuration for record in queue.records("accelerator")}
    assert found == {"a100": 0, "NVIDIA A100": 3600}
    age(joined)
    rejoin_month(joined.db, 2026, 3)
    joined.join(local_jobs=True, rules=["name=a100,model=NVIDIA A100"])
    assert sent(joined, queue) == []


def test_message_holds_no_more_than_json_may(ready, queue, monkeypatch):
    monkeypatch.setattr(unloader, "MOST_RECORDS_IN_JSON", 2)
    monkeypatch.setattr(unloader, "WAITS_FOR_A_QUIET_SECOND", 0)
    for number in range(5):
        ready.put(job(str(number), ("n1", "a100", 1)), grid(str(number)))
    ready.join()
    assert len(sent(ready, queue, records_per_message=5000)) == 5
    assert sum(message.format.startswith("accelerator") for message in queue.messages()) == 3
