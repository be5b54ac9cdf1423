"""Which grid record a job gets, whatever else carries its batch id."""

from hypothesis import given
from hypothesis import strategies as st

from apel.client.benchmarks import Period
from apel.client.choice import (
    GRID,
    LOCAL,
    WAITS_FOR_BENCHMARK,
    WAITS_FOR_GRID_RECORD,
    Event,
    GridRecord,
    Rules,
    choose,
    decide,
)

OWN, OTHER = 1, 2
START = "2026-11-10 12:00:00"
EVENT = Event(OWN, "4711", "2026-11-10 14:00:00", START, 1, "cms")
ALWAYS = Period("1970-01-01 00:00:00", None, "HEPscore23", 12.5)


def at(time, ce=1, machine=None):
    return GridRecord(ce, "2026-11-%s" % time, machine)


def rules(histories=None, local_jobs=False, batch_systems=None):
    return Rules(histories or {}, local_jobs, batch_systems or {})


def test_job_without_grid_record_has_no_choice():
    assert choose(START, OWN, []) is None


def test_reused_batch_id_takes_the_nearest_record_before_the_start():
    """C3: the id was used ten days ago, an hour before the start, and again two days later."""
    old, right, later = at("01 10:00:00"), at("10 11:00:00"), at("12 10:00:00")
    assert choose(START, OWN, [later, old, right]) == right


def test_record_written_at_the_end_of_the_job_is_taken_where_none_is_before():
    """C3: the nearest after the start, where a compute element writes its line when the job ends."""
    assert choose(START, OWN, [at("12 10:00:00"), at("10 14:00:01")]) == at("10 14:00:01")


def test_two_batch_systems_with_one_id_each_keep_their_own_record():
    """C3: the other system's record is nearer, and still not chosen."""
    own, other = at("09 00:00:00", 1, OWN), at("10 11:59:59", 2, OTHER)
    assert choose(START, OWN, [own, other]) == own
    assert choose(START, OTHER, [own, other]) == other


def test_record_of_unknown_system_comes_before_that_of_another():
    unknown, other = at("09 00:00:00", 1, None), at("10 11:59:59", 2, OTHER)
    assert choose(START, OWN, [other, unknown]) == unknown


TIMES = st.integers(1, 28).map("2026-11-{:02d} 12:00:00".format)
KEYS = st.tuples(st.integers(1, 3), TIMES, st.sampled_from([None, OWN, OTHER]))
RECORDS = KEYS.map(lambda key: GridRecord(*key))


@given(st.lists(RECORDS, min_size=1, max_size=6), TIMES, st.randoms())
def test_choice_does_not_depend_on_the_order_of_the_records(records, start, random):
    """C3: never an arbitrary one."""
    shuffled = list(records)
    random.shuffle(shuffled)
    assert choose(start, OWN, records) == choose(start, OWN, shuffled)


@given(st.lists(RECORDS, min_size=1, max_size=6), TIMES)
def test_no_record_of_the_same_system_is_nearer_than_the_chosen(records, start):
    """C3."""
    chosen = choose(start, OWN, records)
    for record in records:
        if record.machine == chosen.machine and record.time <= start:
            assert record.time <= chosen.time <= start


def test_grid_job_gets_the_benchmark_of_its_compute_element():
    found = decide(EVENT, [at("10 11:00:00", 7)], rules({(1, 7): [ALWAYS]}))
    assert (found.status, found.benchmark) == (GRID, ALWAYS)


def test_compute_element_without_benchmark_makes_the_job_wait():
    """C1: and says for which compute element."""
    found = decide(EVENT, [at("10 11:00:00", 7)], rules({(1, 8): [ALWAYS]}, True, {OWN: 8}))
    assert (found.status, found.ce) == (WAITS_FOR_BENCHMARK, 7)


def test_job_without_grid_record_waits_or_becomes_local():
    assert decide(EVENT, [], rules()).status == WAITS_FOR_GRID_RECORD
    assert decide(EVENT, [], rules({}, True, {OWN: 9})).status == WAITS_FOR_BENCHMARK
    assert decide(EVENT, [], rules({}, True)).status == WAITS_FOR_BENCHMARK
    assert decide(EVENT, [], rules({(1, 9): [ALWAYS]}, True, {OWN: 9})).status == LOCAL
