"""condor_history lines: with bars, whose columns may have moved, and as JSON."""

import json

import pytest

from apel.errors import ParseError
from apel.identity import BAD_TOKEN
from apel.parsers import Failed, Skipped
from apel.parsers.accelerators import NO_GPUS
from apel.parsers.htcondor import HTCondorParser
from apel.records import EventRecord

NAMES = ["GlobalJobId", "Owner", "RemoteWallClockTime", "RemoteUserCpu", "RemoteSysCpu", "JobStartDate"]
NAMES += ["EnteredCurrentStatus", "ResidentSetSize_RAW", "ImageSize_RAW", "RequestCpus"]
JOB = "sched1.north.example#5512.0#1741300000"
SAMPLE = JOB + "|lhcb02|5400|20100|300|1741305600|1741311000|2097152|4194304|4|"
START = 1741305600


@pytest.fixture
def htcondor(options):
    return HTCondorParser(options)


def line(scale="", **changes):
    """The sample with some columns changed; one changed to None is missing."""
    fields = dict(zip(NAMES, SAMPLE.split("|")))
    assert not changes.keys() - fields.keys()
    fields.update(changes)
    return "".join(value + "|" for value in fields.values() if value is not None) + scale


def advert(**changes):
    """The sample as an object of JSON."""
    numbers = [JOB, "lhcb02", 5400.0, 20100.0, 300.0, START, START + 5400, 2097152, 4194304, 4]
    found = dict(zip(NAMES, numbers), JobStatus=4)
    found.update(changes)
    return {key: value for key, value in found.items() if value is not None}


def expected(**changes):
    values = {
        "Site": "s",
        "JobName": JOB,
        "LocalUserID": "lhcb02",
        "WallDuration": 5400,
        "CpuDuration": 20400,
        "StartTime": START,
        "StopTime": START + 5400,
        "Infrastructure": "APEL-CREAM-HTCONDOR",
        "MachineName": "m",
        "MemoryReal": 2097152,
        "MemoryVirtual": 4194304,
        "Processors": 4,
        "NodeCount": 0,
    }
    values.update(changes)
    return EventRecord.of(**values)


@pytest.mark.parametrize(
    "text", [SAMPLE, SAMPLE[:-1], SAMPLE + "|", SAMPLE + "1", SAMPLE + "1|", SAMPLE + " "]
)
def test_multiplier_one_or_none_and_the_last_bar(htcondor, text):
    """P19: the multiplier may be there, empty or absent, and so may the last bar."""
    assert htcondor.parse(text) == expected()


@pytest.mark.parametrize("text", [line("1.25"), line("1.25|"), line("1.25e0"), line(" 1.25 |")])
def test_multiplier_scales_wall_and_cpu_time(htcondor, text):
    """P19."""
    assert htcondor.parse(text) == expected(WallDuration=6750, CpuDuration=25500)


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "undefined", "1741311000", "x"])
def test_impossible_multipliers(htcondor, scale):
    """P19."""
    with pytest.raises(ParseError, match="multiplier"):
        htcondor.parse(line(scale))


@pytest.mark.parametrize("scale", ["1.25", "1.25|", ""])
@pytest.mark.parametrize("missing", NAMES)
def test_missing_attribute_shifts_the_columns(htcondor, missing, scale):
    """P19: never 10^9 seconds, never the memory for a time; the line fails."""
    with pytest.raises(ParseError):
        htcondor.parse(line(scale, **{missing: None}))


@pytest.mark.parametrize("missing", NAMES)
def test_missing_attribute_before_a_multiplier_of_one(htcondor, missing):
    """P19: the multiplier might be taken for the cores; but the lines around it have a column more."""
    good = line("1|")
    outcomes = htcondor.parse_lines([good, line("1|", **{missing: None}), good])
    assert [type(outcome) for outcome in outcomes] == [EventRecord, Failed, EventRecord]


def test_site_that_starts_to_scale(htcondor):
    """P19: from one line on there is a multiplier; nothing is missing before."""
    outcomes = htcondor.parse_lines([SAMPLE, SAMPLE, line("1|"), line("1|")])
    assert outcomes == [expected()] * 4


