"""The commands below ``hetero bundle`` but ``debug``. They import no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from export.bundle.accelerators import instead_in_words, left_in_words, taken_in_words
from export.bundle.manifest import GOLDENS, GRAPH, IDS, Manifest, ModelEntry, Part
from export.kinds.precision import Precision
from export.precision.text import how_made
from hetero.display.text import say
from hetero.display.wording import change_in_words

Platforms = Annotated[tuple[Literal["android", "android-ai-pack", "ios", "web"], ...], Parameter(consume_multiple=True)]
Parts = Annotated[tuple[Part, ...], Parameter(consume_multiple=True)]


def check_command(path: Path) -> int:
    """Verify a bundle's digests, contract and goldens, and print what is inside.

    Ends with status 1 when files that were asked for are missing.

    Example: hetero bundle check runs/demo/bundles/edge

    Args:
        path: The bundle's directory.
    """
    from export.bundle.reading import read_bundle

    bundle = read_bundle(path)
    manifest, goldens, space = bundle.manifest, bundle.goldens, bundle.space
    queries, images = len(goldens.query_rows), len(goldens.retrieval_images)
    lines = [
        f"{path}: sound, {len(manifest.files)} files, {sum(file.size for file in manifest.files):,} bytes",
        f"  model      {manifest.name}, {manifest.macs:,} MACs, {manifest.parameters:,} weights",
        f"  space      {space.name} {space.version}, {space.dimension} dimensions, {space.space_id}",
        f"  image      {bundle.preprocessing.width} x {bundle.preprocessing.height}, {bundle.preprocessing.resize}, "
        f"{bundle.preprocessing.filter}",
        f"  goldens    {len(goldens.golden_images)} images; {images} for retrieval, {queries} of them queries",
        *([f"  texts      {len(goldens.texts)}, by {space.text.tower}"] if goldens.texts and space.text else []),
        *([_of_gallery(manifest)] if manifest.gallery else []),
        *(f"  task       {task.name!r}: {len(task.query)} in {len(task.gallery)}" for task in goldens.tasks),
        *(_line(model) for model in manifest.models),
        *(f"  missing    {one.format} {one.precision}: {one.reason.splitlines()[0]}" for one in manifest.missing),
    ]
    say("\n".join(lines))
    return 1 if manifest.missing else 0


def _of_gallery(manifest: Manifest) -> str:
    entry, size = manifest.gallery, sum(file.size for file in manifest.files if file.path in (GRAPH, IDS))
    assert entry is not None
    return f"  gallery    {entry.items:,} items, {size:,} bytes, to be searched at effort {entry.effort}"


def _line(model: ModelEntry) -> str:
    figure = "" if model.min_cosine is None else f", cosine with torch >= {model.min_cosine:.8f}"
    figure += "" if model.golden_room is None else f" (between images {1 - model.golden_room:.8f})"
    change = ""
    if model.calibration_loss is not None:
        change = f", {change_in_words(model.calibration_loss, digits=2, percent=True)} of map@r in calibration"
    return f"  {model.format:10} {model.file}, {model.size:,} bytes, at export: {model.checked}{figure}{change}"


def verify_command(path: Path, *, key: Path | None = None) -> None:
    """Verify a bundle's digests and its signature.

    Without a key only a damaged signature is refused: anybody may sign. With a key the bundle must be signed by it.

    Example: hetero bundle verify bundles/edge --key release.pub.pem

    Args:
        path: The bundle's directory.
        key: The public key (PEM) that is trusted.
    """
    from export.bundle.reading import read_bundle
    from export.bundle.signing import check_signature

    bundle = read_bundle(path, whole=False)
    if GOLDENS not in bundle.left_out:
        _ = bundle.goldens
    trust, signer = check_signature(path, key)
    said = {
        "unsigned": "not signed",
        "signed": f"signed by {signer}; whose key that is, is not verified: give --key",
        "trusted": f"signed by the trusted key {signer}",
    }
    missing = len(bundle.left_out)
    left_out = f"; {missing} with images were left out: digests alone were verified" if missing else ""
    say(f"{path}: {len(bundle.manifest.files) - missing} files are what the manifest says{left_out}; {said[trust]}")


def inspect_command(path: Path) -> None:
    """Print what each exported file is: input, output, how it was made, and what it needs to run.

    Example: hetero bundle inspect runs/demo/bundles/edge

    Args:
        path: The bundle's directory.
    """
    from export.bundle.reading import read_bundle
    from export.precision.recommendation import recommendations
    from export.precision.table import offer

    bundle = read_bundle(path, whole=False)
    manifest = bundle.manifest
    origin = manifest.provenance
    images = f"with images {manifest.calibration[:16]}..." if manifest.calibration else "without images"
    say(
        f"{manifest.name}, exported by hetero {manifest.hetero} from weights {manifest.source[:16]}...\n"
        f"  licence    {manifest.licence or 'not stated'}\n"
        f"  recipe     {origin.recipe or 'not known'}, seed {'not known' if origin.seed is None else origin.seed}\n"
        f"  calibrated {images}\n"
        f"  images     {manifest.images.in_words() if manifest.images else 'not known'}"
    )
    if manifest.gallery:
        say(_of_gallery(manifest))
    if merged := manifest.fusion:
        blocks = ", ".join(f"{count} {name}" for name, count in merged.blocks.items())
        say(
            f"  merged     {blocks}: {merged.macs:,} MACs and {merged.parameters:,} weights became "
            f"{manifest.macs:,} and {manifest.parameters:,}"
        )
    for entry in recommendations(manifest):
        say(f"  ship       {entry.file}: {entry.why}")
    for model in manifest.models:
        table = offer(model.format, model.precision)
        say(f"\n{_line(model).strip()}\n  runs on    {table.runs_on}\n  made       {table.made}")
        for what, one in (("takes", model.input), ("gives", model.output)):
            scale = f", value = {one.scale:g} * (byte - {one.zero_point})" if one.scale else ""
            say(f"  {what:10} {one.name}: {one.type} {list(one.shape)}{scale}")
        if model.quantisation:
            layers = ", ".join(model.quantisation.float_layers)
            say(f"  int8       {how_made(model.quantisation)}{f'; float layers: {layers}' if layers else ''}")
        for fit in model.accelerators:
            left, instead = left_in_words(fit), instead_in_words(fit)
            say(f"  {fit.accelerator:10} {taken_in_words(fit)}{f'; not {left}' if left else ''}")
            if instead:
                say(f"  {'':10} {instead}")
        if not model.accelerators:
            say("  GPU, NPU   not verified: nothing here can tell")
        for text in model.warnings:
            say(f"  warning    {text}")
        say(f"  with       {', '.join(f'{name} {version}' for name, version in model.versions.items())}")


def app_command(
    path: Path,
    out: Path,
    *,
    platform: Platforms = (),
    precision: Precision | None = None,
    key: Path | None = None,
) -> None:
    """Write what applications need of a bundle, each with one model: a Gradle module, a Swift and an npm package.

    Goldens, other precisions and originals stay in the bundle.

    Example: hetero bundle app bundles/edge app --platform android web

    Args:
        path: The bundle's directory.
        out: Where the projects go, one folder for each platform; an earlier result there is replaced.
        platform: Which platforms; by default android, ios and web, as far as the bundle has files for them.
        precision: Take the files of this precision instead of the recommended ones.
        key: The public key (PEM) that the bundle must be signed with.
    """
    from export.bundle.reading import read_bundle
    from export.bundle.signing import check_signature
    from export.packaging.app import write_app

    bundle = read_bundle(path, whole=False)
    check_signature(path, key)
    for project in write_app(bundle, out, platforms=platform, precision=precision):
        model, rest, gallery = project.model_size, project.rest_size, project.gallery_size
        say(
            f"{out / project.platform.name}: {project.contract.model} in {project.contract.precision}, "
            f"{model:,} bytes; {f'the gallery {gallery:,}; ' if gallery else ''}the rest {rest:,}; "
            f"together {model + gallery + rest:,}"
        )
    say(f"{path} keeps {sum(file.size for file in bundle.manifest.files):,} bytes, with all that proves it")


def gallery_command(
    path: Path, gallery: str, out: Path, *, tenant: str = "", effort: PositiveInt = 64, key: Path | None = None
) -> None:
    """Copy a bundle, with the items of a gallery in it: an application then searches without a network.

    What the model embeds on a target searches this gallery in every verification of the copy.

    Example: hetero bundle gallery bundles/edge usearch:gallery bundles/offline

    Args:
        path: The bundle's directory.
        gallery: Address of the gallery, for instance usearch:DIRECTORY; its space must be the bundle's.
        out: The copy; an earlier bundle there is replaced.
        tenant: The tenant whose items are taken.
        effort: Candidates that a search keeps; hetero gallery tune finds the least that loses nothing.
        key: An Ed25519 private key (PEM) that signs the copy; a signed bundle needs one.
    """
    from export.bundle.carrying import carry_gallery

    entry = carry_gallery(path, gallery, out, tenant=tenant, effort=effort, key=key)
    say(f"{out}: with {entry.items:,} items; `hetero verify {out}` searches them")


def hand_on_command(path: Path, out: Path, *, without: Parts = ("goldens", "originals")) -> None:
    """Copy a bundle without its images; digests and signature hold as before, and nothing else can be verified there.

    Example: hetero bundle hand-on bundles/edge handed/edge --without goldens originals selftest

    Args:
        path: The bundle's directory.
        out: The copy; an earlier bundle there is replaced.
        without: The parts to leave out; selftest is what hetero bundle app needs.
    """
    from export.bundle.handing_on import hand_on

    missing = len(hand_on(path, out, without))
    say(f"{out}: without {missing} files with images; `hetero bundle verify` holds the others against their digests")


def diff_command(left: Path, right: Path) -> int:
    """Say in which files and figures two bundles differ; status 1 when they do.

    Example: hetero bundle diff bundles/edge-1.0 bundles/edge-1.1

    Args:
        left: A bundle's directory.
        right: Another's.
    """
    from export.bundle.diff import differences
    from export.bundle.reading import read_bundle

    lines = differences(read_bundle(left, whole=False), read_bundle(right, whole=False))
    say("\n".join(lines) if lines else "the bundles hold the same files")
    return 1 if lines else 0


def sign_command(path: Path, key: Path) -> None:
    """Sign a bundle that exists; an earlier signature is replaced.

    Example: hetero bundle sign bundles/edge release.pem

    Args:
        path: The bundle's directory.
        key: An Ed25519 private key (PEM); hetero bundle key makes one.
    """
    from export.bundle.resigning import sign_again

    print(f"{path}: signed by {sign_again(path, key)}")


def key_command(private: Path, public: Path) -> None:
    """Make an Ed25519 key pair for signing bundles.

    Example: hetero bundle key release.pem release.pub.pem

    Args:
        private: Where the private key goes; keep it secret.
        public: Where the public key goes; give it to who verifies.
    """
    from export.bundle.signing import generate_key

    say(f"made the key {generate_key(private, public)}; keep {private} secret")
