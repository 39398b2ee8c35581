"""A set-up that is killed at its end is finished by the next one."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from benchmarks.crash_points.set_up import stages
from device_tests.targets.emulated import setup as phone_setup
from device_tests.targets.emulated.systems import SYSTEMS
from device_tests.targets.stages import SetUpStage, is_done
from hetero.files import read_json


def set_up(root: Path, version: int, **rest: object) -> None:
    """Set up a phone whose packages have this version."""
    with mock.patch.multiple(phone_setup, **stages(version), **rest):
        phone_setup.set_up(SYSTEMS["phone-arm64"], root)


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_record_of_the_stages_before_is_not_believed(tmp_path: Path) -> None:
    set_up(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt):
        set_up(tmp_path, 2, write_json=killed)
    set_up(tmp_path, 2)
    assert read_json(tmp_path / "phone.json")["versions"] == {"python": "2"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["lock", "packages", "phone.json", "sysroot", "trial"]


def test_downloads_do_not_stay(tmp_path: Path) -> None:
    with mock.patch("shutil.rmtree", killed), pytest.raises(KeyboardInterrupt):
        set_up(tmp_path, 1)
    assert (tmp_path / "phone.json").is_file() and (tmp_path / "work").is_dir()
    set_up(tmp_path, 1)
    assert not (tmp_path / "work").exists()


def test_what_was_replaced_by_a_finished_stage_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / ".one.0123abcd.unfinished").mkdir()
    assert not is_done(tmp_path, SetUpStage("one", "", 1, lambda _: None))
    assert not list(tmp_path.iterdir())
