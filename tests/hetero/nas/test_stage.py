"""A recipe with tiers, from photos to a trained student: what is written, what is kept, what is refused."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest

from hetero.errors import InputError
from hetero.models.backbones.handmade import handmade
from hetero.models.cost import cost
from hetero.models.directory import load_model
from hetero.nas.cost.budget import Budget
from hetero.nas.cost.latency_table import LatencyTable, RuntimeTable
from hetero.nas.cost.layers import layers_of_space
from hetero.nas.cost.operators import operator_names
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.outcome import as_page
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.commands.search import search_command
from hetero.pipeline.context import Context
from hetero.pipeline.draft import built_in, load_recipe, parse_recipe
from hetero.pipeline.engine.stage import run_stages
from hetero.pipeline.search import EVALUATIONS, load_outcome
from hetero.pipeline.stages import stages_of
from tests.snippets import lay_out

SPACE = """
stem_channels = 8
stem_stride = 2
kind = ["inverted_residual", "shuffle"]
stages = [
    { channels = [8, 16], stride = 2, kernel = [3, 5], expansion = [1.0, 2.0] },
    { channels = [16, 24], depth = [1, 2], stride = 2 },
]
"""
RECIPE = """
name = "tiny"

[data]
kind = "folder"
path = "photos"

[preprocessing]
height = 64
width = 64

[cloud]
embeddings = "cloud_embeddings.safetensors"

[search]
space = "space.toml"
algorithm = { population = 4, generations = 2, parents = 2 }
supernet = { calibration = 6, training = { steps = 2, threads = 1 } }
student = { training = { steps = 2, threads = 1, validate_every = 2 } }

[[tiers]]
name = "watch"
budget = "macs <= 500k"

