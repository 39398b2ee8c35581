"""The command line as a user meets it, in processes of its own."""

import os
import subprocess
import sys

import pytest


def hetero(*arguments, **environment):
    command = [sys.executable, "-m", "hetero", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


def test_help_names_every_command_and_loads_none():
    code = (
        "import sys, contextlib\n"
        "from hetero.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "loaded = {'torch', 'matplotlib', 'hetero.commands', 'export', 'device_tests'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    for command in (
        "demo",
        "run",
        "train",
        "upgrade",
        "fleet",
        "evaluate",
        "embed",
        "backfill",
        "data",
        "export",
        "bundle",
        "verify",
        "report",
        "device",
    ):
        assert command in answer.stdout


@pytest.mark.parametrize(
    "command",
    [["demo"], ["run"], ["train", "cloud"], ["train", "students"], ["upgrade"], ["fleet"], ["evaluate"], ["embed"],
     ["backfill", "plan"], ["data", "check"], ["export"], ["bundle", "check"], ["verify"], ["report"],
     ["device", "setup"], ["device", "list"], ["device", "faults"], ["device", "fleet"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_has_help_with_an_example(command):
    code = (
        "import contextlib, sys\n"
        "from hetero.cli import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert f"Example: hetero {' '.join(command)}" in answer.stdout, answer.stdout + answer.stderr


def test_wrong_options_are_told_all_at_once():
    answer = hetero("demo", "--sed", "3", "--seed", "x", "--colour=red")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    for part in ("--sed", "--seed", "--colour"):
        assert f"{part}" in answer.stderr
    assert "unable to convert" in answer.stderr


def test_a_recipe_with_three_mistakes_tells_all_three(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "x"\n[data]\nkind = "films"\n[preprocessing]\nheight = "a"\nwidth = 8\n'
        '[[students]]\nname = "s"\nobjectives = [{ name = "wish" }]\n'
    )
    answer = hetero("run", recipe)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    for part in ("data.kind", "preprocessing.height", "unknown objective 'wish'"):
        assert part in answer.stderr


def test_a_missing_folder_is_one_clear_error(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "x"\n[data]\nkind = "folder"\npath = "absent"\n'
        '[preprocessing]\nheight = 8\nwidth = 8\n[[students]]\nname = "s"\n'
    )
    answer = hetero("run", recipe, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert "absent" in answer.stderr and "Traceback" not in answer.stderr


def test_an_unknown_stage_is_an_error(tmp_path):
    answer = hetero("demo", "--out", tmp_path, "--until", "lunch")
    assert answer.returncode == 2
    assert "expected one of data, cloud" in answer.stderr


def test_importing_the_package_loads_no_torch():
    code = "import hetero, sys; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; hetero.EmbeddingSpace"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_every_public_name_exists():
    import hetero

    assert sorted(name for names in hetero._HOMES.values() for name in names) == sorted(hetero.__all__)
    assert all(getattr(hetero, name) is not None for name in hetero.__all__)
    with pytest.raises(AttributeError):
        _ = hetero.absent