@pytest.mark.parametrize("text", ["undefined", "error", ""])
def test_undefined_memory_never_loses_the_job(htcondor, text):
    """P19."""
    record = htcondor.parse(line(ResidentSetSize_RAW=text, ImageSize_RAW=text))
    assert record == expected(MemoryReal=None, MemoryVirtual=None)
    assert htcondor.doubts == {"memory undefined or of unknown form, recorded without it": 2}


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"RemoteUserCpu": "undefined"}, "RemoteUserCpu is undefined"),
        ({"RemoteSysCpu": "error"}, "RemoteSysCpu is undefined"),
        ({"RemoteWallClockTime": "-5"}, "RemoteWallClockTime is negative"),
        ({"JobStartDate": "undefined"}, "JobStartDate is undefined"),
        ({"JobStartDate": "yesterday"}, "JobStartDate is of unknown form"),
        ({"EnteredCurrentStatus": "1741305599"}, "EnteredCurrentStatus is before JobStartDate"),
        ({"EnteredCurrentStatus": "99999999999"}, "no moment"),
        ({"RequestCpus": ""}, "RequestCpus is undefined"),
        ({"RequestCpus": "1.5"}, "RequestCpus is of unknown form"),
        ({"RequestCpus": "4194304"}, "RequestCpus is no number of cores"),
        ({"RemoteWallClockTime": "1741305600"}, "wall or CPU time is no duration"),
        ({"RemoteUserCpu": "1741305600"}, "wall or CPU time is no duration"),
        ({"GlobalJobId": ""}, "GlobalJobId is empty"),
        ({"Owner": "a|b|c"}, "more than 11 columns"),
    ],
)
def test_lines_that_fail_say_why(htcondor, changes, reason):
    with pytest.raises(ParseError, match=reason):
        htcondor.parse(line(**changes))


@pytest.mark.parametrize(
    "start, wall", [("0", "0"), ("undefined", "0"), ("undefined", "undefined"), ("", "0.0")]
)
def test_job_that_never_started(htcondor, start, wall):
    assert htcondor.parse(line(JobStartDate=start, RemoteWallClockTime=wall)) == Skipped("never started")


def test_decimals(htcondor):
    """HTCondor 10 and newer print CPU times with decimals where the format lets them."""
    text = line("1.5", RemoteUserCpu="20100.7", RemoteSysCpu="300.2", RemoteWallClockTime="5400.0")
    assert htcondor.parse(text) == expected(WallDuration=8100, CpuDuration=30601)


def test_much_cpu_time_is_kept_and_counted(htcondor):
    record = htcondor.parse(line(RemoteUserCpu=str(5400 * 4 * 2)))
    assert record.CpuDuration == 43500
    assert htcondor.doubts == {"suspicious: CPU time is more than 1.5 x wall time x cores": 1}


def test_long_wall_time_is_kept_and_counted(htcondor):
    assert htcondor.parse(line(RemoteWallClockTime="5461")).WallDuration == 5461
    assert htcondor.doubts == {"suspicious: wall time is longer than from the first start to the end": 1}


def test_wide_values_are_whole(htcondor):
    """P22: 100 days on 1000 cores, and a long host name in the job id."""
    day = 86400
    record = htcondor.parse(
        line(
            GlobalJobId="h" * 200 + "#1.0#1",
            RemoteWallClockTime=str(100 * day),
            RemoteUserCpu=str(99000 * day),
            EnteredCurrentStatus=str(START + 100 * day),
            RequestCpus="1000",
        )
    )
    assert record.CpuDuration == 99000 * day + 300 > 2**32
    assert len(record.JobName) == 206


def test_memory_no_column_can_hold(htcondor):
    """P22, P7."""
    assert htcondor.parse(line(ImageSize_RAW="9" * 30)).MemoryVirtual is None


def test_undefined_owner_is_none(htcondor):
    assert htcondor.parse(line(Owner="undefined")).LocalUserID is None


def test_records_are_as_if_checked(htcondor):
    record = htcondor.parse(SAMPLE)
    assert record.check() == record


def test_short_and_blank_lines(htcondor):
    assert htcondor.parse_lines(["a|b", "", "  ", "|"])[:3] == [
        Failed("fewer than 10 columns"),
        Skipped("blank line"),
        Skipped("blank line"),
    ]


# -- JSON ---------------------------------------------------------------------------------------


def test_json_line(htcondor):
    assert htcondor.parse(json.dumps(advert())) == expected()


@pytest.mark.parametrize("missing", NAMES)
def test_json_without_an_attribute(htcondor, missing):
    """P19: nothing moves; what a job can do without is left out."""
    (outcome,) = htcondor.parse_lines([json.dumps(advert(**{missing: None}))])
    optional = {
        "Owner": {"LocalUserID": None},
        "ResidentSetSize_RAW": {"MemoryReal": None},
        "ImageSize_RAW": {"MemoryVirtual": None},
    }
    if missing in optional:
        assert outcome == expected(**optional[missing])
    else:
        assert isinstance(outcome, Failed)
        assert missing in outcome.reason


def test_json_names_have_no_case_and_others_are_ignored(htcondor):
    found = {key.upper(): value for key, value in advert().items()}
    found.update(Cmd='a|b"c', ToE={"Who": "itself"}, Args="|" * 20)
    assert htcondor.parse(json.dumps(found)) == expected()


