"""How commands end that cannot do what they should: the exit status 1 is kept for gates that failed."""

import errno
import os
import subprocess
import sys

import pytest

from hetero.cli import main as cli
from hetero.cli.main import main
from hetero.errors import InputError

RAISED = {
    "bad": InputError("expected this, got that"),
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/file"),
    "memory": MemoryError(),
    "loop": RecursionError("maximum recursion depth exceeded"),
    "typo": KeyError("absent"),
    "user": SystemExit(0),
    "ctrl-c": KeyboardInterrupt(),
    "name": UnicodeEncodeError("utf-8", "photo\udcff", 5, 6, "surrogates not allowed"),
}


def raising() -> None:
    """Stands in for a command."""
    raise RAISED[os.environ["HETERO_TEST_RAISES"]]


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("bad", 2, "hetero: expected this, got that"),
        ("full", 2, "hetero: /full/file: No space left on device"),
        ("memory", 2, "hetero: not enough memory"),
        ("loop", 70, "There is no verdict. Please report it"),
        ("typo", 70, "KeyError: 'absent'"),
        ("user", 70, "There is no verdict"),
        ("name", 2, r"a path or name is not UTF-8: 'photo\udcff'"),
        ("ctrl-c", 130, "continues where it stopped"),
    ],
)
def test_what_a_command_raises_decides_the_exit_status(name, status, told, monkeypatch, capsys):
    monkeypatch.setitem(cli.BRIEF, "demo", (f"{__name__}:raising", "Raise."))
    monkeypatch.setenv("HETERO_TEST_RAISES", name)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == status
    said = capsys.readouterr().err
    assert told in said
    assert ("Traceback" in said) == (status == 70), "only a fault of this project shows where it happened"


def hetero(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "hetero", *map(str, arguments)], timeout=120, check=False, text=True, **options
    )


@pytest.mark.parametrize("arguments", [["device", "list"], ["--help"], ["verify", "--help"]], ids=" ".join)
@pytest.mark.parametrize("both", [False, True])
def test_a_reader_who_goes_away_ends_it_quietly(arguments, both):
    """As with ``hetero device list | head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = hetero(*arguments, stdout=writing, stderr=writing if both else subprocess.PIPE)
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert not done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
def test_output_that_cannot_be_written_is_told():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = hetero("device", "list", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("hetero: ") and done.stderr.endswith("No space left on device\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = hetero("bundle", "key", tmp_path / "taken" / "k.pem", tmp_path / "k.pub", capture_output=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "taken" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "iso-8859-1:strict"])
@pytest.mark.parametrize("utf8_mode", ["0", "1"])
def test_paths_are_told_whatever_the_terminal_can_show(utf8_mode, encoding, tmp_path):
    place = os.fsencode(tmp_path) + b"/caf\xc3\xa9-\xff"
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8_mode, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "hetero", "bundle", "key", place + b".pem", place + b".pub"]
    done = subprocess.run(command, timeout=120, check=False, capture_output=True, env={**os.environ, **locale})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"made the key" in done.stdout and os.path.exists(place + b".pem")  # noqa: PTH110
