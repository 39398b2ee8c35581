"""What a recipe asks of its bundles, known before anything is trained."""

import pytest

from hetero.errors import InputError
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import built_in, load_recipe
from hetero.pipeline.policy import policy_of
from hetero.pipeline.recipe import VerifyConfig

RECIPE = """
name = "mine"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 64
width = 64
[[students]]
name = "edge"
max_macs = 3000000
[verify]
policy = "policy.toml"
"""


def test_without_a_policy_the_student_is_not_judged():
    policy = policy_of(VerifyConfig())
    assert not policy.student.ask
    assert (policy.gates.largest_loss, policy.gates.floor) == (0.01, 0.0)


def test_the_recipes_own_limits_override_the_policys(tmp_path):
    (tmp_path / "mine.toml").write_text("[gates]\nlargest_loss = 0.2\nfloor = 0.3\n[student]\nshare = 0.7")
    policy = policy_of(VerifyConfig(policy=str(tmp_path / "mine.toml"), largest_loss=0.1))
    assert (policy.gates.largest_loss, policy.gates.floor, policy.student.share) == (0.1, 0.3, 0.7)


def test_the_demo_is_held_to_what_a_release_is():
    assert policy_of(built_in("demo").verify).student.share == 0.85
    assert not policy_of(built_in("demo-search").verify).student.ask


@pytest.mark.parametrize(("text", "told"), [(None, "found no"), ("[student]\nshare = 2", "between 0 and 1")])
def test_a_wrong_policy_is_refused_before_anything_runs(tmp_path, text, told):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    if text:
        (tmp_path / "policy.toml").write_text(text)
    recipe = load_recipe(tmp_path / "recipe.toml")
    with pytest.raises(InputError, match=told):
        run_until(recipe, tmp_path / "run", None, "report", True)
    assert not (tmp_path / "run").exists()
