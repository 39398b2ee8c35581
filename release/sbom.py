"""Write the wheel's bill of materials: ``python -m release.sbom WHEEL --out FILE``, CycloneDX 1.6 in JSON.

Names, versions and licences come from cyclonedx-py, which reads the environment that runs this; digests come from the
lock files. What the wheel needs in any case is ``required``, what an extra adds ``optional``. What only the
project's own work needs is left out. Equal inputs give equal bytes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hetero.errors import InputError
from hetero.files import sha256_file, write_bytes
from hetero.processes import children
from release.lock import Locked, read_lock

ROOT = Path(__file__).parents[1]
OWN_WORK = ("bench", "dev", "docs", "release")
"""The extras that no user of the wheel asks for."""

LOCKS = ("requirements.lock", "without-torchvision.txt")

Component = dict[str, Any]


def environment() -> dict[str, Any]:
    """What cyclonedx-py says of this interpreter's environment.

    Raises:
        InputError: When it fails.
    """
    program = children.which(str(Path(sys.executable).with_name("cyclonedx-py"))) or "cyclonedx-py"
    options = ["--output-reproducible", "--no-validate", "--spec-version", "1.6", "--output-format", "JSON"]
    done = children.run([program, "environment", *options, sys.executable])
    if done.returncode:
        raise InputError(f"cyclonedx-py failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def metadata(wheel: Path) -> Message:
    """The wheel's core metadata.

    Raises:
        InputError: When it has none.
    """
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/METADATA"):
                return message_from_bytes(archive.read(name))
    raise InputError(f"{wheel} is no wheel: expected METADATA in it")


def dependencies(about: Message) -> tuple[list[Requirement], list[Requirement]]:
    """What a wheel needs in any case, and what only its users' extras add."""
    asked = [Requirement(text) for text in about.get_all("Requires-Dist", [])]
    extras = {extra for extra in about.get_all("Provides-Extra", []) if extra not in OWN_WORK}
    always = [one for one in asked if _applies(one, set())]
    own = _canonical(about["Name"])
    return always, [one for one in asked if _applies(one, extras) and one not in always and _canonical(one.name) != own]


def bill(
    about: Message,
    sha256: str,
    environment: Mapping[str, Any],
    lock: Mapping[str, Locked],
    *,
    requires: Callable[[str], list[str] | None] = importlib.metadata.requires,
) -> dict[str, Any]:
    """Keep of an environment what the wheel needs, with digests.

    Args:
        about: The wheel's metadata.
        sha256: The wheel's digest.
        environment: A bill of everything that is installed.
        lock: Digests by canonical name; they count only for the very version that is installed.
        requires: Says what an installed package asks for, as in its metadata.

    Raises:
        InputError: When what the wheel needs in any case is not installed.
    """
    installed = {_canonical(one["name"]): one for one in environment["components"]}
    always, added = dependencies(about)
    if absent := sorted({_canonical(one.name) for one in always} - set(installed)):
        raise InputError(f"expected the wheel's dependencies to be installed, found no {', '.join(absent)}")
    graph = _graph([*always, *added], set(installed), requires)
    required = set(_graph(always, set(installed), requires))
    components = {
        name: {
            **(_told(installed[name], lock.get(name)) if name in installed else _not_installed(name)),
            "scope": "required" if name in required else "optional",
        }
        for name in sorted(graph)
    }
    root, refs = _root(about, sha256), {name: one["bom-ref"] for name, one in components.items()}
    graph = {refs[name]: sorted(refs[need] for need in needs) for name, needs in graph.items()}
    direct = sorted({refs[_canonical(one.name)] for one in (*always, *added)})
    return {
        **{key: environment[key] for key in ("$schema", "bomFormat", "specVersion", "version")},
        "metadata": {**environment["metadata"], "component": root},
        "components": [*components.values()],
        "dependencies": [{"ref": ref, "dependsOn": needs} for ref, needs in {root["bom-ref"]: direct, **graph}.items()],
    }


def text_of(content: Mapping[str, Any]) -> str:
    """JSON, checked against CycloneDX's schema.

    Raises:
        ValueError: When it does not fit.
    """
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"not a CycloneDX bill: {error}")
    return text


def _canonical(name: str) -> str:
    return str(canonicalize_name(name))


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in extras | {""})


def _graph(
    start: Iterable[Requirement], installed: set[str], requires: Callable[[str], list[str] | None]
) -> dict[str, set[str]]:
    """Everything below some requirements, and what each needs; what an extra adds counts only where it is asked for."""
    graph, extras = dict[str, set[str]](), dict[str, set[str]]()
    waiting = [*start]
    while waiting:
        one = waiting.pop()
        name = _canonical(one.name)
        if name in graph and one.extras <= extras[name]:
            continue
        extras[name] = extras.get(name, set()) | one.extras
        asked = map(Requirement, (requires(name) or []) if name in installed else [])
        needs = [need for need in asked if _applies(need, extras[name]) and _canonical(need.name) in installed]
        graph[name] = {_canonical(need.name) for need in needs}
        waiting += needs
    return graph


def _root(about: Message, sha256: str) -> Component:
    name, version = about["Name"], about["Version"]
    return {
        "bom-ref": f"{name}=={version}",
        "type": "library",
        "name": name,
        "version": version,
        "description": about["Summary"],
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"expression": about["License-Expression"]}],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def _told(component: Component, locked: Locked | None) -> Component:
    """A component with the digests of its files, and a licence that is no SPDX expression by its name."""
    more: Component = {}
    if locked is not None and locked.version == component["version"]:
        more["hashes"] = [{"alg": "SHA-256", "content": one} for one in locked.sha256]
    if "licenses" not in component and (name := _licence(component["name"])):
        more["licenses"] = [{"license": {"name": name, "acknowledgement": "declared"}}]
    return component | more


def _licence(name: str) -> str:
    try:
        words = (importlib.metadata.metadata(name).get_all("License") or [""])[0]
    except importlib.metadata.PackageNotFoundError:
        return ""
    return "" if words == "UNKNOWN" or "\n" in words else words


def _not_installed(name: str) -> Component:
    return {"bom-ref": name, "type": "library", "name": name, "purl": f"pkg:pypi/{name}", "scope": "optional"}


def main() -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--locks", type=Path, nargs="+", default=[ROOT / name for name in LOCKS])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    locked = {name: entry for lock in given.locks for name, entry in read_lock(lock).items()}
    content = bill(metadata(given.wheel), sha256_file(given.wheel), environment(), locked)
    write_bytes(given.out, text_of(content).encode())
    unlicensed = [one["name"] for one in content["components"] if "licenses" not in one]
    print(f"{given.out}: {len(content['components'])} components; of no declared licence: {', '.join(unlicensed)}")


if __name__ == "__main__":
    main()