[[tiers]]
name = "phone"
budget = "macs <= 1M and size_mb <= 0.1"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = lay_out(tmp_path_factory.mktemp("search"))
    (place / "space.toml").write_text(SPACE, encoding="utf-8")
    (place / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HETERO_CACHE", str(place / "cache"))
        assert search_command(place / "recipe.toml", out=place / "run") == 0
        yield place


def test_one_run_finds_a_student_for_each_tier_within_its_budget(place):
    found = load_outcome(place / "run" / "search")
    assert [one.tier for one in found.winners] == ["watch", "phone"]
    for one in found.winners:
        assert Budget.parse(one.budget).allows(one.costs)
        rivals = [each for each in found.candidates if Budget.parse(one.budget).allows(each.costs)]
        assert one.figures["cosine"] == max(each.figures["cosine"] for each in rivals)
    assert found.points == 2 * (2 * 2 * 2) * (2 * 2)
    assert 0 < found.cloud["figure"] <= 1


def test_the_pages_and_pictures_say_what_was_found(place):
    folder = place / "run" / "search"
    page = (folder / "search.md").read_text(encoding="utf-8")
    assert "| watch | macs <= 500k |" in page and "**phone**" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[0].startswith("| tier | budget | cosine | M(a, g) | M(a, a) | MACs |")
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    for name in ("front.svg", "architectures.svg"):
        drawing = (folder / name).read_text(encoding="utf-8")
        assert "watch" in drawing and "phone" in drawing


def test_a_supernet_that_has_learnt_nothing_is_told(place):
    found = load_outcome(place / "run" / "search")
    best = max(one.figures["r2"] for one in found.winners)
    for cloud, told in ((best * 3.9, False), (best * 4.1, True)):
        page = as_page(dataclasses.replace(found, cloud=found.cloud | {"figure": cloud}))
        assert ("learnt too little" in page) == told


def test_the_snippet_makes_students_of_the_winners_in_any_recipe(place):
    snippet = tomllib.loads((place / "run" / "search" / "students.toml").read_text(encoding="utf-8"))
    whole = {key: value for key, value in tomllib.loads(RECIPE).items() if key not in ("tiers", "search")}
    recipe = parse_recipe({**whole, **snippet}, what="the snippet")
    found = load_outcome(place / "run" / "search")
    space = load_recipe(place / "recipe.toml").search.search_space
    for student, winner in zip(recipe.students, found.winners, strict=True):
        assert student.name == winner.tier
        assert student.model == space.config(winner.architecture, dimension=16)


def test_another_budget_searches_again_from_what_was_evaluated(place):
    kept = Evaluations(place / "run" / EVALUATIONS, load_outcome(place / "run" / "search").evaluations)
    supernet = (place / "run" / "supernet" / "stage.json").stat().st_mtime_ns
    recipe = load_recipe(place / "recipe.toml")
    tiers = (*recipe.tiers, dataclasses.replace(recipe.tiers[0], name="glasses", budget="macs <= 500k"))
    assert run_until(dataclasses.replace(recipe, tiers=tiers), place / "run", None, "search", True) == 0
    assert (place / "run" / "supernet" / "stage.json").stat().st_mtime_ns == supernet
    again = Evaluations(place / "run" / EVALUATIONS, load_outcome(place / "run" / "search").evaluations)
    assert set(kept) <= set(again)
    assert load_outcome(place / "run" / "search").winner("watch").architecture in again


@pytest.mark.slow
def test_the_winners_are_trained_and_compared_as_any_student(place):
    recipe = load_recipe(place / "recipe.toml")
    assert run_until(recipe, place / "run", None, "evaluate", True) == 0
    found = load_outcome(place / "run" / "search")
    for winner in found.winners:
        model = load_model(place / "run" / "students" / winner.tier)
        assert cost(model).macs == winner.costs["macs"]
        assert model.space is not None and model.space.name == "cloud"
    assert "watch" in (place / "run" / "evaluation" / "front.svg").read_text(encoding="utf-8")


@pytest.fixture
def counted(place, tmp_path):
    """The recipe with a latency table of instructions, as if all operators took 1,000."""
    recipe = load_recipe(place / "recipe.toml")
    layers = layers_of_space(recipe.search.search_space, recipe.preprocessing, 16)
    names = {name for layer in layers for name in operator_names(layer)}
    table = {"litert": RuntimeTable("1", 5e4, dict.fromkeys(names, 1e3))}
    LatencyTable({"name": "phone-system:count"}, table, "instructions").save(tmp_path / "table.json")
    return dataclasses.replace(recipe, search=dataclasses.replace(recipe.search, latency=str(tmp_path / "table.json")))


def with_budget(recipe, budget):
    return dataclasses.replace(recipe, tiers=(dataclasses.replace(recipe.tiers[0], budget=budget),))


def test_counted_instructions_are_a_budget(place, counted):
    found = with_budget(counted, "macs <= 500k and instructions.litert <= 70k")
    # In this process: checked shape annotations change how operators are named, and the table has these names.
    context = Context(found, place / "run")
    run_stages(context.root, [stage for group, stage in stages_of(context) if group in ("data", "cloud", "search")])
    (winner,) = load_outcome(place / "run" / "search").winners
    assert 5e4 < winner.costs["instructions.litert"] <= 7e4
    page = (place / "run" / "search" / "search.md").read_text(encoding="utf-8")
    assert "instructions, litert" in page and "measured on phone-system:count" in page


def test_a_table_that_lacks_what_is_limited_is_refused_before_a_supernet_is_trained(tmp_path, place, counted):
    with pytest.raises(InputError, match=r"limits latency_ms\.litert; .*table\.json tells .*instructions\.litert"):
        run_until(with_budget(counted, "latency_ms.litert <= 1"), tmp_path / "run", None, "search", True)
    assert not (tmp_path / "run" / "supernet").exists()


def test_shares_of_an_unknown_cloud_are_refused(place):
    recipe = load_recipe(place / "recipe.toml")
    tier = dataclasses.replace(recipe.tiers[0], budget="macs <= cloud/80")
    with pytest.raises(InputError, match="the cloud's macs is not known"):
        run_until(dataclasses.replace(recipe, tiers=(tier,)), place / "run", None, "search", True)


def test_every_mistake_of_a_search_is_told_at_once():
    value = tomllib.loads(RECIPE)
    value["tiers"] += [{"name": "watch", "budget": "flops <= 1"}, {"name": "b", "budget": "latency_ms.litert <= 1"}]
    value["search"] |= {"space": "nowhere", "algorithm": {"population": 0}}
    with pytest.raises(InputError) as caught:
        parse_recipe(value, what="it")
    told = "\n".join(caught.value.problems)
    for part in ("'watch' is used by 2", "expected one of macs", "names no table", "nowhere", "population"):
        assert part in told, part


def test_a_recipe_without_tiers_is_not_searched(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.partition("[[tiers]]")[0] + '[[students]]\nname = "edge"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"\[\[tiers\]\]"):
        search_command(path)


def test_the_demo_searches_for_three_tiers():
    recipe = built_in("demo-search")
    assert [tier.name for tier in recipe.tiers] == ["watch", "low-end-phone", "flagship"]
    assert recipe.search.search_space.size > 10**6
    (by_hand,) = recipe.students
    assert by_hand.model == handmade("mobilenetv3-like")
    assert by_hand.training == recipe.search.student.training
