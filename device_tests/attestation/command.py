"""The command ``hetero attestation check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hetero.display.text import say


def check_command(
    attestation: Path, bundle: Path | None = None, *, key: Annotated[Path, Parameter(name="--key")]
) -> int:
    """Check an attestation of a verdict, offline: who verified what, on which targets, and did it pass?

    Exit status: 0 when it holds and says PASSED, 1 when it holds and says FAILED, 2 when it does not hold.

    Example: hetero attestation check verified.intoto.jsonl bundles/edge --key release.pub.pem

    Args:
        attestation: The file that `hetero verify --attest` wrote.
        bundle: Also check that this bundle is the one that was verified.
        key: The public key (PEM) of who verified.
    """
    from device_tests.attestation.statement import Attestation
    from export.bundle.reading import read_bundle

    checked = Attestation.read(attestation, key)
    if bundle is not None:
        checked.require_about(read_bundle(bundle))
    verdict = checked.verdict
    say(
        "\n".join(
            [
                f"{'PASSED' if checked.passed else 'FAILED'}, verified {checked.time} by the trusted key {checked.key}",
                *(f"  {one['claim']}: {one['answer']}" for one in verdict.get("headlines", [])),
                *(f"  on {target}" for target in verdict.get("targets", {})),
                *(f"  {sha256}  {name}" for name, sha256 in checked.subjects.items()),
                f"these are the files at {bundle}" if bundle is not None else "no bundle was given to compare with",
            ]
        )
    )
    return 0 if checked.passed else 1