def test_json_other_sources(htcondor):
    """Without the _RAW attributes, and with an expression for RequestCpus."""
    found = advert(
        ResidentSetSize_RAW=None, ImageSize_RAW=None, RequestCpus="/Expr(ifThenElse(x, 1, 2))/",
        ResidentSetSize=2097152, ImageSize=4194304, CpusProvisioned=4, EnteredCurrentStatus=None,
        CompletionDate=START + 5400,
    )  # fmt: skip
    assert htcondor.parse(json.dumps(found)) == expected()


def test_json_scaling(htcondor):
    found = advert(MachineAttrApelScaling0=1.25)
    assert htcondor.parse(json.dumps(found)) == expected(WallDuration=6750, CpuDuration=25500)
    assert htcondor.parse(json.dumps(advert(MachineAttrApelSpecs0={"HEPSPEC": 14.37}))) == expected()
    assert htcondor.doubts == {"has ApelSpecs but no ApelScaling, recorded unscaled": 1}


@pytest.mark.parametrize(
    "found, gpus",
    [
        ({"RequestGPUs": 2}, 2),
        ({"RequestGPUs": 2, "GPUsProvisioned": 1}, 1),
        ({"RequestGPUs": "/Expr(x)/"}, None),
        ({}, None),
    ],
)
def test_json_gpus(htcondor, found, gpus):
    cards = ((0, None, None, "GPU", gpus, 5400, None),) if gpus else None
    assert htcondor.parse(json.dumps(advert(**found))) == expected(GPUs=gpus, Accelerators=cards)
    assert not htcondor.doubts


@pytest.mark.parametrize("found", [{"RequestGPUs": -1}, {"GPUsProvisioned": 1000000}, {"RequestGPUs": "x"}])
def test_gpus_of_unknown_form_lose_no_job(htcondor, found):
    """The job is recorded without their number, and counted."""
    assert htcondor.parse(json.dumps(advert(**found))) == expected()
    assert htcondor.doubts == {NO_GPUS: 1}


@pytest.mark.parametrize(
    "found, card",
    [
        ({"AssignedGPUs": "GPU-3f1, GPU-77a", "RequestGPUs": 1}, (None, None, 2, 5400, None)),
        (
            {"GPUsProvisioned": 1, "MachineAttrGPUs_DeviceName0": "Tesla T4"},
            (None, "Tesla T4", 1, 5400, None),
        ),
        ({"GPUsProvisioned": 1, "CUDADeviceName": "Tesla K80"}, (None, "Tesla K80", 1, 5400, None)),
        ({"GPUsProvisioned": 1, "LastRemoteHost": "slot1_2@gpu7.north"}, ("gpu7.north", None, 1, 5400, None)),
        ({"GPUsProvisioned": 2, "GPUsAverageUsage": 1.5, "NumJobStarts": 1}, (None, None, 2, 5400, 4050)),
        ({"GPUsProvisioned": 2, "GPUsAverageUsage": 1.5}, (None, None, 2, 5400, 4050)),
        ({"GPUsProvisioned": 1, "GPUsAverageUsage": 1.0001}, (None, None, 1, 5400, 5400)),
        ({"GPUsProvisioned": 1, "GPUsAverageUsage": 0.5, "NumJobStarts": 2}, (None, None, 1, 5400, None)),
        ({"GPUsProvisioned": 1, "GPUsAverageUsage": "undefined"}, (None, None, 1, 5400, None)),
    ],
)
def test_json_of_gpus_in_detail(htcondor, found, card):
    """The average usage is of the last run only: with several it measures nothing of the others."""
    host, model, number, wall, used = card
    record = htcondor.parse(json.dumps(advert(**found)))
    assert (record.GPUs, record.Accelerators) == (number, ((0, host, model, "GPU", number, wall, used),))
    assert record.check() == record


def test_gpu_time_is_not_scaled(htcondor):
    record = htcondor.parse(json.dumps(advert(GPUsProvisioned=1, MachineAttrApelScaling0=1.25)))
    assert (record.WallDuration, record.Accelerators[0][5]) == (6750, 5400)


ISSUER, SUBJECT = "https://vo-auth.example/", "8a41d9f0-6e1c-4c5b-9b55-5a1f2a7c9d01"
OWN = {"AuthTokenIssuer": ISSUER, "AuthTokenSubject": SUBJECT, "AuthTokenGroups": "/cms,/cms/uscms"}
TOKEN = {"TokenIssuer": ISSUER, "TokenSubject": SUBJECT, "TokenGroups": "/cms,/cms/uscms"}


