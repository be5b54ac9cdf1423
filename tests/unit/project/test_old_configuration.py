"""The configuration files of APEL 2.5 and SSM 4 are read as they are; what is obsolete in them is said."""

import os
from typing import Any, Dict

import pytest

from apel.auth.options import TABLE as AUTH
from apel.client.options import TABLE as CLIENT
from apel.commands.server_config import DB_TABLE
from apel.ingest.options import TABLE as PARSER
from apel.server.options import LOADER, SUMMARISER, UNLOADER
from ssm.options import RECEIVER, SENDER

HERE = os.path.dirname(os.path.abspath(__file__))
OLD = os.path.join(HERE, "..", "..", "data", "incumbent", "conf")
TABLES: Dict[str, Any] = {
    "auth.cfg": AUTH,
    "parser.cfg": PARSER,
    "client.cfg": CLIENT,
    "db.cfg": DB_TABLE,
    "loader.cfg": LOADER,
    "unloader.cfg": UNLOADER,
    "summariser.cfg": SUMMARISER,
    "sender.cfg": SENDER,
    "receiver.cfg": RECEIVER,
}
HINTS = {
    "parser.cfg": ["[blah] parallel: has no effect"],
    "sender.cfg": ["[broker] bdii: no longer used; write the broker's host", "[broker] network: no longer"],
    "receiver.cfg": ["[broker] bdii: no longer used; write the broker's host", "[broker] network: no longer"],
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_an_old_file_is_read_as_it_is(name: str) -> None:
    settings = TABLES[name].read(os.path.join(OLD, name))
    wanted = HINTS.get(name, [])
    assert len(settings.hints) == len(wanted)
    for hint, words in zip(sorted(settings.hints), wanted):
        assert words in hint and name in hint


def test_old_values_mean_what_they_meant() -> None:
    parser = PARSER.read(os.path.join(OLD, "parser.cfg"))
    assert (parser.db.password, parser.batch.type, parser.batch.parallel) == ("pa%ss", "SLURM", True)
    client = CLIENT.read(os.path.join(OLD, "client.cfg"))
    assert [(each.type, each.value) for _, each in client.spec_updater.manual_spec] == [
        ("HEPSPEC", 8.74),
        ("si2k", 2500.0),
    ]
    assert client.unloader.records_per_message == 1000


def test_client_files_from_before_2_3_have_no_dict_benchmark_type(tmp_path: Any) -> None:
    with open(os.path.join(OLD, "client.cfg"), encoding="utf-8") as stream:
        text = stream.read().replace("dict_benchmark_type = false\n", "")
    (tmp_path / "client.cfg").write_text(text)
    assert CLIENT.read(str(tmp_path / "client.cfg")).unloader.dict_benchmark_type is False


def test_unloader_files_without_local_jobs_send_grid_work_alone(tmp_path: Any, root: str) -> None:
    """As the incumbent does; its sample and ours say true."""
    with open(os.path.join(OLD, "unloader.cfg"), encoding="utf-8") as stream:
        text = stream.read()
    (tmp_path / "unloader.cfg").write_text(text.replace("local_jobs = true\n", ""))
    assert UNLOADER.read(str(tmp_path / "unloader.cfg")).unloader.local_jobs is False
    for path in (os.path.join(OLD, "unloader.cfg"), os.path.join(root, "conf", "unloader.cfg")):
        assert UNLOADER.read(path).unloader.local_jobs is True


def test_files_that_were_never_edited_go_on_with_what_they_shipped(root: str) -> None:
    """Packages replace such a file by the new sample: without the address, no signer would be left."""
    shipped = TABLES["auth.cfg"].read(os.path.join(root, "conf", "auth.cfg"))
    assert shipped.auth.gocdb_url == AUTH.read(os.path.join(OLD, "auth.cfg")).auth.gocdb_url
    for name, section in (("sender.cfg", "sender"), ("receiver.cfg", "receiver")):
        with open(os.path.join(root, "conf", name), encoding="utf-8") as stream:
            assert "\n[%s]\n" % section in stream.read().split("\nprotocol = AMS\n")[0]
