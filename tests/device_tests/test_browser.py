"""The mobile web. Skipped, with the reason, where there is no browser, Node.js or npm."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import device_tests.targets.browser.setup
from device_tests.ladder.verify import verify
from device_tests.targets.browser.server import JobServer
from device_tests.targets.browser.target import Browser
from export.app_code.code import JAVASCRIPT
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import write_bundle


def test_the_server_gives_nothing_to_others(tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_text("1")
    page = tmp_path / "page"
    page.mkdir()
    (page / "page.html").write_text("hello")
    heard: list[tuple[str, bytes]] = []
    served: dict[str, bytes | Path] = {"job.json": b"{}", "app_code/a.mjs": b"1"}
    with JobServer(page, page, served, lambda *said: heard.append(said)) as server:
        assert server.address.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(server.address).read() == b"hello"
        base = server.address.removesuffix("page.html")
        assert urllib.request.urlopen(base + "job.json").read() == b"{}"
        assert urllib.request.urlopen(base + "app_code/a.mjs").headers["Content-Type"] == "text/javascript"
        urllib.request.urlopen(urllib.request.Request(base + "progress", b"[1, 2]"))
        assert heard == [("progress", b"[1, 2]")]
        elsewhere = base.rsplit("/", 2)[0]
        for address in (base + "../secret.js", base + "npm/../../secret.js", elsewhere + "/job.json", base + "other"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(address)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(base + "other", b""))


def test_without_a_browser_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(InputError, match="apt-get install chromium"):
        Browser().set_up()


def test_what_npm_says_is_told_and_nothing_half_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error network request failed' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="network request failed"):
        device_tests.targets.browser.setup.set_up()
    assert not device_tests.targets.browser.setup.is_set_up()
    assert [path.name for path in (tmp_path / "cache" / "browser").iterdir()] == ["lock"]


def test_npm_installs_what_the_lock_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text('#!/bin/sh\necho "$@" > "$3/asked"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    device_tests.targets.browser.setup.set_up()
    packages = tmp_path / "cache" / "browser" / "packages"
    asked = packages.joinpath("asked").read_text().split()
    assert asked[:2] == ["ci", "--prefix"]
    assert "--ignore-scripts" in asked
    assert [word for word in asked[3:] if "@" in word] == []
    for name in ("package.json", "package-lock.json"):
        assert packages.joinpath(name).read_bytes() == JAVASCRIPT.joinpath(name).read_bytes()


def test_every_package_of_the_lock_file_has_a_digest_and_no_address() -> None:
    lock = json.loads(JAVASCRIPT.joinpath("package-lock.json").read_text())["packages"]
    assert lock.pop("")["dependencies"] == device_tests.targets.browser.setup.PACKAGES
    for name, version in device_tests.targets.browser.setup.PACKAGES.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all(package["integrity"].startswith("sha512-") for package in lock.values())
    assert not any("resolved" in package for package in lock.values())


@pytest.mark.slow
@pytest.mark.emulator
def test_the_ladder_in_a_browser(tmp_path: Path) -> None:
    try:
        Browser().set_up()
    except InputError as error:
        pytest.skip(str(error))
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "litert"))
    verdict = verify([bundle], ["browser"], tmp_path / "out")
    assert {(row.rung, row.status, row.reason) for row in verdict.rows if row.status != "pass"} == set()
    preprocessing = next(row for row in verdict.rows if row.rung == "preprocessing")
    assert str(preprocessing.figures["decoder"]).startswith("Chromium")
    broken = write_bundle(tmp_path / "broken", formats=("onnx",), model_seed=4)
    assert verify([broken], ["browser"], tmp_path / "out2").exit_code == 1
