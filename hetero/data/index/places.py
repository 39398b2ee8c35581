"""Where files lie: on a disk or in any store that fsspec knows (``s3://``, ``gs://``, ``memory://`` ...)."""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from hetero.data.sources.walk import reserved
from hetero.errors import InputError


@runtime_checkable
class ByteFile(Protocol):
    """A file that is open to read bytes, of a disk or of a store."""

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes; all for -1."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset from the start, or from the end if ``whence`` is 2."""
        ...

    def tell(self) -> int:
        """Return the offset."""
        ...


_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000
_MAGIC = re.compile(r"[*?\[]")


def is_remote(path: str) -> bool:
    """Return True if a path names a store; ``file://`` is the local disk."""
    return "://" in path and not path.startswith(("file://", "local://"))


def local_path(path: str) -> Path:
    """Return a local path, which may be written as ``file://``."""
    return Path(re.sub(r"^(file|local)://", "", path)).expanduser()


def url_path(url: str) -> Path:
    """Return a URL as a path, to name files below it; :func:`url_of` is its inverse."""
    return Path(url)


def url_of(path: Path) -> str:
    """Return the URL that :func:`url_path` made a path of, or that stands at its end."""
    text = path.as_posix()
    start = text.rfind("/", 0, text.rfind(":/")) + 1
    return text[start:].replace(":/", "://", 1)


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec that a URL names, and the path in it.

    Raises:
        InputError: When no package for this store is installed, or it cannot be reached.
    """
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{url} names a store, which needs fsspec: pip install hetero[data]") from None
    try:
        return cast(Any, fsspec).core.url_to_fs(url)
    except Exception as error:  # each store has errors of its own
        raise InputError(f"{url}: the store cannot be opened: {error}") from None


def files_of(pattern: str, suffixes: Sequence[str]) -> list[str]:
    """Return the files that a pattern names, or that lie below a folder.

    Args:
        pattern: A path or URL with braces (``{000..146}``, ``{train,test}``) and wildcards (``*``, ``**``), or a
            folder.
        suffixes: Extensions of the files to take from a folder.

    Returns:
        Paths or URLs in order, each once.

    Raises:
        InputError: When a file that is named does not exist, there is none, or they lie in several places.
    """
    files: list[str] = []
    missing: list[str] = []
    for path in dict.fromkeys(_expanded(pattern)):
        some = sorted(_remote_files(path, suffixes) if is_remote(path) else _local_files(path, suffixes))
        files += some
        missing += [] if some else [path]
    if missing:
        kinds = ", ".join(f"*{suffix}" for suffix in suffixes)
        raise InputError(
            f"expected files {kinds}, a pattern of them ('shards/train-{{000..009}}.tar', 's3://bucket/*.tar') or a "
            "folder that holds some; found none at:",
            [*missing[:10], *([f"... and {len(missing) - 10} more"] if len(missing) > 10 else [])],
        )
    if len({file.partition("://")[0] if is_remote(file) else "" for file in files}) > 1:
        raise InputError(f"expected files in one store or on the disk, got some of each: {pattern}")
    return list(dict.fromkeys(files))


def _local_files(path: str, suffixes: Sequence[str]) -> list[str]:
    place = local_path(path)
    if place.is_dir():
        return [str(file.absolute()) for file in place.rglob("*") if _is_data(file.name, suffixes) and file.is_file()]
    if place.is_file():
        return [str(place.absolute())]
    names = glob.glob(str(place), recursive=True) if _MAGIC.search(str(place)) else []  # noqa: PTH207 - absolute too
    return [str(Path(name).absolute()) for name in names if Path(name).is_file()]


def _remote_files(url: str, suffixes: Sequence[str]) -> list[str]:
    fs, path = filesystem(url)
    with store_errors(url):
        if _MAGIC.search(path):
            files: list[str] = fs.glob(path)
        elif fs.isdir(path):
            files = [file for file in fs.find(path) if _is_data(file.rpartition("/")[2], suffixes)]
        else:
            files = [path] if fs.exists(path) else []
        return [fs.unstrip_protocol(file) for file in files]


def _is_data(name: str, suffixes: Sequence[str]) -> bool:
    """Return True for a file of the data in a folder; datasets keeps what it computed beside them."""
    computed = name.startswith("cache-") and name.endswith(".arrow")
    return name.endswith(tuple(suffixes)) and not reserved(name) and not computed


def _expanded(pattern: str) -> Iterator[str]:
    """Expand the braces of a pattern."""
    match = _BRACES.search(pattern)
    if not match:
        yield pattern
        return
    if span := _RANGE.fullmatch(match[1]):
        first, last = int(span[1]), int(span[2])
        if not first <= last < first + _MOST:
            raise InputError(f"{pattern}: expected an ascending range of at most {_MOST:,} in braces, got {match[0]}")
        choices = [f"{number:0{len(span[1])}}" for number in range(first, last + 1)]
    else:
        choices = match[1].split(",")
    for choice in choices:
        yield from _expanded(pattern[: match.start()] + choice + pattern[match.end() :])


@contextlib.contextmanager
def store_errors(url: str) -> Generator[None]:
    """Turn whatever a store raises into one error that names the URL.

    Raises:
        InputError: Instead of any other error.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each store has errors of its own
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{url}: {reason}") from None


@dataclass(frozen=True)
class Stamp:
    """What a store says of a file: its size, and what changes with its content.

    Attributes:
        size: Bytes.
        text: ``etag ...`` or ``modified ...``; empty when the store says nothing but the size.
    """

    size: int
    text: str

    @classmethod
    def of(cls, info: dict[str, Any]) -> Stamp:
        """Read the description that fsspec gives of a file."""
        for key in ("ETag", "etag", "md5Hash", "content_md5", "contentHash"):
            if info.get(key):
                return cls(int(info["size"]), f"etag {info[key]}")
        for key in ("LastModified", "last_modified", "updated", "mtime", "modified", "created"):
            if info.get(key):
                return cls(int(info["size"]), f"modified {info[key]}")
        return cls(int(info["size"]), "")


def remote_stamp(url: str) -> Stamp:
    """Ask a store for a file's stamp.

    Raises:
        InputError: When there is no such file, or the store does not answer.
    """
    fs, path = filesystem(url)
    with store_errors(url):
        return Stamp.of(fs.info(path))


@contextlib.contextmanager
def opened(path: str) -> Generator[ByteFile]:
    """Open a file or a URL to read and seek in it.

    Raises:
        InputError: When it cannot be opened.
    """
    if is_remote(path):
        fs, name = filesystem(path)
        with store_errors(path):
            stream = fs.open(name, "rb")
    else:
        try:
            stream = Path(path).open("rb", buffering=1 << 18)  # noqa: SIM115 - closed below
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
    with stream:
        yield stream
