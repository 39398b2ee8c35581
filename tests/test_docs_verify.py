"""The page on verification: every snippet, and the steps of its workflow, on a small sound bundle."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import hetero
from device_tests.targets.host import detect
from hetero.errors import InputError
from hetero.files import cache_directory
from tests.device_tests.own_evidence import write_gallery, write_photos
from tests.device_tests.tiny_bundle import write_bundle
from tests.snippets import ROOT, answer_of

PAGE = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / "docs" / "verify.yml").read_text(encoding="utf-8")
# A bundle without int8 files leaves their faults untried, which has an exit code of its own, and so have 48 queries,
# which cannot show that an index loses less than one answer in 100.
CODES = {"hetero device faults": 3, "hetero verify runs/mine/bundles/edge/bundle --gallery-store": 3}


def test_the_workflow_takes_nothing_that_somebody_else_could_replace() -> None:
    actions = re.findall(r"uses: (\S+)", WORKFLOW)
    assert len(actions) == 3 and all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in actions)
    installs = re.findall(r"pip install (.*)", WORKFLOW)
    assert installs == ["--require-hashes -r verify-requirements.txt"]
    assert "cache" not in WORKFLOW


def run(line: str, place: Path) -> None:
    done = answer_of(line, place)
    expected = next((code for start, code in CODES.items() if line.startswith(start)), 0)
    assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_every_snippet_runs_and_so_does_the_workflow(tmp_path: Path) -> None:
    write_bundle(tmp_path / "runs" / "mine" / "bundles" / "edge" / "bundle", noise=20)
    for version in ("1.0", "1.1"):
        write_bundle(tmp_path / "releases" / version, noise=20)
    write_gallery(tmp_path / "catalogue.safetensors")
    catalogue = hetero.load_embeddings(tmp_path / "catalogue.safetensors")
    with hetero.open_gallery(f"usearch:{tmp_path / 'gallery'}", catalogue.space) as store:
        store.add(catalogue.embeddings, catalogue.names, catalogue.space)
    write_photos(tmp_path / "new_photos")
    languages = set[str]()
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL):
        languages.add(language)
        if language == "toml":
            (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
            continue
        for line in text.splitlines():
            if "phone-system" not in line:  # Set up anew it takes minutes; see the test below.
                run(line, tmp_path)
    assert languages == {"sh", "toml"}
    shutil.copytree(tmp_path / "runs" / "mine" / "bundles" / "edge" / "bundle", tmp_path / "bundle")
    (tmp_path / "verification").rename(tmp_path / "released")
    verify, summary = re.findall(r"run: ((?:hetero|cat) .*)", WORKFLOW)
    run(verify, tmp_path)
    subprocess.run(["bash", "-ec", summary], cwd=tmp_path, env={"GITHUB_STEP_SUMMARY": "summary.md"}, check=True)
    assert (tmp_path / "summary.md").read_text().startswith("## The files reproduce the student: ✅ pass")


@pytest.mark.slow
@pytest.mark.emulator
def test_the_lines_on_the_whole_device(tmp_path: Path) -> None:
    """In the user's own cache, where it is set up once."""
    try:
        detect()
    except InputError as error:
        pytest.skip(str(error))
    write_bundle(tmp_path / "runs" / "mine" / "bundles" / "edge" / "bundle", formats=("onnx",))
    lines = [line for line in PAGE.splitlines() if line.startswith("hetero") and "phone-system" in line]
    assert sorted(line.split()[1] for line in lines) == ["device", "verify", "verify"]
    for line in lines:
        done = answer_of(line, tmp_path, cache=cache_directory())
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_file_that_the_page_names_exists() -> None:
    links = re.findall(r"\]\((?!https:)([^)#]+)\)", PAGE)
    assert links and all((ROOT / "docs" / link).resolve().is_file() for link in links)
