"""The origin of a bundle, as far as its signature tells.

The references of a bundle travel in it: whoever changes the files can change the golden images too. So a pass
proves more than a bundle's agreement with itself only if a trusted key signed it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from export.bundle.checks import checked_manifest
from export.bundle.manifest import MANIFEST
from export.bundle.reading import Bundle
from export.bundle.signing import signed_by
from hetero.errors import IntegrityError
from hetero.files import sha256_bytes
from hetero.foreign import strict_json

_ITSELF = "so a pass proves only that its files agree with the golden images that came in it"
_BEYOND = "so what came in it proves only that it agrees with itself; your evidence, which did not, says more"


def signatures(bundles: Sequence[Bundle], trusted: Collection[str]) -> dict[str, dict[str, str]]:
    """Return ``trust`` and ``key`` of each bundle, by its name.

    Args:
        bundles: The bundles.
        trusted: Public keys in hexadecimal, one of which must have signed every bundle; empty for no requirement.

    Raises:
        IntegrityError: If a signature does not match, or is not of a trusted key.
        InputError: If a bundle is signed and ``cryptography`` is not installed.
    """
    signers = {bundle.manifest.name: signed_by(bundle.path, trusted) for bundle in bundles}
    return {name: {"trust": trust, "key": key} for name, (trust, key) in signers.items()}


def verified_files(bundle: Bundle) -> dict[str, str]:
    """Return SHA-256 of a bundle's manifest, which names every file, and of each file of its models, by path.

    Raises:
        IntegrityError: If the manifest is not the one that was opened.
    """
    data = (bundle.path / MANIFEST).read_bytes()
    if checked_manifest(strict_json(data, what=MANIFEST), what=MANIFEST) != bundle.manifest:
        raise IntegrityError(f"{bundle.path}: {MANIFEST} was changed since the bundle was opened; verify it again")
    models = [entry.file for entry in bundle.manifest.models]
    digests = {
        file.path: file.sha256
        for file in bundle.manifest.files
        if any(file.path == model or file.path.startswith(f"{model}/") for model in models)
    }
    return {MANIFEST: sha256_bytes(data), **digests}


def origin_lines(bundles: Mapping[str, Mapping[str, Any]], evidence: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return a sentence about each bundle, by its name.

    Args:
        bundles: As under ``bundles`` in ``summary.json``; those without a signature entry are left out.
        evidence: As under ``evidence`` there.
    """
    worth = _BEYOND if evidence else _ITSELF
    return {name: _line(name, about["signature"], worth) for name, about in bundles.items() if "signature" in about}


def evidence_line(evidence: Mapping[str, Any] | None) -> str:
    """Describe the evidence supplied, for people; empty if there is none.

    Args:
        evidence: As under ``evidence`` in ``summary.json``.
    """
    if not evidence:
        return ""
    gallery, queries = evidence["gallery"], evidence["queries"]
    labels = f"of {queries['classes']} classes" if queries["classes"] else "without labels"
    cloud = ", with the cloud's own vectors of them" if evidence["cloud_vectors_of_queries"] else ""
    return (
        f"Your evidence: {queries['photos']} photos {labels} from {queries['name']} (sha256 {queries['sha256']}) in "
        f"the {gallery['vectors']} vectors of {gallery['name']} (sha256 {gallery['sha256']}){cloud}."
    )


def _line(name: str, signature: Mapping[str, str], worth: str) -> str:
    if signature["trust"] == "trusted":
        return f"{name} is signed by the trusted key {signature['key']}."
    if signature["trust"] == "signed":
        return f"{name} is signed by the key {signature['key']}, but nobody said whose that is, {worth}: give --key."
    return f"{name} is not signed, {worth}."
