"""A verdict as a signed attestation: the subjects, the verifier, the targets and the policy.

It is an in-toto Statement (https://in-toto.io/Statement/v1) about the bundle's files by their digests, whose predicate
is SLSA's verification summary (https://slsa.dev/verification_summary/v1). Anything without a field there goes into
an extension field, which readers that do not know it ignore.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import hetero
from device_tests.evidence.origin import verified_files
from device_tests.verdict.policy import Policy
from device_tests.verdict.verdict import PASSED, Verdict
from export.bundle.envelope import EnvelopeSigner, open_envelope
from export.bundle.reading import Bundle
from hetero.errors import IntegrityError
from hetero.files import canonical_json, digest, write_bytes
from hetero.foreign import strict_json

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/verification_summary/v1"
VERDICT = "urn:hetero:verdict:1"
"""Name of the extension field."""
_LEVELS = ("HETERO_FILES_REPRODUCE_STUDENT", "HETERO_STUDENT_GOOD_ENOUGH", "HETERO_OWN_EVIDENCE")
"""Levels that verification can show, in the order of the verdict's headlines."""
_SHA256 = 64


@dataclass(frozen=True)
class Attestation:
    """A statement whose signature is valid.

    Attributes:
        key: The verifier's public key, in hexadecimal.
        passed: True for PASSED, False for FAILED.
        time: The time of the verification.
        subjects: SHA-256 of each file that it is about, by name.
        levels: The levels shown; ``FAILED`` alone if it did not pass.
        verdict: The extension field; empty in a statement of another writer.
    """

    key: str
    passed: bool
    time: str
    subjects: Mapping[str, str]
    levels: tuple[str, ...]
    verdict: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, key: Path) -> Attestation:
        """Read an attestation and check its signature.

        Args:
            path: The attestation's file.
            key: The verifier's public key (PEM).

        Raises:
            InputError: If there is none, or the key cannot be read.
            IntegrityError: If it is no verification summary, was changed, or the key did not sign it.
        """
        payload, signer = open_envelope(path, PAYLOAD, key)
        statement: Any = strict_json(payload, what=f"the payload of {path}")
        try:
            return _read(statement, signer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"{path} is not a verification summary: {str(error)[:200]}") from None

    def require_about(self, bundle: Bundle) -> None:
        """Refuse a bundle other than the verified one.

        Raises:
            IntegrityError: With every file that differs.
        """
        here = verified_files(bundle)
        problems = [f"{name}: not what was verified" for name in here if self.subjects.get(name) != here[name]]
        problems += [f"{name}: verified, but not in the bundle" for name in sorted(self.subjects.keys() - here.keys())]
        if problems:
            raise IntegrityError(f"the attestation is not about the bundle at {bundle.path}:", problems)


def attest(path: Path, verdict: Verdict, policy: Policy, policy_name: str, by: EnvelopeSigner) -> None:
    """Write an attestation of a verdict, atomically.

    PASSED is stated for a verdict with exit code 0 alone; a failed gate and an incomplete verification are both FAILED.

    Args:
        path: The file to write.
        verdict: A verdict on one bundle.
        policy: The policy with its limits.
        policy_name: The policy's name.
        by: The verifier's key.
    """
    ((name, bundle),) = verdict.about["bundles"].items()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in bundle["files"].items()],
        "predicateType": PREDICATE,
        "predicate": _predicate(verdict, name, policy, policy_name, by.key, now),
    }
    write_bytes(path, by.sign(canonical_json(statement).encode(), PAYLOAD))


def _predicate(verdict: Verdict, name: str, policy: Policy, policy_name: str, key: str, now: str) -> dict[str, Any]:
    passed, limits = verdict.exit_code == PASSED, policy.to_dict()
    shown = [level for level, one in zip(_LEVELS, verdict.headlines, strict=False) if one.answer == "pass"]
    return {
        "verifier": {"id": f"urn:hetero:key:{key}", "version": {"hetero": hetero.__version__}},
        "timeVerified": now,
        "resourceUri": f"urn:hetero:bundle:{quote(name, safe='')}",
        "policy": {"uri": f"urn:hetero:policy:{quote(policy_name, safe='')}", "digest": {"sha256": digest(limits)}},
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": shown if passed else ["FAILED"],
        "slsaVersion": "1.0",
        VERDICT: {
            "exit_code": verdict.exit_code,
            "headlines": [{"claim": one.claim, "answer": one.answer, "told": one.told} for one in verdict.headlines],
            "targets": verdict.about["targets"],
            "rows": [
                [row.target, row.format, row.precision, row.rung, row.status, row.excused] for row in verdict.rows
            ],
            "bundle": {key: value for key, value in verdict.about["bundles"][name].items() if key != "files"},
            "evidence": verdict.about["evidence"],
            "policy": limits,
        },
    }


def _read(statement: Any, signer: str) -> Attestation:
    if statement["_type"] != STATEMENT or statement["predicateType"] != PREDICATE:
        raise ValueError(f"it is a {statement['_type']} with a {statement['predicateType']}")
    predicate = statement["predicate"]
    result, levels = predicate["verificationResult"], tuple(map(str, predicate["verifiedLevels"]))
    if result not in ("PASSED", "FAILED") or (result == "PASSED") == ("FAILED" in levels):
        raise ValueError(f"verificationResult {result!r} with the levels {levels}")
    subjects = {str(one["name"]): str(one["digest"]["sha256"]) for one in statement["subject"]}
    if len(subjects) < len(statement["subject"]) or any(len(sha256) != _SHA256 for sha256 in subjects.values()):
        raise ValueError("expected one SHA-256 for each subject")
    verdict = cast("dict[str, Any]", predicate.get(VERDICT) or {})
    return Attestation(signer, result == "PASSED", str(predicate["timeVerified"]), subjects, levels, verdict)
