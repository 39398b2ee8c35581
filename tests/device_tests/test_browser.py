"""The mobile web. Skipped, with the reason, where there is no browser, Node.js or npm."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import device_tests.targets.browser.setup
from device_tests.ladder.verify import verify
from device_tests.targets.browser.server import JobServer
from device_tests.targets.browser.target import Browser
from hetero.data.decoding.decode import decode, resized
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from tests.device_tests.tiny_bundle import write_bundle

PAGE = Path(device_tests.targets.browser.setup.__file__).parent


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
def test_the_pages_resizing_is_the_contracts(tmp_path: Path, resize: str, filter: str) -> None:
    """To the last bit, shrinking and enlarging, with odd remainders."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js, found none")
    contracts = [
        Preprocessing(height, width, resize=resize, filter=filter, pad_value=77)  # type: ignore[arg-type]
        for height, width in ((8, 8), (9, 14), (40, 33))
    ]
    picture = np.random.default_rng(0).integers(0, 256, (23, 37, 4), np.uint8)
    (tmp_path / "image").write_bytes(picture.tobytes())
    script = f"""
        import {{readFileSync}} from 'node:fs';
        import {{fit}} from {json.dumps(PAGE.joinpath("resize.mjs").as_uri())};
        const image = {{data: readFileSync({json.dumps(str(tmp_path / "image"))}), width: 37, height: 23}};
        const contracts = {json.dumps([contract.to_dict() for contract in contracts])};
        console.log(JSON.stringify(contracts.map((contract) => Array.from(fit(image, contract)))));
    """
    (tmp_path / "script.mjs").write_text(script)
    done = subprocess.run([node, tmp_path / "script.mjs"], capture_output=True, text=True, check=True)
    for contract, made in zip(contracts, json.loads(done.stdout), strict=True):
        expected = resized(Image.fromarray(picture[..., :3].copy()), contract)
        np.testing.assert_array_equal(np.array(made, np.uint8).reshape(expected.shape), expected)


@pytest.mark.parametrize("picture", ["noise", "smooth"])
def test_the_page_reads_deep_grey_by_the_contracts_range(tmp_path: Path, picture: str) -> None:
    """To the last bit, whatever filters the file's rows have."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js, found none")
    values = np.random.default_rng(0).integers(0, 5000, (23, 37)).astype(np.uint16)
    if picture == "smooth":
        values = (np.add.outer(np.arange(23), np.arange(37)) ** 2 + 7).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    Image.fromarray((values % 256).astype(np.uint8)).save(tmp_path / "plain.png")
    contract = Preprocessing(9, 14, pad_value=77, grey_range=(100.0, 4095.0))
    files = [str(tmp_path / name) for name in ("deep.png", "plain.png")]
    script = f"""
        import {{readFileSync}} from 'node:fs';
        import {{deepGrey}} from {json.dumps(PAGE.joinpath("deep_grey.mjs").as_uri())};
        import {{fit}} from {json.dumps(PAGE.joinpath("resize.mjs").as_uri())};
        const contract = {json.dumps(contract.to_dict())};
        const [deep, plain] = {json.dumps(files)}.map((file) => new Uint8Array(readFileSync(file)));
        const pixels = fit(await deepGrey(deep, contract.grey_range), contract);
        console.log(JSON.stringify([Array.from(pixels), await deepGrey(plain, contract.grey_range)]));
    """
    (tmp_path / "script.mjs").write_text(script)
    done = subprocess.run([node, tmp_path / "script.mjs"], capture_output=True, text=True, check=True)
    made, other = json.loads(done.stdout)
    expected = decode(tmp_path / "deep.png", contract)
    np.testing.assert_array_equal(np.array(made, np.uint8).reshape(expected.shape), expected)
    assert other is None, "8 bits are the browser's own to decode"


def test_the_server_gives_nothing_to_others(tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_text("1")
    page = tmp_path / "page"
    page.mkdir()
    (page / "page.html").write_text("hello")
    heard: list[tuple[str, bytes]] = []
    with JobServer(page, page, {"job.json": b"{}"}, lambda *said: heard.append(said)) as server:
        assert server.address.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(server.address).read() == b"hello"
        base = server.address.removesuffix("page.html")
        assert urllib.request.urlopen(base + "job.json").read() == b"{}"
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
        assert packages.joinpath(name).read_bytes() == PAGE.joinpath(name).read_bytes()


def test_every_package_of_the_lock_file_has_a_digest_and_no_address() -> None:
    lock = json.loads(PAGE.joinpath("package-lock.json").read_text())["packages"]
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
