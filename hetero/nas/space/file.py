"""Search spaces from files: read, checked, every mistake at once."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from hetero.errors import InputError
from hetero.models.backbones.block_catalog import block_problem
from hetero.nas.space.space import SearchSpace, StageSpace
from hetero.schema import parse, read_toml

_CHOICES = ("channels", "depth", "kernel", "expansion", "squeeze_excite", "activation")


def space_called(name: str) -> SearchSpace:
    """Return the search space that a user names: by a TOML file's path, or a built-in space's name.

    Raises:
        InputError: When there is no such space, or with every mistake in it.
    """
    return load_space(Path(name)) if name.endswith(".toml") else built_in_space(name)


def load_space(path: Path) -> SearchSpace:
    """Read a search space from a TOML file.

    Raises:
        InputError: With every mistake found.
    """
    return parse_space(read_toml(path, "a search space"), what=str(path))


def built_in_space(name: str) -> SearchSpace:
    """Return a search space that comes with the package, for instance ``demo``.

    Raises:
        InputError: When there is no space of this name.
    """
    folder = resources.files("hetero.nas.spaces")
    names = sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    if name not in names:
        raise InputError(f"unknown search space {name!r}: expected a TOML file or one of {', '.join(names)}")
    return parse_space(tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")), what=f"the space {name}")


def parse_space(value: object, *, what: str) -> SearchSpace:
    """Check a parsed search space.

    Raises:
        InputError: With every mistake found.
    """
    space = parse(SearchSpace, value, what=what)
    if problems := space_problems(space):
        raise InputError(f"{what} is not valid:", problems)
    return space


def space_problems(space: SearchSpace) -> list[str]:
    """Return every mistake in a search space beyond its types."""
    problems = [] if space.stages else ["stages: expected at least one [[stages]] table"]
    problems += _option_problems("kind", space.kind)
    problems += [f"kind: {problem}" for kind in space.kind if (problem := block_problem(kind))]
    if not _is_width(space.stem_channels):
        problems.append(f"stem_channels: expected a multiple of 8, got {space.stem_channels}")
    if space.stem_stride < 1:
        problems.append(f"stem_stride: expected 1 or more, got {space.stem_stride}")
    for index, stage in enumerate(space.stages):
        problems += [f"stages.{index}.{problem}" for problem in _stage_problems(stage)]
    return problems


def _stage_problems(stage: StageSpace) -> list[str]:
    problems = [f"stride: expected 1 or more, got {stage.stride}"] if stage.stride < 1 else []
    for name in _CHOICES:
        problems += _option_problems(name, getattr(stage, name))
    # The edge family rounds widths to multiples of 8: other options would give the same network.
    problems += [f"channels: expected multiples of 8, got {size}" for size in stage.channels if not _is_width(size)]
    problems += [f"depth: expected 1 or more, got {depth}" for depth in stage.depth if depth < 1]
    problems += [f"kernel: expected odd numbers, got {size}" for size in stage.kernel if size < 1 or size % 2 == 0]
    return problems + [f"expansion: expected numbers above 0, got {ratio}" for ratio in stage.expansion if ratio <= 0]


def _option_problems(name: str, options: Sequence[object]) -> list[str]:
    problems = [] if options else [f"{name}: expected at least one option"]
    return problems + (
        [f"{name}: an option comes twice in {list(options)}"] if len(set(options)) < len(options) else []
    )


def _is_width(channels: int) -> bool:
    return channels > 0 and channels % 8 == 0
