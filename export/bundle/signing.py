"""Ed25519 signatures over a bundle's manifest, which names every file by its digest. Imports no torch.

``manifest.sig`` is JSON: the algorithm, the public key and the signature, both in hexadecimal. The key inside proves
only that the file is intact; only a key that the reader already trusts identifies the signer.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, cast

from export.bundle.manifest import MANIFEST, SIGNATURE
from hetero.errors import InputError, IntegrityError
from hetero.files import write_bytes, write_json
from hetero.foreign import strict_json
from hetero.recognition.kinds import PRIVATE_KEY, PUBLIC_KEY
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse, record

_LIMIT = 4096

Trust = Literal["unsigned", "signed", "trusted"]
"""No signature; a valid one of an unknown key; a valid one of a trusted key."""


@record
class _Signature:
    public_key: str
    signature: str
    algorithm: Literal["ed25519"] = "ed25519"


def generate_key(private: Path, public: Path) -> str:
    """Make a key pair.

    Args:
        private: Path for the private key (PEM, readable by its owner only); keep it out of repositories.
        public: Path for the public key (PEM).

    Returns:
        The public key in hexadecimal.

    Raises:
        InputError: If one of the files exists: keys are never overwritten.
    """
    require_package("cryptography")
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if existing := [str(path) for path in (private, public) if path.exists()]:
        raise InputError(f"{' and '.join(existing)} exist; a key is never overwritten: choose other names")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    write_bytes(private, secret, mode=0o600)
    public_half = key.public_key()
    write_bytes(public, public_half.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return _raw(public_half)


def sign(bundle: Path, private: Path) -> None:
    """Write ``manifest.sig`` for the current manifest.

    Raises:
        InputError: If the key cannot be read, or is not an Ed25519 key.
    """
    key = private_key(private)
    signature = key.sign((bundle / MANIFEST).read_bytes())
    entry = _Signature(_raw(key.public_key()), signature.hex())
    write_json(bundle / SIGNATURE, vars(entry))


def private_key(path: Path) -> Any:
    """Return an ``Ed25519PrivateKey`` from a file (PEM).

    Raises:
        InputError: If it cannot be read, is no Ed25519 key, or ``cryptography`` is not installed.
    """
    refuse_others(path, PRIVATE_KEY)
    require_package("cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} cannot be read as a private key without a password: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} is not an Ed25519 key; make one with `hetero bundle key`")
    return key


def check_signature(bundle: Path, trusted: Path | None = None) -> tuple[Trust, str]:
    """Check a bundle's signature.

    Args:
        bundle: Its directory.
        trusted: The public key (PEM) that the bundle must be signed with.

    Returns:
        The trust in the signature, and the public key in hexadecimal (empty for none).

    Raises:
        IntegrityError: If the signature is damaged, does not match the manifest, or is not of the trusted key; or if
            a key is given and there is no signature.
        InputError: If the trusted key cannot be read, or ``cryptography`` is not installed.
    """
    return signed_by(bundle, () if trusted is None else (public_key(trusted),))


def signed_by(bundle: Path, trusted: Collection[str] = ()) -> tuple[Trust, str]:
    """Check like :func:`check_signature`, against hexadecimal keys; without any, a signature is optional."""
    path, expected = bundle / SIGNATURE, " or ".join(trusted)
    if not path.exists():
        if trusted:
            raise IntegrityError(
                f"{bundle} is not signed: it has no {SIGNATURE}, and a signature by {expected} is asked for"
            )
        return "unsigned", ""
    entry = read_signature(path)
    _verify(bundle, entry)
    if not trusted:
        return "signed", entry.public_key
    if entry.public_key not in trusted:
        raise IntegrityError(f"{bundle} is signed by the key {entry.public_key}, not by the trusted key {expected}")
    return "trusted", entry.public_key


def read_signature(path: Path) -> _Signature:
    """Read and check ``manifest.sig`` without any cryptography.

    Raises:
        IntegrityError: If it is malformed.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LIMIT:
        raise IntegrityError(f"{SIGNATURE} is not a regular file of at most {_LIMIT} bytes")
    value = cast("object", strict_json(path.read_bytes(), what=SIGNATURE))
    entry = parse(_Signature, value, what=SIGNATURE, error=IntegrityError)
    if not is_key(entry.public_key) or not _is_hex(entry.signature, 64):
        raise IntegrityError(f"{SIGNATURE}: expected a key of 32 bytes and a signature of 64 in hexadecimal")
    return entry


def _verify(bundle: Path, entry: _Signature) -> None:
    require_package("cryptography")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry.public_key))
    try:
        key.verify(bytes.fromhex(entry.signature), (bundle / MANIFEST).read_bytes())
    except InvalidSignature:
        raise IntegrityError(
            f"{bundle}: the signature in {SIGNATURE} does not fit {MANIFEST}: one of them was changed after signing"
        ) from None


def public_key(path: Path) -> str:
    """Return a public key (PEM) in hexadecimal.

    Raises:
        InputError: If it cannot be read, is no Ed25519 key, or ``cryptography`` is not installed.
    """
    refuse_others(path, PUBLIC_KEY)
    require_package("cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} cannot be read as a public key: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path} is not an Ed25519 public key")
    return _raw(key)


def _raw(key: Any) -> str:
    return key.public_bytes_raw().hex()


def is_key(text: str) -> bool:
    """Return True if a text is a public key in hexadecimal."""
    return _is_hex(text, 32)


def _is_hex(text: str, size: int) -> bool:
    return len(text) == 2 * size and all(character in "0123456789abcdef" for character in text)


def require_package(name: str) -> None:
    """Refuse to go on without a package that signatures need.

    Raises:
        InputError: If it is not installed.
    """
    from importlib.util import find_spec

    if find_spec(name) is None:
        raise InputError(f"signatures need the package {name}; install with: pip install 'hetero[signing]'")
