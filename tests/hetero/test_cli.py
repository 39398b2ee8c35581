"""The command line as a user meets it, in processes of its own."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from hetero.cli.main import main
from release.site import FACES


def hetero(*arguments, **environment):
    command = [sys.executable, "-m", "hetero", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


def test_help_names_every_command_and_loads_none():
    code = (
        "import sys, contextlib\n"
        "from hetero.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'torch', 'matplotlib', 'hetero.pipeline', 'export', 'device_tests'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    for command in (
        "demo",
        "run",
        "train",
        "upgrade",
        "adapt",
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


@pytest.mark.parametrize(("own", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_wait_passively_unless_told_otherwise_before_torch_is_loaded(own, expected):
    code = (
        "import sys, os, contextlib\n"
        "from hetero.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--version'])\n"
        "assert 'torch' not in sys.modules\n"
        "print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    ruled = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in ruled}
    environment |= {"OMP_WAIT_POLICY": own} if own else {}
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    assert answer.stdout.split()[-1] == expected


@pytest.mark.parametrize(
    "command",
    [["demo"], ["run"], ["student"], ["retrieval", "make"],
     ["train", "cloud"], ["train", "students"], ["upgrade"], ["adapt"], ["fleet"], ["evaluate"],
     ["embed"],
     ["backfill", "plan"], ["data", "check"], ["export"], ["bundle", "check"], ["verify"], ["report"], ["serve"],
     ["device", "setup"], ["device", "list"], ["device", "faults"], ["device", "fleet"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_has_help_with_an_example(command):
    code = (
        "import contextlib, sys\n"
        "from hetero.cli.main import main\n"
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
    for name in FACES:
        face = import_module(name)
        assert face.__all__
        assert all(getattr(face, public) is not None for public in face.__all__)
        with pytest.raises(AttributeError):
            _ = face.absent


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("embed model photos out.safetensors --batch-size 0", "--batch-size"),
        ("search demo-search --jobs 0", "--jobs"),
        ("compare emoji --jobs 0 --out nowhere", "--jobs"),
        ("compare emoji --steps 0 --out nowhere", "--steps"),
        ("compare emoji --seeds -1 --out nowhere", "seeds.0"),
        ("data check --emoji --seed -1", "--seed"),
        ("backfill plan a b c out --steps 0", "--steps"),
        ("backfill plan a b c out --random-orders 0", "--random-orders"),
        ("backfill plan a b c out --seed -1", "--seed"),
        ("export model retrieval out --goldens 0", "--goldens"),
        ("verify bundle --sample 0", "--sample"),
        ("verify bundle --file-bytes 0", "--file-bytes"),
        ("serve usearch:gallery --waiting 0", "--waiting"),
        ("serve usearch:gallery --patience 0", "--patience"),
        ("device latency demo-search --sweeps 0", "--sweeps"),
        ("device latency demo-search --dimension -3", "--dimension"),
        ("run demo --seed -1 --out nowhere", "seed: expected 0 or more, got -1"),
        ("demo --seed -1 --out nowhere", "seed: expected 0 or more, got -1"),
        ("train cloud demo --seed -1 --out nowhere", "seed: expected 0 or more, got -1"),
        ("search demo-search --seed -1 --out nowhere", "seed: expected 0 or more, got -1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_every_command(command, option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert option in said and "Traceback" not in said
    assert not list(tmp_path.iterdir()), "nothing was written"
