"""The architectures that cannot be trained here, recognised by their configuration, and why.

`tuner.model.probe` tries what an architecture computes on a few pairs. This table only gives the
same answer earlier, without loading anything. `docs/encoders.md` lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.errors import UserError

ENCODERS = "Use a masked language model such as BERT, XLM-R or DistilBERT (docs/encoders.md)."
MIXES = "its result for a pair depends on the padding or on the pairs beside it"
IMAGES = "it reads images beside text"
DECODER = "it has a decoder"
REFUSED = {
    "bart": DECODER,
    "canine": "it reads characters by their code points and has no table of tokens",
    "convbert": f"{MIXES}: its convolutions read the padding",
    "fnet": f"{MIXES}: it mixes tokens by Fourier transforms and takes no mask",
    "funnel": f"{MIXES}: it pools neighbouring tokens, padding among them",
    "layoutlm": "it reads where words stand on a page, and a pair of sentences has no page",
    "mbart": DECODER,
    "modernvbert": IMAGES,
    "mra": "it takes only pairs whose tokens are a multiple of 32, padding included, in float32",
    "mvp": DECODER,
    "neomme": IMAGES,
    "nystromformer": f"{MIXES}: its landmarks are means over the padding too",
    "perceiver": "its hidden states are latent ones, not one for each token",
    "reformer": f"{MIXES}: it hashes tokens at random and takes them in chunks",
    "roc_bert": "it reads the shape and the sound of each character beside the token",
    "tapas": "it reads tables: seven kinds of token types",
    "ultravbert": IMAGES,
    "xlnet": "it is pre-trained to predict tokens in any order and puts its classifying token last,"
    " on pairs padded on the left; the head reads the first token",
    "yoso": f"{MIXES}: it samples attention by random hashes",
}
"""The reasons by model type. A test that runs the architecture proves each line, if it can run."""


def check_architecture(config: Mapping[str, object], name: str) -> None:
    """Refuse an encoder whose configuration alone shows that it cannot be trained here.

    Args:
        config: the contents of config.json, with or without defaults.
        name: the encoder's name, as the user gave it.

    Raises:
        UserError: the architecture is refused, or it reads tokens from left to right.
    """
    kind = config.get("model_type")
    if isinstance(kind, str) and kind in REFUSED:
        raise UserError(
            f"{name!r} is a model of type {kind}, which cannot be trained here: {REFUSED[kind]}",
            ENCODERS,
        )
    for key in ("is_decoder", "causal"):
        if config.get(key) is True:
            raise UserError(
                f'{name!r} is a decoder ("{key}": true in its config.json): its first token, which '
                "the head reads, cannot see the others",
                f'Use an encoder that reads both ways. If this one does, set "{key}" to false in '
                "its config.json.",
            )
    if kind == "big_bird" and config.get("attention_type", "block_sparse") != "original_full":
        raise UserError(
            f"{name!r} is a BigBird with block-sparse attention, which cannot be trained here: "
            f"{MIXES}",
            'Set "attention_type" to "original_full" in the config.json of a copy of it, and '
            "encoder.name to the copy's folder.",
        )
