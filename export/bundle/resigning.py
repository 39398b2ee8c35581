"""Sign an existing bundle. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from export.bundle.manifest import SIGNATURE
from export.bundle.reading import read_bundle
from export.bundle.signing import read_signature, sign
from hetero.storage.directories import replaced_directory


def sign_again(bundle: Path, private: Path) -> str:
    """Sign an existing bundle, in one step; an earlier signature of it is replaced.

    Returns:
        The public key in hexadecimal.

    Raises:
        InputError: If there is no bundle, or the key cannot be read, or is not an Ed25519 key.
        IntegrityError: If the bundle is damaged.
    """
    _ = read_bundle(bundle).goldens
    with replaced_directory(bundle.resolve(), keep=True) as fresh:
        sign(fresh, private)
        return read_signature(fresh / SIGNATURE).public_key