@pytest.mark.parametrize(
    "found, token",
    [
        (OWN, TOKEN),
        ({"orig_" + name: value for name, value in OWN.items()}, TOKEN),
        (dict(OWN, AuthTokenGroups=["/cms", "/cms/uscms"]), TOKEN),
        (dict(OWN, AuthTokenGroups=None), dict(TOKEN, TokenGroups=None)),
        (dict(OWN, AuthTokenGroups="undefined"), dict(TOKEN, TokenGroups=None)),
        (
            dict(OWN, orig_AuthTokenIssuer="https://first.example"),
            {"TokenIssuer": "https://first.example"},
        ),
        ({"AuthTokenSubject": SUBJECT}, {"TokenSubject": SUBJECT}),
        ({"AuthTokenIssuer": "/Expr(x)/", "AuthTokenSubject": "undefined"}, {}),
        ({"AuthTokenScopes": "compute.create", "AuthTokenId": "7"}, {}),
        # HTCondor's own tokens, with which a compute element submits.
        ({"AuthTokenIssuer": "ce.example.org", "AuthTokenSubject": "condor@ce"}, {}),
    ],
)
def test_json_token(htcondor, found, token):
    """P20: a job that a compute element routed has the user's token under the first names."""
    assert htcondor.parse(json.dumps(advert(**found))) == expected(**token)


@pytest.mark.parametrize(
    "columns, token",
    [
        ("1.0|%s|%s|/cms,/cms/uscms|" % (ISSUER, SUBJECT), TOKEN),
        ("|%s|%s|/cms,/cms/uscms" % (ISSUER, SUBJECT), TOKEN),
        ("|%s|%s||" % (ISSUER, SUBJECT), dict(TOKEN, TokenGroups=None)),
        ("|%s|%s" % (ISSUER, SUBJECT), dict(TOKEN, TokenGroups=None)),
        ("1.0|undefined|undefined|undefined", {}),
        ("1.0||||", {}),
        ("1.0||", {}),
        ("||", {}),
        ("1.0|ce.example.org|condor@ce||", {}),
    ],
)
def test_token_in_columns_of_its_own(htcondor, columns, token):
    """P20."""
    assert htcondor.parse(line(columns)) == expected(**token)


@pytest.mark.parametrize("columns", ["1.0|%s" % ISSUER, "1.0|a|b|c|d", "%s|%s|/cms|" % (ISSUER, SUBJECT)])
def test_wrong_number_of_columns_of_a_token(htcondor, columns):
    """P19."""
    with pytest.raises(ParseError):
        htcondor.parse(line(columns))


def test_token_that_cant_stand_in_a_record_loses_no_job(htcondor):
    """P20."""
    assert htcondor.parse(json.dumps(advert(**dict(OWN, AuthTokenSubject="x" * 300)))) == expected()
    assert htcondor.doubts == {BAD_TOKEN: 1}


@pytest.mark.parametrize("status", [1, 2, 5])
def test_json_of_jobs_that_have_not_ended(htcondor, status):
    skipped = htcondor.parse(json.dumps(advert(JobStatus=status)))
    assert skipped == Skipped("JobStatus %d: not ended" % status)


@pytest.mark.parametrize(
    "text", ["{", "{}}", '{"a"}', "[1]", "{" * 5000, '{"a":' * 3000, '{"JobStatus": "x"}']
)
def test_json_that_fails(htcondor, text):
    with pytest.raises(ParseError):
        htcondor.parse(text)


def test_json_array_with_a_line_for_each_object(htcondor):
    text = json.dumps(advert())
    lines = ["[", text, ",", text + ",", text + "]", "]", "[]", ""]
    records = [outcome for outcome in htcondor.parse_lines(lines) if isinstance(outcome, EventRecord)]
    assert records == [expected()] * 3
    assert [type(outcome) for outcome in htcondor.parse_lines(lines)].count(Skipped) == 5


def test_json_array_as_condor_history_prints_it(htcondor):
    """An object on many lines: they stay together, and the last of them has the record."""
    pretty = json.dumps(advert(ToE={"Who": "itself"}), indent=2).splitlines()
    lines = ["[", *pretty, ",", *pretty, "]"]
    outcomes = htcondor.parse_lines(lines)
    assert len(outcomes) == len(lines)
    assert outcomes[len(pretty)] == outcomes[-2] == expected()
    assert sum(isinstance(outcome, Skipped) for outcome in outcomes) == len(lines) - 2
    assert all(htcondor.continues(text) for text in pretty[1:])
    assert not htcondor.continues(pretty[0])


def test_json_object_that_does_not_end(htcondor):
    pretty = json.dumps(advert(), indent=2).splitlines()
    outcomes = htcondor.parse_lines([*pretty[:-1], *pretty])
    assert outcomes[-1] == expected()
    assert outcomes[: len(pretty) - 1] == [Failed("a JSON object that does not end")] * (len(pretty) - 1)
    assert set(htcondor.parse_lines(pretty[:3])) == {Failed("a JSON object that does not end")}
