"""A server that speaks the AMS API, and both ends of the messenger on it."""

import pytest
from messenger import AmsEnds

from servers.ams import AmsServer
from ssm.transport import ams as ams_transport
from ssm.transport import amsapi


@pytest.fixture(scope="module")
def server(pki):
    server = AmsServer(pki)
    server.start()
    yield server
    server.close()


@pytest.fixture
def ends(server, pki, tmp_path, monkeypatch):
    monkeypatch.setattr(amsapi.Backoff, "next", lambda self: 0.01)
    monkeypatch.setattr(ams_transport, "PAUSE_SECONDS", 0.05)
    server.calls = []
    server.faults.clear()
    server.largest = 0
    return AmsEnds(server, pki, str(tmp_path))
