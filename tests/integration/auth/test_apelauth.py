"""apelauth against a local server that speaks GOCDB's interface."""

import os
import time
from typing import Any, Callable, Iterator, List

import pytest

from apel.commands import apelauth
from apelcommon.errors import EXIT_DONE, EXIT_FAILED, EXIT_TRY_LATER, EXIT_USAGE
from servers.gocdb import Gocdb, Service
from servers.process import free_port

PEOPLE = ["/DC=org/DC=example/CN=host%03d.example.org" % number for number in range(25)]
ALL = [Service("SITE-%d" % (number // 2), name) for number, name in enumerate(PEOPLE)]


@pytest.fixture
def gocdb() -> Iterator[Gocdb]:
    """A GOCDB with 25 services of 13 sites, ten on a page."""
    server = Gocdb(per_page=10)
    server.services = list(ALL)
    yield server
    server.close()


@pytest.fixture
def auth(tmp_path: Any, gocdb: Gocdb) -> Callable[..., int]:
    """Runs apelauth with these options and words; its exit status."""

    def run(*words: str, **options: str) -> int:
        values = {"gocdb_url": gocdb.url, "timeout": "10"}
        for name in ("extra-dns", "banned-dns", "allowed-dns", "dn-sites", "extra-dn-sites"):
            values[name] = str(tmp_path / name)
        values.update(options)
        lines = ["%s = %s\n" % item for item in values.items()]
        textfile = "[metrics]\ntextfile = %s\n" % (tmp_path / "prom")
        log = "[logging]\nlogfile = %s\nconsole = false\n" % (tmp_path / "log")
        (tmp_path / "auth.cfg").write_text("[auth]\n" + "".join(lines) + textfile + log)
        return apelauth.main(["-c", str(tmp_path / "auth.cfg"), *words])

    return run


def allowed(tmp_path: Any) -> List[str]:
    """The list of names."""
    return list((tmp_path / "allowed-dns").read_text().splitlines())


def rights(tmp_path: Any) -> List[str]:
    """The lines of the site map."""
    return [line for line in (tmp_path / "dn-sites").read_text().splitlines() if line[0] != "#"]


def test_names_of_all_pages_and_the_admins_lists(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    """In GOCDB's order and each once; banned names go, malformed and empty ones are left out."""
    gocdb.services += [Service("SITE-X", ""), Service("SITE-X", "CN=backwards,DC=org"), ALL[0]]
    (tmp_path / "extra-dns").write_text("# portals\n/C=UK/CN=portal\n\nnonsense\n%s\n" % PEOPLE[3])
    (tmp_path / "banned-dns").write_text(PEOPLE[1] + "\n")
    (tmp_path / "extra-dn-sites").write_text("* /C=UK/CN=portal\nSITE-1\t%s\nnonsense\n" % PEOPLE[0])
    assert auth() == EXIT_DONE
    assert allowed(tmp_path) == [PEOPLE[0], *PEOPLE[2:], "/C=UK/CN=portal"]
    assert len(gocdb.asked) == 3
    found = rights(tmp_path)
    assert found[0] == "* /C=UK/CN=portal"
    assert "SITE-0 " + PEOPLE[0] in found and "SITE-1 " + PEOPLE[0] in found
    assert "SITE-0 " + PEOPLE[1] not in found
    assert 'apel_auth_names{program="apelauth"} 25' in (tmp_path / "prom").read_text()
    log = (tmp_path / "log").read_text()
    assert "CN=backwards" in log and "nonsense" in log


def test_names_with_commas_are_banned_and_added_as_ssmreceive_reads_them(
    auth: Any, gocdb: Gocdb, tmp_path: Any
) -> None:
    """The same file bans there: here the name was let in, for receivers that have this list alone."""
    banned = ["\ufeff" + PEOPLE[0], "CN=host001.example.org,DC=example,DC=org", "nonsense"]
    both = ["/O=Org/CN=twice", "/CN=twice/O=Org"]
    gocdb.services += [Service("SITE-X", name) for name in both]
    (tmp_path / "banned-dns").write_text("\n".join([*banned, "O=Org, CN=twice", ""]), encoding="utf-8")
    (tmp_path / "extra-dns").write_text("C = UK, O = Org, CN = portal\nO=Org,CN=either\n")
    assert auth() == EXIT_DONE
    assert allowed(tmp_path) == [*PEOPLE[2:], "/C=UK/O=Org/CN=portal"]
    log = (tmp_path / "log").read_text()
    assert "banned-dns: a line that is no name" in log and ": nonsense" in log
    assert "extra-dns: a line that may mean /O=Org/CN=either or /CN=either/O=Org" in log


def test_a_site_that_would_say_more_in_the_map_than_its_name(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    """D13: no name of a site in GOCDB gives the right to send for others."""
    sites = ["*", "A\n* /C=UK/CN=x", "two words", "#A"]
    gocdb.services = [Service(site, "/C=UK/CN=host%d" % number) for number, site in enumerate(sites)]
    gocdb.services.append(Service("GOOD", "/C=UK/CN=good"))
    assert auth() == EXIT_DONE
    assert rights(tmp_path) == ["GOOD /C=UK/CN=good"]
    assert len(allowed(tmp_path)) == 5
    assert "two words" in (tmp_path / "log").read_text()


def test_several_addresses_and_service_types(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    gocdb.services.append(Service("CLOUD", "/CN=a/CN=cloud", "eu.egi.cloud.accounting"))
    other = Gocdb()
    other.services = [Service("OTHER", "/CN=b/CN=other")]
    try:
        types = "gLite-APEL, eu.egi.cloud.accounting"
        assert auth(gocdb_url="%s, %s" % (gocdb.url, other.url), service_types=types) == EXIT_DONE
    finally:
        other.close()
    assert allowed(tmp_path) == [*PEOPLE, "/CN=a/CN=cloud", "/CN=b/CN=other"]
    assert all(path.count("service_type=") == 1 for path in gocdb.asked)


def test_https_with_an_authority_of_its_own(auth: Any, pki: Any, tmp_path: Any) -> None:
    """A server whose certificate no trusted authority signed is not asked."""
    server = Gocdb(pki.issue("localhost"))
    server.services = list(ALL)
    try:
        assert auth(gocdb_url=server.url) == EXIT_TRY_LATER
        assert "certificate" in (tmp_path / "log").read_text().lower()
        assert not (tmp_path / "allowed-dns").exists()
        assert auth(gocdb_url=server.url, ca=pki.ca_dir) == EXIT_DONE
    finally:
        server.close()
    assert allowed(tmp_path) == PEOPLE


def test_the_proxy_is_asked_where_gocdb_cant_be_reached(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    nowhere = "http://127.0.0.1:%d/?method=get_service_endpoint" % free_port()
    assert auth(gocdb_url=nowhere, proxy=gocdb.base) == EXIT_DONE
    assert gocdb.asked[0] == nowhere
    assert allowed(tmp_path) == PEOPLE


HTML = (200, b"<html><body>Down for maintenance</body></html>")
ENTITY = b'<!DOCTYPE r [<!ENTITY a "/a">]><results><SERVICE_ENDPOINT><HOSTDN>&a;</HOSTDN></SERVICE_ENDPOINT>'
BOMB = ENTITY + b"</results>"


@pytest.mark.parametrize(
    ("page", "answer"),
    [
        (0, (503, b"busy")),
        (0, HTML),
        (0, (200, b"")),
        (0, (200, b"<results><SERVICE_ENDPOINT><HOSTDN>/CN=a/CN=b</HOSTDN>")),
        (0, (200, b"<results>\xff</results>")),
        (0, (200, BOMB)),
        (1, (500, b"")),
        (2, (200, b"<results><meta/><SERVICE_ENDPOINT>")),
    ],
)
def test_gocdb_in_trouble_leaves_the_last_good_list(
    auth: Any, gocdb: Gocdb, tmp_path: Any, capsys: Any, page: int, answer: Any
) -> None:
    """D14: down, broken XML, half of the pages: both files stay as they are, and the run fails."""
    assert auth() == EXIT_DONE
    before = [(tmp_path / name).read_bytes() for name in ("allowed-dns", "dn-sites")]
    gocdb.answers[page] = answer
    assert auth() == EXIT_TRY_LATER
    assert "The last good list stays in force: 25 names" in capsys.readouterr().err
    assert [(tmp_path / name).read_bytes() for name in ("allowed-dns", "dn-sites")] == before


def test_gocdb_down_leaves_the_last_good_list(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    """D14: nothing listens there; the list has become old, which is an error."""
    assert auth() == EXIT_DONE
    nowhere = "http://127.0.0.1:%d/" % free_port()
    assert auth(gocdb_url=nowhere) == EXIT_TRY_LATER
    assert "ERROR - GOCDB can't be asked" not in (tmp_path / "log").read_text()
    old = time.time() - 3 * 3600
    os.utime(str(tmp_path / "allowed-dns"), (old, old))
    assert auth(gocdb_url="%s, %s" % (gocdb.url, nowhere)) == EXIT_TRY_LATER
    assert (
        "ERROR - GOCDB can't be asked; the last good list is 3.0 hours old" in (tmp_path / "log").read_text()
    )
    assert allowed(tmp_path) == PEOPLE


def test_pages_that_never_end(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    """D14: a page that names itself as the next one."""
    body = '<results><meta><link rel="next" href="?next_cursor=1"/></meta></results>'
    gocdb.answers = {0: (200, body.encode()), 1: (200, body.encode())}
    assert auth() == EXIT_TRY_LATER
    assert "don't end" in (tmp_path / "log").read_text()


def test_a_list_that_shrinks_by_half(auth: Any, gocdb: Gocdb, tmp_path: Any, capsys: Any) -> None:
    """D14: refused, but for --force; names from elsewhere than GOCDB do not make up for it."""
    (tmp_path / "extra-dns").write_text("".join("/CN=extra/CN=%d\n" % number for number in range(100)))
    assert auth() == EXIT_DONE
    gocdb.services = ALL[:12]
    assert auth() == EXIT_FAILED
    assert "--force" in capsys.readouterr().err
    assert len(allowed(tmp_path)) == 125
    assert auth("--dry-run") == EXIT_DONE
    told = capsys.readouterr().out
    assert told.count("\n- ") + told.startswith("- ") == 13
    assert len(allowed(tmp_path)) == 125
    assert auth("--force") == EXIT_DONE
    assert len(allowed(tmp_path)) == 112
    gocdb.services = ALL[:6]
    assert auth() == EXIT_DONE


def test_nothing_left(auth: Any, gocdb: Gocdb, tmp_path: Any) -> None:
    """D14: an empty list would make ssmreceive refuse everything: not even --force writes it."""
    assert auth() == EXIT_DONE
    gocdb.services = []
    assert auth("--force") == EXIT_FAILED
    assert allowed(tmp_path) == PEOPLE


def test_a_banned_list_that_cant_be_read_is_not_an_empty_one(auth: Any, tmp_path: Any) -> None:
    (tmp_path / "banned-dns").write_bytes(b"/CN=a/CN=\xff\n")
    assert auth() == EXIT_FAILED
    assert not (tmp_path / "allowed-dns").exists()


def test_old_configuration_files_and_mistakes(auth: Any, tmp_path: Any) -> None:
    (tmp_path / "extra-dns").write_text("/C=UK/CN=portal\n")
    assert auth(gocdb_url="") == EXIT_DONE
    assert allowed(tmp_path) == ["/C=UK/CN=portal"]
    assert auth("--check-config", gocdb_url="goc.egi.eu") == EXIT_USAGE
    assert auth("--check-config") == EXIT_DONE
