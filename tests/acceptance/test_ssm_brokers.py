"""The messenger on both brokers alike, ActiveMQ and RabbitMQ, over TLS with client certificates."""

import os

import pytest
from messenger import Ends

from servers.activemq import ActiveMQ

MOST = 300000


@pytest.fixture(scope="module")
def strict_activemq(pki):
    """An ActiveMQ that takes messages of up to 300 kB, as the RabbitMQ of the tests does."""
    server = ActiveMQ(pki, most=MOST)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(
    params=[
        pytest.param("strict_activemq", marks=pytest.mark.server),
        pytest.param("rabbitmq", marks=pytest.mark.server),
    ]
)
def ends(request, pki, tmp_path):
    broker = request.getfixturevalue(request.param)
    ends = Ends(broker, pki, str(tmp_path))
    if request.param == "rabbitmq":
        broker.allow(ends.host)
    return ends


def bodies(ends):
    return [message["body"] for message in ends.arrived()]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_messages_arrive_whole(ends, version):
    texts = ends.fill(50)
    options = {"broker__stomp_version": version, "broker__vhost": "/" if version == "1.2" else ""}
    assert ends.send(**options) == (50, 0, 0)
    assert ends.receive(texts=texts, **options) == (50, 0)
    assert sorted(bodies(ends)) == sorted(texts)
    assert ends.receive(**options) == (0, 0), "they were acknowledged"


def test_message_too_large_for_the_broker_is_split_and_one_record_is_put_aside(ends):
    """S10: the broker's own error is understood; the others are sent."""
    small = ends.fill(20)
    record = "Site: Aye\nLocalJobId: %d\nNote: " + "x" * 9000 + "\n%%%%\n"
    large = "APEL-individual-job-message: v0.3\n" + "".join(record % number for number in range(200))
    ends.outgoing.add(large)
    ends.outgoing.add("<xml>%s</xml>" % ("x" * 2 * MOST))
    small += ends.fill(20)
    assert ends.send() == (41, 1, 0)
    assert len(os.listdir(os.path.join(ends.outgoing.path, "failed"))) == 2
    assert ends.receive(texts=small).rejected == 0
    parts = [body for body in bodies(ends) if "LocalJobId" in body]
    assert set(bodies(ends)) - set(parts) == set(small)
    lines = [line for body in parts for line in body.splitlines() if line.startswith("LocalJobId")]
    assert sorted(lines) == sorted("LocalJobId: %d" % number for number in range(200))
    assert 8 <= len(parts) <= 16
