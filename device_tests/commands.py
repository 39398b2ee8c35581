"""The commands ``hetero verify`` and ``hetero device``."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from device_tests.verdict.policy import Policy, policy_called
from hetero.display.text import say
from hetero.errors import InputError
from hetero.processes.children import ended_in_order

if TYPE_CHECKING:
    from device_tests.evidence.approximate import ApproximateGallery
    from device_tests.verdict.verdict import Verdict


def verify_command(
    bundles: list[Path],
    *,
    target: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Path = Path("verification"),
    space: Path | None = None,
    gallery: Path | None = None,
    queries: Path | None = None,
    gallery_store: str | None = None,
    effort: PositiveInt | None = None,
    tenant: str | None = None,
    policy: str | None = None,
    key: Path | None = None,
    baseline: Path | None = None,
    again: Annotated[bool, Parameter(negative="")] = False,
    sample: PositiveInt | None = None,
    require: Annotated[list[str] | None, Parameter(negative="")] = None,
    floor: float | None = None,
    largest_loss: float | None = None,
    above_own: Annotated[bool | None, Parameter(negative="")] = None,
    share: float | None = None,
    parity: float | None = None,
    latency_ms: float | None = None,
    file_bytes: PositiveInt | None = None,
    attest: Path | None = None,
    attest_key: Path | None = None,
) -> int:
    """Run bundles on targets: do the files reproduce the student, and is it good enough for the cloud's gallery?

    Writes verdict.json, summary.json, summary.md, junit.xml and report.html. Exit status: 0 passed, 1 a gate failed,
    2 bad input, 3 something asked for was not verified. The student is judged when a policy or --share asks.

    Example: hetero verify runs/demo/bundles/edge-s/bundle --target desktop --target phone-arm64 --policy release

    Args:
        bundles: Bundle directories.
        target: Where to run; see `hetero device list`. Default desktop. Repeatable.
        out: Directory of the results.
        space: A gallery directory, or its space.json: refuse bundles of another embedding space.
        gallery: Evidence of your own, with --queries: the cloud's vectors, in a file of embeddings or a gallery
            directory.
        queries: Your photos that search it: a folder with a class a sub-folder, or a CSV, as `hetero data check` reads.
        gallery_store: Address of a gallery store, for instance usearch:DIRECTORY: the queries search it, too, and may
            get another first answer than by an exact search as rarely as --largest-loss says.
        effort: Effort of that search; default 64.
        tenant: The tenant whose items it searches; default the one without a name.
        policy: TOML file with the gates, and exceptions with their reason and last day; or release, which comes with
            the package. Options below override it.
        key: The public key (PEM) that must have signed every bundle; instead of the policy's trusted_keys.
        baseline: An earlier verdict.json: what got worse than it by more than chance fails.
        again: Run also what is kept from an earlier verification of the same files on the same targets.
        sample: Most query images that emulated phones embed, evenly spread; default all. Intervals widen accordingly.
        require: Format, as hetero export names it, that must be verified, else exit status 3. Repeatable.
        floor: Least cmc@1 against the cloud gallery; default 0.
        largest_loss: Most cmc@1 that a target may lose against the student in torch; default 0.01.
        above_own: Require cmc@1 in the cloud gallery above that in a gallery of the student's own.
        share: Least share of the cloud's own cmc@1 that the student is shown to reach, between 0 and 1.
        parity: Largest 1 - cosine between a golden image's fp32 embedding and torch's; default 1e-6.
        latency_ms: Largest median latency of one image.
        file_bytes: Largest size of a model's file.
        attest: Write the verdict, PASSED or FAILED, as a signed in-toto attestation; of one bundle, with --attest-key.
        attest_key: Your private key (PEM), an Ed25519 key as `hetero bundle key` makes.
    """
    from device_tests.evidence.evidence import OwnEvidence
    from device_tests.ladder.opening import load_gallery_space
    from device_tests.ladder.verify import verify
    from device_tests.report import write_report
    from export.bundle.signing import public_key

    options = {
        "floor": floor,
        "largest_loss": largest_loss,
        "above_own": above_own,
        "parity": parity,
        "latency_ms": latency_ms,
        "file_bytes": file_bytes,
        "require": tuple(require) if require else None,
    }
    limits = policy_called(policy) if policy is not None else Policy()
    limits = limits.overridden(**{name: value for name, value in options.items() if value is not None})
    if share is not None:
        limits = dataclasses.replace(limits, student=dataclasses.replace(limits.student, share=share))
    if key is not None:
        limits = dataclasses.replace(limits, trusted_keys=(public_key(key),))
    if (gallery is None) != (queries is None):
        raise InputError(
            "evidence of your own takes both, --gallery FILE and --queries FOLDER_OR_CSV; to check a gallery's space "
            "alone give --space, and to embed fewer queries on emulated phones --sample"
        )
    if (effort is not None or tenant is not None) and gallery_store is None:
        raise InputError("--effort and --tenant are of a gallery store; give its address: --gallery-store ADDRESS")
    witness = _witness(attest, attest_key, bundles)
    with ended_in_order(), _opened(gallery_store, effort, tenant) as approximate:
        verdict = verify(
            bundles,
            target or ["desktop"],
            out,
            limits,
            load_gallery_space(space) if space is not None else None,
            baseline=baseline,
            again=again,
            queries=sample,
            evidence=OwnEvidence.read(gallery, queries) if gallery is not None and queries is not None else None,
            approximate=approximate,
        )
    rows = [row.to_dict() for row in verdict.rows]
    write_report(out / "report.html", rows=rows, matrix=None, bundles=bundles, embeddings=out / "embeddings")
    if witness is not None:
        witness(verdict, limits, policy or "none")
    say(f"{verdict.table()}\n\n{verdict.headline}\nsee {out / 'report.html'}")
    return verdict.exit_code


@contextlib.contextmanager
def _opened(address: str | None, effort: int | None, tenant: str | None) -> Generator[ApproximateGallery | None]:
    """Open the gallery store at an address; yield None for none."""
    if address is None:
        yield None
        return
    from device_tests.evidence.approximate import ApproximateGallery
    from hetero.gallery.opening import open_gallery, without_password
    from hetero.gallery.store import DEFAULT_EFFORT

    with open_gallery(address, read_only=True) as store:
        # The address stands in verdicts and reports.
        approximate = ApproximateGallery(
            store, effort or DEFAULT_EFFORT, without_password(address), store.space, tenant or ""
        )
        approximate.require_answers()
        yield approximate


def _witness(
    path: Path | None, key: Path | None, bundles: Sequence[Path]
) -> Callable[[Verdict, Policy, str], None] | None:
    """Return a writer of an attestation; None if none is requested. Errors are reported before anything runs."""
    if path is None and key is None:
        return None
    if path is None or key is None:
        raise InputError("an attestation takes both, --attest FILE and --attest-key KEY.pem")
    if len(bundles) != 1:
        raise InputError(f"an attestation is of one bundle, got {len(bundles)}; verify them one by one")
    if path.is_dir() or path.resolve().is_relative_to(bundles[0].resolve()):
        raise InputError(f"an attestation cannot be written to {path}: give a file outside of the bundle")
    from device_tests.attestation.statement import attest
    from export.bundle.envelope import EnvelopeSigner

    by = EnvelopeSigner(key)
    return lambda verdict, limits, name: attest(path, verdict, limits, name, by)


def device_setup_command(target: str = "phone-arm64") -> int:
    """Set up a target: an emulated one takes a minute or two and some hundred MB in the cache, without root.

    Example: hetero device setup phone-arm64

    Args:
        target: Its name; see `hetero device list`.
    """
    from device_tests.targets.registry import target as target_called

    machine = target_called(target)
    machine.set_up()
    print(f"{machine.name} is ready:")
    for name, value in machine.describe().items():
        print(f"  {name}: {value}")
    return 0


def device_list_command() -> int:
    """List the targets that bundles can be verified on, and which of them are ready.

    Example: hetero device list
    """
    from device_tests.targets.registry import TARGETS
    from device_tests.targets.registry import target as target_called

    for kind in TARGETS.values():
        try:
            state = target_called(kind.listed_as).state()
        except InputError as error:
            state = str(error)
        print(f"{kind.listed_as}: {kind.line}\n  {state}", file=sys.stdout)
    return 0


def device_faults_command(bundle: Path, *, target: str = "desktop") -> int:
    """Break copies of a bundle on purpose and verify them: does the right rung fail for each fault?

    Exit status: 0 when the healthy bundle passes and every fault was caught, 1 when not, 3 when one could not be tried.

    Example: hetero device faults runs/demo/bundles/edge-s/bundle

    Args:
        bundle: A healthy bundle.
        target: Where to run the copies. Faults of another target's are tried there, where it is set up.
    """
    from device_tests.faults import try_faults
    from device_tests.faults.trial import exit_code, healthy, table
    from device_tests.targets.registry import target as target_called
    from export.bundle.reading import read_bundle

    machine = target_called(target)
    machine.set_up()
    opened = read_bundle(bundle)
    problem = healthy(opened, machine)
    outcomes = try_faults(opened, machine)
    machine.close()
    say(f"{table(outcomes)}\n\nthe bundle as it is: {problem or 'passes'}")
    return exit_code(outcomes, problem)
