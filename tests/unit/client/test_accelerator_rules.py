"""Rules of [accelerators] in client.cfg."""

import pytest

from apel.client.accelerator_rules import Cards, accelerator_rule, rule_for
from apel.client.options import TABLE
from apelcommon.config import ConfigError

CARDS = Cards("gpu-a7.example.org", "Grid", None, "GPU")


def test_all_that_a_rule_may_say():
    text = "name=1g.*, queue=gpu, model=NVIDIA A100, type=gpu, share=0.142857, cores=6912, benchmark=a:b:2.5"
    rule = accelerator_rule(text)
    assert (rule.model, rule.type, rule.share, rule.cores) == ("NVIDIA A100", "GPU", 0.142857, 6912)
    assert rule.benchmark == ("a:b", 2.5)
    assert rule.conditions == (("queue", "gpu"), ("name", "1g.*"))


@pytest.mark.parametrize(
    "conditions, cards, fits",
    [
        ("host=GPU-A*", CARDS, True),
        ("host=gpu-a7", CARDS, False),
        ("host=gpu-a*,queue=grid", CARDS, True),
        ("host=gpu-a*,queue=long", CARDS, False),
        ("host=*", CARDS._replace(host=None), False),
        ("queue=*", CARDS._replace(host=None), True),
        ("host=*", CARDS._replace(name="a100"), False),
        ("host=*,name=*", CARDS._replace(name="a100"), True),
        ("name=A1?0", CARDS._replace(name="a100"), True),
        ("name=*", CARDS, False),
    ],
)
def test_which_cards_a_rule_is_for(conditions, cards, fits):
    """Without case; and rules without name are for cards without one."""
    assert accelerator_rule(conditions + ",model=M").fits(cards) is fits


def test_the_first_rule_that_fits_counts():
    rules = [accelerator_rule(text) for text in ("host=x,model=X", "host=*,model=Y", "host=gpu*,model=Z")]
    assert rule_for(rules, CARDS).model == "Y"
    assert rule_for(rules[:1], CARDS) is None


@pytest.mark.parametrize(
    "text, problem",
    [
        ("model=A100", "must say host, queue or name"),
        ("host=a*", "must say the model"),
        ("host=a*,modell=A100", "has 'modell=A100', but must be name=value"),
        ("host=a*,host=b*,model=A100", "at most once"),
        ("host=a*,model", "must be name=value"),
        ("", "must be name=value"),
        ("host=a*,model=A,type=TPU", "Type"),
        ("host=a*,model=A,share=0", "must be above 0"),
        ("host=a*,model=A,share=half", "Count"),
        ("host=a*,model=A,cores=-1", "Cores"),
        ("host=a*,model=A,benchmark=12", "type:value"),
    ],
)
def test_what_is_wrong_is_said_with_the_option(text, problem):
    with pytest.raises(ConfigError) as found:
        TABLE.parse("[db]\nname = x\n[spec_updater]\nsite_name = S\n[accelerators]\nrule3 = %s\n" % text)
    assert "[accelerators] rule3 " in str(found.value)
    assert problem in str(found.value)
