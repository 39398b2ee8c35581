"""The kinds of files and directories that a command may be given, and how each is told at a glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hetero.recognition.look import Look


@dataclass(frozen=True)
class Kind:
    """A kind of file or directory.

    Attributes:
        name: Name in messages, with its article.
        use: Where it comes from, or what takes it.
        fits: Returns True if a path is of this kind.
        record: Name of the file that says so in a directory; a damaged one is still meant to be of this kind.
    """

    name: str
    use: str
    fits: Callable[[Look], bool]
    record: str = ""


def _directory(name: str, use: str, record: str, mark: bytes) -> Kind:
    return Kind(name, use, lambda look: look.is_directory and look.has(record, mark), record)


def _tensors(name: str, use: str, *marks: bytes) -> Kind:
    """Return a kind of safetensors file that has one of these bytes in its header."""
    return Kind(name, use, lambda look: any(mark in look.header for mark in marks))


def _text(name: str, use: str, first: bytes, *marks: bytes) -> Kind:
    """Return a kind of text file that begins with some bytes and has all others near one of its ends."""
    return Kind(name, use, lambda look: look.start.lstrip().startswith(first) and look.says(*marks))


def _toml(name: str, use: str, *marks: bytes) -> Kind:
    return Kind(name, use, lambda look: look.path.suffix == ".toml" and any(map(look.says, marks)))


ADAPTED = _directory(
    "the folder of an adaptation", "as `hetero adapt` and `hetero forget` write it", "learnt.json", b"hetero/learnt/"
)
MODEL = _directory(
    "a model directory", "as training writes it; `hetero export` makes a bundle of it", "config.json", b"hetero/model/"
)
SUPERNET = _directory(
    "a supernet", "which a search chooses students from; those are in students/", "supernet.json", b"hetero/supernet/"
)
SIGNED_BUNDLE = Kind(
    "a signed bundle",
    "as `hetero export --key` writes it; `hetero verify` runs it",
    lambda look: BUNDLE.fits(look) and look.has("manifest.sig"),
)
BUNDLE = _directory(
    "a bundle", "as `hetero export` writes it; `hetero verify` runs it", "manifest.json", b"hetero/bundle/"
)
GALLERY = _directory("a gallery directory", "as Gallery.save writes it", "gallery.json", b"hetero/gallery/")
GALLERY_STORE = _directory(
    "a gallery store",
    "whose address is usearch:DIRECTORY; hetero.open_gallery makes it",
    "items.sqlite",
    b"SQLite format",
)
COMPACTION = _directory(
    "a smaller copy of a gallery",
    "as `hetero gallery compact` writes it; its embeddings, gallery and students are in it",
    "compact.json",
    b"hetero/compact/",
)
ADAPTER = _directory("an adapter", "as SpaceAdapter.save writes it", "adapter.json", b"hetero/adapter/")
_OF_RUNS = ("data/stage.json", "cloud/stage.json", "verification/verdict.json")
RUN = Kind(
    "the directory of a run",
    "as `hetero run` writes it, with cloud, students and bundles in it",
    lambda look: look.is_directory and any(map(look.has, _OF_RUNS)),
)
VERIFICATION = _directory(
    "the results of a verification", "as `hetero verify` writes them", "summary.json", b"hetero/verification/"
)
SHARDS_RECORD = "embeddings.json"
SHARDS = _directory(
    "a folder of embeddings",
    "as `hetero embed` writes it; it stands for a cloud model or is a gallery's vectors",
    SHARDS_RECORD,
    b"hetero/embedding-shards/",
)
CLOUD_STAGE = Kind(
    "the cloud's part of a run",
    "with embeddings alone, since the model came from elsewhere",
    lambda look: (
        look.is_directory
        and (look.has("embeddings.safetensors") or look.has(f"embeddings/{SHARDS_RECORD}"))
        and not look.has("config.json")
    ),
)
INDEX = _directory(
    "an index of images",
    'as `hetero data index` writes it; recipes take it with kind = "index"',
    "index.json",
    b"hetero/index/",
)
CORE_ML = Kind(
    "a Core ML package",
    "a part of a bundle, which is what commands take",
    lambda look: look.is_directory and look.path.suffix == ".mlpackage",
)
PHOTOS = Kind(
    "a folder of photos",
    "which training and `hetero embed` take",
    lambda look: look.is_directory and look.holds_images,
)

CALIBRATION = Kind(
    "a calibration set",
    "as `hetero retrieval make --calibration` writes it; `hetero export --calibration` takes it",
    lambda look: RETRIEVAL.fits(look) and b'\\"name\\":\\"calibration' in look.header,
)
RETRIEVAL = _tensors(
    "a retrieval set",
    "as `hetero retrieval make` writes it; `hetero export` takes it beside a model",
    b"hetero/retrieval/",
)
GOLDENS = _tensors("the golden images of a bundle", "a part of it; give the bundle", b'"golden_images":{')
EMBEDDINGS = _tensors(
    "an embeddings file",
    "as `hetero embed` writes it; it stands for a cloud model (`hetero student`) or is a gallery's vectors",
    b"hetero/embeddings/",
    b'"embeddings":{',
)
WEIGHTS = Kind(
    "the weights of a model",
    "a part of its directory, which is what commands take",
    lambda look: look.path.name == "model.safetensors" and bool(look.header),
)
ARRAY = Kind("a NumPy array", "which counts as embeddings", lambda look: look.start.startswith(b"\x93NUMPY"))
ONNX = Kind(
    "an ONNX file",
    "which `hetero student` takes as the cloud; ONNX is what an export ends with, not what it starts from",
    lambda look: bool(look.start) and look.path.suffix == ".onnx",
)
LITERT = Kind(
    "a LiteRT file", "a part of a bundle, which is what commands take", lambda look: look.start[4:8] == b"TFL3"
)
PICKLE = Kind(
    "a pickle, as torch.save writes it",
    "which is never opened here; give a model as Python code, module:attribute, to commands that take --allow-code",
    lambda look: (look.start.startswith(b"PK\3\4") and look.says(b"/data.pkl")) or look.start[:2] in _PICKLES,
)
_PICKLES = (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
IMAGE = Kind("an image", "where whole folders of them are taken", lambda look: look.is_image)
PRIVATE_KEY = _text("a private key", "as `hetero bundle key` makes it, to sign with", b"-----BEGIN PRIVATE KEY")
PUBLIC_KEY = _text("a public key", "as `hetero bundle key` makes it, to check signatures", b"-----BEGIN PUBLIC KEY")
ATTESTATION = _text("an attestation", "as `hetero verify --attest` writes it", b"{", b'"payloadType"')
DECISIONS = _text("a file of decisions", "as `hetero evaluate` writes it", b"{", b"hetero/decisions/")
MATRIX = _text("a compatibility matrix", "as `hetero evaluate` writes it", b"{", b"hetero/matrix/")
LATENCY = _text("a latency table", "as `hetero device latency` writes it", b"{", b"hetero/latency-table/")
SUMMARY = _text(
    "the summary of a verification", "as `hetero verify` writes it beside verdict.json", b"{", b"hetero/verification/"
)
VERDICT = _text("a verdict", "as `hetero verify` writes it; --baseline takes it", b"[", b'"rung"')
MANIFEST = _text("the manifest of a bundle", "a part of it; give the bundle", b"{", b"hetero/bundle/")
PREPROCESSING = _text("a preprocessing", "as preprocess.json in a bundle", b"{", b'"pad_value"', b'"antialias"')
SPACE = _text("an embedding space", "as space.json in models, galleries and bundles", b"{", b"hetero/space/")
REPORT = _text("an HTML page", "to be read in a browser", b"<!")
RECIPE = _toml("a recipe", "which `hetero run` takes", b"preprocessing")
POLICY = _toml(
    "a policy", "which `hetero verify --policy` takes", b"[gates", b"[student", b"[[exceptions", b"trusted_keys"
)
TOML = Kind("a TOML file", "as recipes, policies and search spaces are", lambda look: look.path.suffix == ".toml")
TABLE = Kind("a CSV table", "of photos or labels", lambda look: bool(look.start) and look.path.suffix == ".csv")

KINDS: tuple[Kind, ...] = (
    *(ADAPTED, MODEL, SUPERNET, SIGNED_BUNDLE, BUNDLE, GALLERY, GALLERY_STORE, ADAPTER, RUN, VERIFICATION),
    *(COMPACTION, INDEX),
    *(CLOUD_STAGE, CORE_ML, SHARDS),
    *(CALIBRATION, RETRIEVAL, GOLDENS, EMBEDDINGS, WEIGHTS, ARRAY, ONNX, LITERT, PICKLE, IMAGE),
    *(PRIVATE_KEY, PUBLIC_KEY, ATTESTATION, DECISIONS, MATRIX, LATENCY, SUMMARY, VERDICT, MANIFEST, PREPROCESSING),
    *(SPACE, REPORT, RECIPE, POLICY, TOML, TABLE, PHOTOS),
)
"""All kinds, in the order in which they are tried."""
