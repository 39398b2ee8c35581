"""The bill of materials names everything that the wheel needs, fits its schema and is the same twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from hetero.errors import InputError
from release.lock import Locked
from tests.snippets import ROOT

pytest.importorskip("cyclonedx", reason="needs the extra release")

from release import sbom

ABOUT = """Metadata-Version: 2.4
Name: ours
Version: 1.0
Summary: One.
License-Expression: MIT
Requires-Dist: Needed_A>=1
Requires-Dist: elsewhere; sys_platform == "nowhere"
Provides-Extra: more
Requires-Dist: added>=1; extra == "more"
Requires-Dist: absent; extra == "more"
Requires-Dist: ours[more]; extra == "more"
Provides-Extra: dev
Requires-Dist: tool; extra == "dev"
"""
REQUIRES = {
    "needed-a": ["below>1", "tool; extra == 'test'", "nowhere; sys_platform == 'nowhere'"],
    "added": ["needed-a[colour]"],
}
LOCK = {"needed-a": Locked("1.5", ("a" * 64, "b" * 64)), "below": Locked("2", ("c" * 64,))}


def component(name: str, version: str) -> dict[str, str]:
    return {"bom-ref": f"{name}=={version}", "type": "library", "name": name, "version": version}


def around(*components: dict[str, str]) -> dict[str, Any]:
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {},
        "components": [*components],
        "dependencies": [{"ref": "needed_A==1.5", "dependsOn": ["below==2+cpu", "tool==3"]}],
    }


EVERYTHING = around(
    *(component("needed_A", "1.5"), component("below", "2+cpu"), component("added", "4"), component("tool", "3")),
)


def bill_of(environment: dict[str, Any], requires: dict[str, list[str]] = REQUIRES) -> dict[str, Any]:
    return sbom.bill(message_from_string(ABOUT), "f" * 64, environment, LOCK, requires=requires.get)


def test_what_is_needed_is_named_with_its_digests_and_nothing_else() -> None:
    bill = bill_of(EVERYTHING)
    by_name = {one["name"]: one for one in bill["components"]}
    assert {name: one["scope"] for name, one in by_name.items()} == {
        **{"needed_A": "required", "below": "required"},
        **{"added": "optional", "absent": "optional"},
    }
    assert [one["content"] for one in by_name["needed_A"]["hashes"]] == ["a" * 64, "b" * 64]
    assert "hashes" not in by_name["below"], "another build than the locked one"
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "f" * 64}]
    assert bill["dependencies"][0] == {"ref": "ours==1.0", "dependsOn": ["absent", "added==4", "needed_A==1.5"]}
    assert {"ref": "needed_A==1.5", "dependsOn": ["below==2+cpu"]} in bill["dependencies"]
    assert {"ref": "added==4", "dependsOn": ["needed_A==1.5"]} in bill["dependencies"]
    sbom.text_of(bill)


def test_an_extra_that_is_asked_for_on_the_way_counts() -> None:
    requires = {**REQUIRES, "added": ["needed-a[test]"]}
    scopes = {one["name"]: one["scope"] for one in bill_of(EVERYTHING, requires)["components"]}
    assert scopes["tool"] == "optional" and scopes["below"] == "required"


def test_a_dependency_that_is_not_installed_is_told() -> None:
    with pytest.raises(InputError, match="found no needed-a"):
        bill_of(around(component("added", "4")))


def test_what_does_not_fit_the_schema_is_refused() -> None:
    bill = bill_of(EVERYTHING)
    with pytest.raises(ValueError, match="not a CycloneDX bill"):
        sbom.text_of({**bill, "colour": "red"})


@pytest.mark.slow
def test_the_wheel_of_this_tree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "runs", "tests"))
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, *build, str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    texts: list[str] = []
    for name in ("one.json", "two.json"):
        program = ["-m", "release.sbom", str(wheel), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, *program], check=True, capture_output=True, cwd=ROOT)
        texts.append((tmp_path / name).read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert "timestamp" not in texts[0] and "serialNumber" not in texts[0] and str(ROOT) not in texts[0]
    components = {sbom._canonical(one["name"]): one for one in json.loads(texts[0])["components"]}
    always, added = ({sbom._canonical(one.name) for one in some} for some in sbom.dependencies(sbom.metadata(wheel)))
    assert {"torch", "numpy", "pillow"} <= always and {"onnxruntime", "ray"} <= added
    assert always | added <= set(components)
    assert not {"pytest", "uv", "cyclonedx-bom", "hetero"} & set(components)
    for name, one in components.items():
        if "version" in one and "+" not in one["version"]:  # An extra that was not tested; a build of no public index.
            assert one["hashes"], name
    assert [name for name in always if "licenses" not in components[name]] == []
    assert components["coremltools"]["licenses"] == [{"license": {"name": "BSD", "acknowledgement": "declared"}}]
