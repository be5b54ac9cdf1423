"""AMS: who is let in, by which token, and who is believed to be AMS."""

import logging
import os
import socket

import pytest
from messenger import bodies, kinds

from apelcommon.errors import ConfigError
from servers.pki import slash_dn
from ssm.errors import TransportError
from ssm.transport.ams import AmsTransport
from ssm.transport.amsapi import AmsRefused, AmsUnreachable, Api


def test_messages_arrive_whole_with_a_token_for_the_certificate(ends, server):
    texts = ends.fill(60)
    assert ends.send() == (60, 0, 0)
    assert ends.outgoing.count() == 0
    assert ends.receive(idle=0.3) == (60, 0)
    assert sorted(bodies(ends)) == sorted(texts)
    assert {message["signer"] for message in ends.arrived()} == {slash_dn(ends.certificate)}
    assert all(len(message["empaid"]) == 23 for message in ends.arrived())
    assert kinds(server, "token") == [200, 200]
    assert len(kinds(server, "publish")) == 4, "in batches of the window"
    assert len(kinds(server, "acknowledge")) == 6, "in batches of what was pulled"
    assert ends.receive(idle=0.3) == (0, 0), "they were acknowledged"


def test_configured_token_is_used_as_it_is(ends, server):
    ends.fill(1)
    assert ends.send(messaging__token="secret") == (1, 0, 0)
    assert ends.receive(idle=0.3, messaging__token="secret") == (1, 0)
    assert kinds(server, "token") == []


@pytest.mark.parametrize("option", ["messaging.token", "messaging.destination", "messaging.ams_project"])
def test_refusal_is_said_and_nothing_is_lost(ends, option):
    """S9: 401, 404."""
    ends.fill(2)
    wrong = {option.replace(".", "__"): "wrong"}
    with pytest.raises(TransportError, match="AMS at localhost refuses: (Unauthorized|.*doesn't exist)"):
        ends.send(**wrong)
    assert ends.outgoing.count() == 2
    assert ends.send() == (2, 0, 0), "the locks are free again"


def test_certificate_that_gets_no_token_is_told_where_to_register(ends, server):
    ends.fill(1)
    del server.names[ends.host]
    with pytest.raises(TransportError, match="No token for the certificate .*Binding was not found.*GOCDB"):
        ends.send()
    assert ends.outgoing.count() == 1


def test_foreign_certificate_gets_no_token(ends, pki):
    ends.fill(1)
    certificate, key = pki.foreign.issue("foreign.example.org")
    with pytest.raises(TransportError, match="AMS"):
        ends.send(certificates__certificate=certificate, certificates__key=key)
    assert ends.outgoing.count() == 1


def test_service_no_trusted_ca_signed_is_refused(ends, pki):
    """S13: verification is on by default."""
    ends.fill(1)
    foreign = pki.new_ca_dir("foreign-ams-%d" % os.getpid(), [pki.foreign])
    with pytest.raises(TransportError, match="(?i)certificate verify failed"):
        ends.send(certificates__capath=foreign)
    assert ends.outgoing.count() == 1
    assert ends.send(certificates__capath=foreign, broker__verify_broker=False).sent == 1


def test_service_with_another_name_is_refused(ends, monkeypatch):
    """S13: a good certificate, but not of the host we asked for."""
    ends.fill(1)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda address, *more: connect(("localhost", address[1]), *more)
    )
    with pytest.raises(TransportError, match="(?i)other.example.org.*match"):
        ends.send(broker__host="other.example.org")
    assert ends.outgoing.count() == 1


def test_expired_token_is_exchanged_for_another(ends, server):
    transport = AmsTransport(ends.sender())
    transport.connect()
    transport.send("one", b"1")
    assert transport.confirmed(1) == ["one"]
    server.expire_tokens()
    transport.send("two", b"2")
    assert transport.confirmed(1) == ["two"]
    assert kinds(server, "publish") == [200, 401, 200]
    transport.close()


def test_receiver_tries_the_next_host(ends, server):
    """S8: next host in the list."""
    ends.fill(2)
    hosts = {"broker__host": "localhost:1, localhost:%d" % server.port, "broker__port": None}
    assert ends.send(**hosts) == (2, 0, 0)
    assert ends.receive(idle=0.3, **hosts) == (2, 0)


def test_kept_line_closed_by_the_server_is_opened_again(ends, server):
    transport = AmsTransport(ends.sender())
    transport.connect()
    server.stop()
    server.start()
    transport.send("one", b"1")
    assert transport.confirmed(1) == ["one"]
    transport.close()


def test_nobody_listening_is_said(ends):
    with pytest.raises(AmsUnreachable, match="Cannot connect to AMS at localhost:1: "):
        AmsTransport(ends.sender(broker__port=1)).connect()


def test_proxy_of_the_environment_is_used(ends, server, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    api = Api(ends.sender(messaging__token="secret"), ("localhost", server.port))
    with pytest.raises(AmsUnreachable):
        api.connect()
    monkeypatch.setenv("no_proxy", "localhost")
    api.connect()
    api.close()


def test_token_is_never_logged(ends, caplog):
    caplog.set_level(logging.DEBUG)
    ends.fill(1)
    with pytest.raises(AmsRefused):
        ends.send(messaging__token="my-precious")
    assert "my-precious" not in caplog.text


def test_token_that_no_header_can_hold_is_not_logged_either(ends, caplog):
    """One on two lines of the configuration, say: the HTTP library would quote it."""
    caplog.set_level(logging.DEBUG)
    ends.fill(1)
    with pytest.raises(ConfigError, match="token holds a blank, a line end") as err:
        ends.send(messaging__token="my\nprecious")
    assert "precious" not in caplog.text + str(err.value)
    assert ends.outgoing.count() == 1
