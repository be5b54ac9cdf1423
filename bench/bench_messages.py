"""Decode and encode: records/s beside the least that any reader of such text must do."""

from typing import List
from xml.parsers import expat

from apel.messages import decode, encode
from apel.records import JobRecord, Record, SummaryRecord
from bench.common import Rate, measure, report

#: Fits the aims of whole programs (load 20 000, unload 80 000 records/s) with time left for the database.
DECODE_AIM, ENCODE_AIM = 80000, 80000
CAR_ENCODE_AIM = 40000
END = 1741312800
VOS = ["atlas", "cms", "lhcb", "alice", "biomed"]


def jobs(count: int) -> List[Record]:
    """Jobs as a site sends them: few sites, some users, every number its own."""
    return [
        JobRecord.make(
            [
                "EXAMPLE-NORTH",
                f"ce0{n % 4}.north.example:9619/ce0{n % 4}.north.example-condor",
                "batch.north.example",
                ["long", "short"][n % 2],
                str(7731204 + n),
                f"user{n % 40:03}",
                f"/DC=org/DC=example/O=People/CN=User number {n % 40:03}",
                f"/{VOS[n % 5]}/Role=pilot/Capability=NULL",
                VOS[n % 5],
                f"/{VOS[n % 5]}",
                "Role=pilot",
                60 + 7 * n,
                50 + 6 * n,
                1 + n % 8,
                1,
                END - 60 - 7 * n,
                END,
                "APEL-CREAM-SLURM",
                "grid",
                3145728 + n if n % 10 else None,
                5242880 + n,
                "HEPscore23",
                11.0 + n % 4 / 4,
            ]
        )
        for n in range(count)
    ]


def summaries(count: int) -> List[Record]:
    return [
        SummaryRecord.of(
            Site="EXAMPLE-NORTH",
            Month=3,
            Year=2025,
            GlobalUserName=f"/DC=org/DC=example/O=People/CN=User number {n:03}",
            VO=VOS[n % 5],
            SubmitHost=f"ce0{n % 4}.north.example",
            InfrastructureType="grid",
            ServiceLevelType="HEPscore23",
            ServiceLevel=11.25,
            NodeCount=1,
            Processors=1 + n % 8,
            EarliestEndTime=END,
            LatestEndTime=END + n,
            WallDuration=60 * n,
            CpuDuration=50 * n,
            NumberOfJobs=n,
        )
        for n in range(count)
    ]


def split(text: str) -> List[object]:
    """The limit of decoding: every line cut at its colon, and nothing made of it."""
    return [line.partition(":") for line in text.split("\n")]


def run(name: str, records: List[Record]) -> None:
    count = len(records)
    text = encode(records, name)
    if decode(text).records != records:
        raise SystemExit(f"{name}: what is read is not what was written")
    lines = text.split("\n")
    limit = measure(lambda: split(text), count)
    report(f"decode {name}", measure(lambda: decode(text), count), "lines cut at ':'", limit, DECODE_AIM)
    shuffled = "\n".join(line if "%%" in line or n == 0 else " " + line for n, line in enumerate(lines))
    report(f"decode {name}, odd form", measure(lambda: decode(shuffled), count), "lines cut at ':'", limit)
    spoilt = text.replace("Site: ", "Site: %% ", 1)
    report(f"decode {name}, one bad", measure(lambda: decode(spoilt), count), "lines cut at ':'", limit)
    joined: Rate = measure(
        lambda: "\n".join(map(str, (value for record in records for value in record))), count
    )
    report(
        f"encode {name}",
        measure(lambda: encode(records, name), count),
        "str of all values",
        joined,
        ENCODE_AIM,
    )


def ignore(*_: object) -> None:
    """A handler that does nothing."""


def parse(data: bytes) -> None:
    """The limit of reading XML: expat calls for every tag and text, and nothing is made of it."""
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = ignore
    parser.Parse(data, True)


def run_car(records: List[Record]) -> None:
    count = len(records)
    text = encode(records, "job car")
    if len(decode(text).records) != count:
        raise SystemExit("job car: not all that was written is read")
    data = text.encode()
    report(
        "decode job car", measure(lambda: decode(text), count), "expat", measure(lambda: parse(data), count)
    )
    text_rate: Rate = measure(lambda: encode(records, "job v0.3"), count)
    encoded = measure(lambda: encode(records, "job car"), count)
    report("encode job car", encoded, "encode job v0.3", text_rate, CAR_ENCODE_AIM)


def main() -> None:
    run_car(jobs(1000))
    run("job v0.3", jobs(1000))
    run("job v0.4", jobs(1000))
    run("summary v0.2", summaries(1000))
    run("summary v0.4", summaries(1000))


if __name__ == "__main__":
    main()
