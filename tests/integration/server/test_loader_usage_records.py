"""The centre takes usage records in XML (CAR) as it takes jobs in text: good ones stored, bad ones kept."""

from typing import Any

import pytest
from centre import Centre, job, jobs, message, refuse_13_cores

from apel.messages import decode


def test_the_same_jobs_make_the_same_tables_as_text(centre: Centre) -> None:
    """But for what CAR doesn't carry: memory, and a description that the sender leaves out."""
    sent = jobs(3, MemoryReal=None, MemoryVirtual=None, InfrastructureDescription=None)
    centre.load(message(sent, "job car"))
    picture = centre.picture()
    assert centre.count("JobRecords") == 3 and centre.rejected() == []
    assert centre.count("ChangedMonths") == 1
    centre.load(message(sent))
    assert centre.picture() == picture


def test_one_bad_record_of_1000_is_kept_and_the_others_are_loaded(centre: Centre) -> None:
    """D3: 999 stored, one in `reject` as a document that can be loaded when it is put right."""
    good = message(jobs(1000), "job car")
    centre.load(good.replace("<urf:LocalJobId>500<", "<urf:LocalJobId><", 1))
    assert centre.count("JobRecords") == 999
    (rejected,) = centre.rejected()
    assert "record 501: LocalJobId: mandatory, and absent" in rejected["error"]
    centre.load(rejected["body"].replace("<urf:LocalJobId><", "<urf:LocalJobId>500<"))
    assert centre.count("JobRecords") == 1000 and len(centre.rejected()) == 1


def test_strict_refuses_a_message_with_one_bad_record(centre: Centre) -> None:
    """D3: the strict option."""
    body = message(jobs(10), "job car").replace("<urf:LocalJobId>5<", "<urf:LocalJobId><")
    centre.load(body, strict=True)
    assert centre.count("JobRecords") == 0
    (rejected,) = centre.rejected()
    assert rejected["body"] == body and "record 6: LocalJobId" in rejected["error"]


def test_records_that_only_the_database_refuses_are_kept_with_the_others(centre: Centre) -> None:
    """D3: as sent and as written anew, in one document; nothing of them is lost."""
    refuse_13_cores(centre.db)
    sent = [job(LocalJobId=str(number), Processors=12 + number % 2) for number in range(4)]
    body = message(sent, "job car").replace("<urf:LocalJobId>0<", "<urf:LocalJobId>None<")
    centre.load(body.replace("urf:", "u:").replace(":urf", ":u"))
    assert centre.rows("SELECT LocalJobId FROM JobRecords") == [("2",)]
    (rejected,) = centre.rejected()
    reasons = rejected["error"].split("; ")
    assert [reason.partition(":")[0] for reason in reasons[1:]] == ["record 2", "record 4"]
    again = decode(rejected["body"])
    assert [record.LocalJobId for record in again.records] == ["1", "3"] and len(again.rejected) == 1
    assert {record.InfrastructureDescription for record in again.records} == {"APEL-SLURM"}


@pytest.mark.parametrize(
    "body, words",
    [
        ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbb">]><a>&b;</a>', "document type"),
        ("<" * 10000000, "not well-formed"),
        ('<a xmlns="http://eu-emi.eu/namespaces/2011/02/anotherrecord"/>', "XML format not recognised."),
        ('<a xmlns="http://eu-emi.eu/namespaces/2012/11/computerecord"/>', "does not contain car records!"),
        (message([job()], "job car")[:-30], "unclosed token"),
    ],
)
def test_bad_xml_is_rejected_with_its_reason(centre: Centre, body: str, words: str) -> None:
    """D11: and the next message is loaded."""
    centre.load(body, message([job(LocalJobId="after")], "job car"))
    (rejected,) = centre.rejected()
    assert rejected["body"] == body and words in rejected["error"]
    assert centre.rows("SELECT LocalJobId FROM JobRecords") == [("after",)]


def test_the_log_names_the_format(centre: Centre, caplog: Any) -> None:
    caplog.set_level("INFO", logger="apel.server.loader")
    centre.load(message(jobs(3), "job car"))
    assert caplog.records[-1].getMessage().endswith("job car: 3 records stored")
