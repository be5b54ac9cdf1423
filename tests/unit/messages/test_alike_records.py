"""Records that are alike are read a column at a time: each must end as if it were read line by line."""

import random

import pytest
from strategies import NOW

from apel.messages import decode
from apel.messages.decoding import RECORDS_AT_ONCE

NAMES = ["job_v0.3", "job_v0.4", "summary_v0.2", "summary_v0.4", "sync_v0.1", "cloud_v0.4"]
VALUES = [
    *["", "None", "NULL", "null ", " x", "x ", "a  b", "a%%b", "%%", "x" * 255, "x" * 256],
    *["\xa0a", "\u3000a", "\u2028", "\t1"],
    *[
        "0",
        "00",
        "0" * 20,
        "-0",
        "+1",
        "1",
        "12",
        "007",
        "9" * 18,
        "9" * 19,
        "1" * 25,
        "\u0663",
        "\xb2",
        "1_0",
        "1 ",
    ],
    *["1.5", "1e3", "nan", "4291747199", "4291747200", "2025-03-01T00:00:00Z"],
    *["HEPSPEC", "hepspec", "custom", "{HEPSPEC: 1.0}", "{si2k: 1, HEPscore23: 2.5}", "/cms/Role=x", "/"],
]
KEYS = ["Bad", "UpdateTime", "VO", "Site", "ServiceLevelType"]


def changed(records, chance):
    """Records, each the lines of one, with the lines of one key changed in the same way in all of them."""
    key = chance.choice(records[0]).partition(":")[0]
    values = [chance.choice(VALUES) for _ in range(3)]
    heads = [key + ": ", key + ": ", key + ": ", key + ":", chance.choice(KEYS) + ": "]
    head, often, gone = chance.choice(heads), chance.choice([0, 0.3, 1]), chance.random() < 0.1

    def line(old):
        if old.partition(":")[0] != key:
            return [old]
        new = head + chance.choice(values) if chance.random() <= often else head + old.partition(": ")[2]
        return [] if gone else [new]

    return [[new for old in record for new in line(old)] for record in records]


def outcome(text):
    """What the reader says of each record."""
    message = decode(text, now=NOW)
    return list(message.records), [(one.number, one.text, str(one.error)) for one in message.rejected]


@pytest.mark.parametrize("name", NAMES)
def test_alike_records_end_as_each_does_by_itself(name, sample):
    """D3"""
    header, *lines = sample(f"messages/{name}.txt").strip().split("\n")
    texts = [text.strip("\n").split("\n") for text in "\n".join(lines).split("%%")[:-1]]
    alike = [text for text in texts if len(text) == len(texts[0])] * 3
    chance = random.Random(name)
    good = 0
    for _ in range(150):
        records = alike
        for _ in range(chance.randint(1, 3)):
            records = changed(records, chance)
        if not all(records):
            continue
        chunks = ["".join(line + "\n" for line in record) for record in records]
        found = outcome(header + "\n" + "%%\n".join([*chunks, ""]))
        # A blank before the separator: then they are read line by line.
        apart = [outcome(header + "\n" + chunk.replace("\n", " \n") + " %% \n") for chunk in chunks]
        assert found[0] == [record for records, _ in apart for record in records]
        reasons = [refused[0][2] if refused else None for _, refused in apart]
        assert [(number, reason) for number, _, reason in found[1]] == [
            (number, reason) for number, reason in enumerate(reasons, 1) if reason
        ]
        good += bool(found[0])
    assert good > 20


def test_records_of_a_long_message_keep_their_numbers(sample):
    """D3: it is read in parts; one bad record of the last of them is refused with its own number and text."""
    header, _, body = sample("messages/job_v0.3.txt").strip().partition("\n")
    record = body.partition("%%\n")[0]
    count = RECORDS_AT_ONCE * 2 + 10
    chunks = [record.replace("LocalJobId: ", f"LocalJobId: {number}.") for number in range(1, count + 1)]
    chunks[count - 3] = chunks[count - 3].replace("WallDuration: ", "WallDuration: x")
    records, rejected = outcome(header + "\n" + "%%\n".join([*chunks, ""]))
    assert len(records) == count - 1
    assert [record.LocalJobId.partition(".")[0] for record in records] == [
        str(number) for number in range(1, count + 1) if number != count - 2
    ]
    ((number, text, _),) = rejected
    assert number == count - 2
    assert text == f"{header}\n{chunks[count - 3]}%%\n"


def test_cut_record_after_alike_ones_is_refused_and_not_passed_over(sample):
    """D2: even where its lines would stand in the places of keys whose values don't matter."""
    header, _, body = sample("messages/job_v0.3.txt").strip().partition("\n")
    record = "UpdateTime: x\nSubmitHostType: y\n" + body.partition("%%\n")[0]
    records, rejected = outcome(header + "\n" + "%%\n".join([record, record, "Site: EXAMPLE\n", ""]))
    assert (len(records), [number for number, _, _ in rejected]) == (2, [3])
