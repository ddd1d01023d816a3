"""Nano: seven artificial languages with aligned pairs and a tiny pre-trained encoder, built in.

With nano every part of the tool runs offline and in seconds. Nano is artificial: it shows how the
tool works, never what mBERT does. languages.py, pairs.py and pretrain.py, in this order, show how
it was made. docs/nano.md reports measurements.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from tuner.data.nano.languages import LANGUAGES
from tuner.data.nano.pairs import rows
from tuner.errors import UserError

__all__ = ["LANGUAGES", "encoder_folder", "rows"]

_ENCODER = Path(__file__).parent / "encoder"


@cache
def encoder_folder() -> Path:
    """Return the folder of the pre-trained encoder and its tokenizer, in Hugging Face format.

    Raises:
        UserError: a file is missing or differs from its recorded checksum.
    """
    check_sums(_ENCODER)
    return _ENCODER


def check_sums(folder: Path) -> None:
    """Compare every file named in the folder's SHA256SUMS with its checksum.

    Raises:
        UserError: SHA256SUMS or a file it names is missing, or a checksum differs.
    """
    remedy = "install the package again, or rebuild it with: python -m tuner.data.nano.pretrain"
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        raise UserError(f"the nano encoder is incomplete: {sums} is missing", remedy)
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, name = line.split()
        file = folder / name
        if not file.is_file():
            raise UserError(f"the nano encoder is incomplete: {file} is missing", remedy)
        if hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise UserError(f"the nano encoder was changed: {file} fails its SHA-256 check", remedy)
