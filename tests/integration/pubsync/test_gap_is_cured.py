"""A gap from the site's database to the page and back: found, published with one command, green."""

import json
import os
import threading
from types import SimpleNamespace
from typing import Any, Iterator

import pytest
from centre import Installation
from gridsite import CE1, CLIENT_CONFIG, SITE, event, grid, new_site, queued

from apel import times
from apel.commands import apelclient, apelpubsync
from apel.pubsync.serve import Server
from apel.times import epoch_from_text

NOW = epoch_from_text("2026-11-26 12:00:00")
PUBSYNC = "[pubsync]\ndir = {folder}/pages\n[logging]\nlogfile = {folder}/pubsync.log\nconsole = false\n"


@pytest.fixture
def world(tmp_path: Any, monkeypatch: Any) -> Iterator[SimpleNamespace]:
    """A site with jobs in three months, and a centre that has nothing yet."""
    monkeypatch.setattr(times, "now", lambda: NOW)
    site = new_site({"backend": "sqlite", "name": str(tmp_path / "client.db")})
    site.benchmark(CE1)
    for number in range(30):
        end = "2026-%02d-20 12:00:%02d" % (9 + number % 3, number)
        site.put(event(str(number), end), grid(str(number), end[:10] + " 00:00:00"))
    site.join()
    centre = Installation(tmp_path, {"backend": "sqlite", "name": str(tmp_path / "server.db")})
    for name, text in (("client.cfg", CLIENT_CONFIG), ("pubsync.cfg", PUBSYNC)):
        centre.write(name, text.format(folder=tmp_path, unloader=""))
    yield SimpleNamespace(folder=str(tmp_path), site=site, centre=centre)
    site.db.close()
    centre.close()


def client(world: Any, *words: str) -> None:
    """Run apelclient, and bring what it wrote to the centre."""
    config = os.path.join(world.folder, "client.cfg")
    before = queued(os.path.join(world.folder, "spool"))
    assert apelclient.main([*words, "-c", config]) == 0
    for text in queued(os.path.join(world.folder, "spool"))[len(before) :]:
        world.centre.centre.deliver(text)
    assert world.centre.load("--once") == 0
    assert world.centre.summarise() == 0


def pages(world: Any, *words: str) -> int:
    config = os.path.join(world.folder, "pubsync.cfg")
    return apelpubsync.main(["-c", config, "-d", world.centre.db_cfg, *words])


def shown(world: Any) -> Any:
    assert pages(world) == 0
    with open(os.path.join(world.folder, "pages/publishing/grid", SITE, "index.json")) as stream:
        return json.load(stream)


def test_a_site_publishes_a_gap_with_one_command_and_turns_green(world: Any, capsys: Any) -> None:
    client(world)
    assert shown(world)["status"] == "OK"
    world.centre.centre.execute("DELETE FROM JobRecords WHERE EndMonth = 10 AND LocalJobId < '2'")
    assert world.centre.summarise("--verify") == 0
    found = shown(world)
    assert (found["status"], [one["month"] for one in found["differences"]]) == ("ERROR", ["2026-10"])
    command = found["advice"][0]["command"]
    assert command == "apelclient republish --month 2026-10"
    assert pages(world, "--check", "sync", "--site", SITE) == 2
    client(world, *command.split()[1:])
    assert shown(world)["status"] == "OK"
    capsys.readouterr()
    assert pages(world, "--check", "sync", "--site", SITE) == 0
    assert capsys.readouterr().out.startswith("OK [ the counts of all months since 2026-09 agree ]")


def test_the_differences_are_read_from_the_published_page(world: Any) -> None:
    client(world)
    world.centre.centre.execute("DELETE FROM JobRecords WHERE EndMonth = 9")
    assert world.centre.summarise("--verify") == 0
    assert shown(world)["differences"][0]["kind"] == "only site"
    server = Server(os.path.join(world.folder, "pages"), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        for page in ("grid/%s/" % SITE, "gridsync/%s/" % SITE, ""):
            client(world, "republish", "--differences", server.url + page + "index.json", "--dry-run")
        client(world, "republish", "--differences", server.url + "index.json")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert shown(world)["status"] == "OK"
    assert shown(world)["differences"] == []
