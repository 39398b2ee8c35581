"""docs/objectives.md: its snippets run, and its tables say what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hetero
from hetero.adapters.registry import ADAPTERS
from hetero.objectives.catalog import CATALOG, Composite, Declaration, entry_of, problems_of
from hetero.objectives.inputs import INPUTS
from hetero.pipeline.draft import load_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "objectives.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
REST = 'name = "page"\n[data]\nkind = "folder"\npath = "photos"\n[preprocessing]\nheight = 64\nwidth = 64\n'


def row_of(name: str) -> str:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` ")]
    assert len(rows) == 1, name
    return rows[0]


def needs_in(row: str) -> set[str]:
    return set(row.split("|")[-2].strip().split(", "))


@pytest.mark.parametrize("name", [*CATALOG, *ADAPTERS])
def test_the_tables_name_every_entry_with_its_options_and_defaults(name):
    entry = CATALOG.get(name) or ADAPTERS[name]
    row = row_of(name)
    if isinstance(entry, Composite):
        assert all(f"`{part.name}`" in row for part in entry.parts)
        assert needs_in(row) == set().union(*(entry_of(part.name).needs for part in entry.parts))
        return
    for key, option in entry.options.items():
        default = f"`{option.default}`" if isinstance(option.default, str) else f"{option.default}"
        assert f"`{key}` ({default}" in row, key
        assert all(f"`{one}`" in row for one in option.choices), key
    if isinstance(entry, Declaration):
        assert needs_in(row) == entry.needs


def test_its_recipe_is_valid(tmp_path):
    (text,) = [text for language, text in BLOCKS if language == "toml"]
    (tmp_path / "recipe.toml").write_text(REST + text, encoding="utf-8")
    terms = load_recipe(tmp_path / "recipe.toml").students[0].objectives
    assert [term.name for term in terms] == ["hvs_composite", "csd", "cloud_regression"]
    assert f'"csd", 1.0, {", ".join(f"{key}={value}" for key, value in terms[1].options.items())}' in PAGE


@pytest.fixture
def undeclared():
    """Forgets what is declared meanwhile."""
    before = [(known, dict(known)) for known in (CATALOG, INPUTS)]
    yield
    for known, kept in before:
        known.clear()
        known.update(kept)


@pytest.mark.slow
@pytest.mark.usefixtures("undeclared")
def test_its_python_runs(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in ("red", "green", "blue"):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for index in range(4):
                Image.fromarray(generator.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path="photos"), hetero.Preprocessing(height=64, width=64))
    vectors = generator.normal(size=(len(photos.train), 16)).astype(np.float32)
    space = hetero.EmbeddingSpace.define(defined_by="page", name="cloud", version="1", dimension=16)
    hetero.save_embeddings(Path("cloud_embeddings.safetensors"), vectors, photos.train.names, space)
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python" and (file := re.match(r"# (\w+\.py)\n", text)):
            Path(file[1]).write_text(text, encoding="utf-8")
            sys.modules.pop(Path(file[1]).stem, None)
        elif language == "python":
            exec(compile(re.sub(r"steps=\d+", "steps=6", text), "objectives.md", "exec"), names)
    assert names["student"].space == space
    assert names["queries"].shape == (12, 16) and names["adapter"].target == space
    assert problems_of([hetero.ObjectiveConfig("my_terms:EvenViews", power=0.5)], has_cloud=True) == [
        "my_terms:EvenViews.power: expected a number of at least 1, got 0.5"
    ]
