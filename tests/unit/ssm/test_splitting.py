"""S10: a message that is too large is cut between its records, and nothing of it is lost or made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssm.splitting import halves

HEADER = b"APEL-sync-message: v0.1"


def message(records, end=b"\n%%\n"):
    return HEADER + b"\n" + b"\n%%\n".join(records) + end


def records_of(text):
    header, _, rest = text.partition(b"\n")
    assert header == HEADER
    return [record.strip(b"\n") for record in rest.split(b"\n%%") if record.strip()]


@given(st.lists(st.integers(1, 50000), min_size=2, max_size=40), st.booleans())
def test_halves_hold_every_record_once_and_in_order(sizes, ended):
    records = [b"Site: %d\nNote: %s" % (number, b"x" * size) for number, size in enumerate(sizes)]
    first, second = halves(message(records, b"\n%%\n" if ended else b""))
    assert records_of(first) + records_of(second) == records
    assert records_of(first) and records_of(second)


def test_halves_are_about_half():
    first, second = halves(message([b"Site: x"] * 1000))
    assert abs(len(first) - len(second)) < 30


def test_windows_line_ends_are_kept():
    first, second = halves(b"A: v1\r\nSite: a\r\nX: 1\r\n%%\r\nSite: b\r\nX: 2\r\n%%\r\n")
    assert first == b"A: v1\nSite: a\r\nX: 1\n%%\n"
    assert second == b"A: v1\nSite: b\r\nX: 2\n%%\n"


def test_separator_within_a_value_does_not_cut():
    first, second = halves(message([b"Name: 50%% off", b"Name: b"]))
    assert records_of(first) == [b"Name: 50%% off"]
    assert records_of(second) == [b"Name: b"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"A: v1",
        message([b"Site: a"]),
        message([b"Site: a"], b""),
        b"no header\nSite: a\n%%\nSite: b\n%%\n",
        b"<?xml version='1.0' xmlns:a='b'?>\n<a/>\n%%\n<b/>\n",
        b'{"Type": "x"}\n%%\n%%\n{}',
        b"<a><b/></a>",
        b"<a><b/><c/></a>",
        b"<a>text<b/><b/></a>",
        b"<a><b/><b></a>",
        b"<!DOCTYPE a [<!ENTITY e 'x'>]><a><b/><b/></a>",
        b"<a><?pi x?><b/><b/></a>",
        b'{"Type": "x", "UsageRecords": [{}]}',
        b'{"Type": "x", "UsageRecords": [1, 2]}',
        b'{"Type": "x", "A": [{}, {}], "B": [{}, {}]}',
        b'{"Type": "x", "Type": "y", "A": [{}, {}]}',
        b'{"A": [{}, {}]',
        b'{"A": ' + b"[" * 100000,
        b'{"A": [{}, {}], "B": []}',
        b'{"A": [{}, {"x": 1, "x": 2}]}',
        b'{"A": [{}, {}]} {}',
        b'{"A": [{}, {},]}',
        b'{"A": [{}, {}] "B": 1}',
        b'{"A" [{}, {}]}',
        b"{1: [{}, {}]}",
        b'{"A": [{}, {"x": "\xff"}]}',
        b"{}",
        b"{",
        b"A: v1\n%%\n \n%%\n",
    ],
)
def test_what_has_no_two_records_is_not_cut(text):
    assert halves(text) is None


@pytest.mark.parametrize(
    "one",
    [b'{"x": 0.12345678901234567890}', b'{"x": 1e999}', b'{"x": "\\ud800 \\u00e9"}', '{"x": "é"}'.encode()],
)
def test_json_is_cut_as_it_is_written(one):
    """Numbers aren't rounded, and what is no character by itself ends no sender."""
    head, tail = b'{ "Type": "x",\n"Records":\n[ ', b' ] , "More": {"a": [1.50, 2]} }'
    first, second = halves(b"\n" + head + one + b" , {}" + tail + b"\r\n")
    assert (first, second) == (head + one + tail + b"\n", head + b"{}" + tail + b"\n")


def test_json_of_any_depth_ends_no_sender():
    """It is cut, or, where it is too deep to be read, not."""
    nested = (b"[" * depth + b"]" * depth for depth in [*range(100, 1100, 3), 1000000])
    cut = [halves(b'{"A": [{"x": %s}, {}]}' % value) is not None for value in nested]
    assert cut[0] and not cut[-1] and cut == sorted(cut, reverse=True)


def test_a_large_message_is_cut_in_linear_time():
    """Twenty cuts of 20 MB down to single records are a matter of a second, not of minutes."""
    todo, count = [message([b"Site: x\nLocalJobId: 12345\nNote: %s" % (b"y" * 2000)] * 10000)], 0
    while todo:
        two = halves(todo.pop())
        if two is None:
            count += 1
        else:
            todo += two
    assert count == 10000
