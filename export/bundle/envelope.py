"""DSSE envelopes: a payload with signatures, as in-toto, SLSA and sigstore exchange them. Imports no torch.

The signature covers the payload with its type, in the pre-authentication encoding of
https://github.com/secure-systems-lab/dsse; ``securesystemslib`` writes and reads them. A key is the project's Ed25519
key, and its id in an envelope is the public key in hexadecimal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from export.bundle.signing import private_key, public_key, require_package
from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json
from hetero.foreign import strict_json
from hetero.recognition.kinds import ATTESTATION
from hetero.recognition.recognise import refuse_others

_LIMIT = 4 << 20


class EnvelopeSigner:
    """A signer of payloads with one key.

    Args:
        private: An Ed25519 private key (PEM).

    Attributes:
        key: The public key in hexadecimal.

    Raises:
        InputError: If the key cannot be read or is no Ed25519 key, or ``securesystemslib`` is not installed.
    """

    def __init__(self, private: Path) -> None:
        library, opened = _library(), private_key(private)
        self.key = str(opened.public_key().public_bytes_raw().hex())
        self._signer = library.CryptoSigner(opened, library.SSlibKey.from_crypto(opened.public_key(), self.key))

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """Return an envelope as a line of JSON."""
        from securesystemslib.dsse import Envelope

        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        return f"{canonical_json(envelope.to_dict())}\n".encode()


def open_envelope(path: Path, payload_type: str, trusted: Path) -> tuple[bytes, str]:
    """Return the payload of an envelope that a trusted key signed.

    Args:
        path: The envelope's file.
        payload_type: The required type.
        trusted: The public key (PEM) that must have signed it.

    Returns:
        The payload, and the public key in hexadecimal.

    Raises:
        InputError: If there is no file, the key cannot be read, or ``securesystemslib`` is not installed.
        IntegrityError: If it is no such envelope, was changed, or the key did not sign it.
    """
    refuse_others(path, ATTESTATION)
    library, key = _library(), public_key(trusted)
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    public = library.SSlibKey(key, "ed25519", "ed25519", {"public": key})
    value = _json(path)
    try:
        envelope = Envelope.from_dict(value)
    except Exception as error:  # the library validates only by use
        raise IntegrityError(f"{path} is not a DSSE envelope: {str(error)[:200] or type(error).__name__}") from None
    if envelope.payload_type != payload_type:
        raise IntegrityError(f"{path}: expected a payload of type {payload_type}, got {envelope.payload_type!r:.200}")
    try:
        envelope.verify([public], 1)
    except VerificationError:
        raise IntegrityError(
            f"{path}: the key {key} did not sign this: it was changed after signing, or another key signed it"
        ) from None
    return envelope.payload, key


def _library() -> Any:
    """Return ``securesystemslib.signer``, whose names its own annotations do not export."""
    require_package("securesystemslib")
    import securesystemslib.signer

    return securesystemslib.signer


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"expected an attestation at {path}, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.stat().st_size > _LIMIT:
        raise IntegrityError(f"{path} takes more than the {_LIMIT} bytes of an attestation")
    value = strict_json(path.read_bytes(), what=str(path))
    if not isinstance(value, dict):
        raise IntegrityError(f"{path} is not a DSSE envelope: expected a JSON object")
    return cast("dict[str, Any]", value)
