"""What all logs have in common that tell of accelerators, and how SLURM names them."""

import pytest

from apel.parsers.accelerators import Cards, attached, first_host, of_tres
from apel.parsers.slurmcolumns import tres

GPU, FPGA = "GPU", "FPGA"


def kinds(cards):
    """Model, type and number."""
    return [(card.model, card.type, card.number) for card in cards]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("cpu=4,gres/gpu=2,node=1", [(None, GPU, 2)]),
        ("gres/gpu:a100=2,gres/gpu=2", [("a100", GPU, 2)]),
        ("gres/gpu:a100=2,gres/gpu:v100=1,gres/gpu=3", [("a100", GPU, 2), ("v100", GPU, 1)]),
        ("gres/gpu:a100=2,gres/gpu:v100=1", [("a100", GPU, 2), ("v100", GPU, 1)]),
        # Not all models are among AccountingStorageTRES.
        ("gres/gpu:a100=1,gres/gpu=3", [("a100", GPU, 1), (None, GPU, 2)]),
        ("gres/gpu:1g.5gb=1,gres/gpu=1", [("1g.5gb", GPU, 1)]),
        ("gres/fpga=1,gres/gpu=1", [(None, GPU, 1), (None, FPGA, 1)]),
        ("gres/fpga:u250=2", [("u250", FPGA, 2)]),
        ("gres/shard=3,cpu=1", [("shard", GPU, 3)]),
        ("gres/shard:t4=3,gres/shard=3", [("shard:t4", GPU, 3)]),
        ("gres/mps=50", [("mps", GPU, 50)]),
        ("gpu:tesla:2,lustre:1", [("tesla", GPU, 2)]),
        ("gres/gpu=0", []),
        ("gres/gpumem=5,gres/gpuutil=90,gres/craynetwork=1", []),
        ("gres/gpu:a100=many,gres/gpu=1", [(None, GPU, 1)]),
        ("gres/fpga=99999999", []),
    ],
)
def test_tres(text, expected):
    assert kinds(of_tres(tres(text))) == expected


@pytest.mark.parametrize(
    "nodes, host",
    [
        ("wn11", "wn11"),
        ("wn[11-12,20],wn30", "wn11"),
        ("wn[011-012]", "wn011"),
        ("gpu1,gpu[2-3]", "gpu1"),
        ("r[1-2]-n3", "r1-n3"),
        ("None assigned", "None assigned"),
        ("", None),
        ("wn[", "wn"),
    ],
)
def test_first_of_the_nodes(nodes, host):
    assert first_host(nodes) == host


def test_absurd_number_of_hosts_or_models_loses_no_job():
    many = [Cards("wn%d" % number, None, GPU, 2) for number in range(500)]
    assert attached(many, 10) == ((0, "wn0", None, GPU, 1000, 10, None),)
    models = [Cards(None, "m%d" % number, GPU, 1) for number in range(500)]
    assert len(attached(models, 10)) == 100
    assert attached([Cards("wn1", None, GPU, 2**31 - 1)], 10) is None
