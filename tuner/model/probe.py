"""The probe: it checks on a few pairs of the study that an encoder computes what training needs.

Training joins pairs into blocks, pads them, cuts the vocabulary, packs blocks into one sequence,
and takes out lower layers and the pooler. All this is exact for an encoder built like BERT, but not
for every encoder that transformers loads: some mix tokens with padding, or pairs with one another,
and some read from left to right. So the probe runs transformers' own model on single pairs, and
ours beside it, without dropout and in float64 (or float32 above `LARGE` parameters).
`tuner.model.verdict` remembers the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from tuner.data.hub import cached_folder
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import UserError
from tuner.model.architectures import ENCODERS, MIXES
from tuner.model.chosen_pairs import PAIRS, ChosenPairs
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder, quiet
from tuner.model.packing import PaddedPairs, arguments_of
from tuner.model.shape import source_of
from tuner.model.verdict import Verdict, key_of, key_of_files, recall, remember
from tuner.study.parts import EncoderConfig
from tuner.study.trial import FusionConfig, HeadConfig

LONG_FIRST = range(PAIRS)[::-1]
"""The longest pair comes first, since a short one turns BigBird's sparse attention off for good."""
WIDER = 5
"""Tokens of padding added to the longest pair."""
LARGE = 500_000_000
"""Parameters above which the probe uses float32: in float64 they would take 4 GB and more."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest difference that rounding explains, relative to the largest number.

Some architectures round to float32 internally, whatever type they run in. Mixing tokens or pairs
makes a difference of 0.1 and more.
"""
CAUSAL_TOLERANCE = 1e-6
"""The first token sees the others if its state changes by more than this; in a causal model the
change is zero."""
NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "not enough memory",
)
"""Lower-case parts of out-of-memory messages: not every allocator has an exception of its own."""

NOT_FINITE = "its hidden states are NaN or infinite"

States = list[Float[Tensor, "_ _ _"]]
"""Hidden states by layer; the last is the encoder's output."""


class _Refusal(Exception):
    """The reason why the encoder cannot be trained."""


@dataclass(frozen=True)
class _Alone:
    """The output of transformers' own model for one pair."""

    states: States
    pooled: Float[Tensor, "1 hidden"] | None


def cached_probe(
    config: EncoderConfig,
    whole: PretrainedEncoder,
    corpus: TokenisedCorpus,
    cut: PretrainedEncoder,
    renumbered: TokenisedCorpus,
    languages: Sequence[str],
) -> Verdict:
    """Return the verdict of `probe`, from the cache if the encoder was tried before.

    `config` says where the encoder was loaded from; the other arguments are those of `probe`.
    """
    template = corpus.template
    types = None if template.types is None else template.types.tolist()
    joined = [template.special_ids.tolist(), template.sentence1, template.sentence2, types]
    key = key_of(whole.checksum, corpus.max_length, corpus.pad_id, joined, corpus.language_ids)
    verdict = recall(key)
    if verdict is None:
        verdict = probe(whole, corpus, cut, renumbered, languages)
        remember(key, verdict)
    source = Path(source_of(config))
    folder = source if source.is_dir() else cached_folder(config.name, config.revision)
    if folder is not None and (files := key_of_files(folder, config.max_length)) is not None:
        remember(files, verdict)
    return verdict


def probe(
    whole: PretrainedEncoder,
    corpus: TokenisedCorpus,
    cut: PretrainedEncoder,
    renumbered: TokenisedCorpus,
    languages: Sequence[str],
) -> Verdict:
    """Try an encoder on a few pairs of training.

    Args:
        whole: the encoder as it was loaded.
        corpus: the study's pairs, with token ids of `whole`.
        cut: the encoder as it is trained.
        renumbered: the same pairs, with token ids of `cut`.
        languages: the languages that are trained on.

    Raises:
        UserError: the encoder cannot be run. This is not a verdict to remember, since the reason
            may be a lack of memory.
    """
    dtype = torch.float64 if whole.shape.parameters <= LARGE else torch.float32
    chosen = ChosenPairs.of(corpus, languages)
    try:
        with torch.inference_mode(), quiet():
            singles, unfused = _expected(whole, chosen, corpus, dtype)
            return _compared(cut, chosen, renumbered, singles, unfused, dtype)
    except _Refusal as refusal:
        return Verdict(refused=str(refusal))
    except Exception as error:  # unknown architectures may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        if _is_out_of_memory(error):
            raise UserError(
                f"memory ran out while the encoder {whole.name!r} was tried on a few pairs: "
                f"{reason}",
                "Free memory, use a machine that has more, or use a smaller encoder.",
            ) from error
        raise UserError(
            f"the encoder {whole.name!r} cannot be trained here: it cannot be run on pairs: "
            f"{reason}",
            ENCODERS,
        ) from error


def _expected(
    encoder: PretrainedEncoder, chosen: ChosenPairs, corpus: TokenisedCorpus, dtype: torch.dtype
) -> tuple[list[_Alone], str]:
    """Return the outputs of transformers' own model for single pairs, and why layers cannot fuse.

    The reason is empty if the layers can be fused.

    Raises:
        _Refusal: the states are NaN or infinite, differ from run to run, or are not one per token;
            or the first token does not see the others.
    """
    model = encoder.build().to(dtype).eval()  # type: ignore[arg-type]
    singles: dict[int, _Alone] = {}
    unfused = ""
    for place in LONG_FIRST:
        block = chosen.block(corpus, [place])
        single = _run(model, block, encoder)
        again = _run(model, block, encoder)
        if not torch.isfinite(single.states[-1]).all():
            raise _Refusal(NOT_FINITE)
        if not _off(again.states[-1], single.states[-1]) <= TOLERANCE[dtype]:
            raise _Refusal("its result differs from run to run on the same pair")
        shape = (*block.shape, encoder.hidden_size)
        if single.states[-1].shape != shape:
            raise _Refusal(
                f"it gives states of shape {tuple(single.states[-1].shape)} for {block.shape[1]} "
                f"tokens of hidden size {encoder.hidden_size}"
            )
        shapes = {tuple(state.shape) for state in single.states}
        if len(single.states) != encoder.num_layers + 1:
            unfused = (
                f"it gives {len(single.states)} hidden states for {encoder.num_layers} layers, "
                "so a layer's number does not identify a state"
            )
        elif shapes != {shape}:
            unfused = f"its hidden states differ in shape: {sorted(shapes)}"
        singles[place] = single
    others = block.input_ids.clone()
    others[:, 1:] = others[:, :1]
    changed = _run(model, replace(block, input_ids=others), encoder).states[-1]
    if _off(changed[:, 0], single.states[-1][:, 0]) <= CAUSAL_TOLERANCE:
        raise _Refusal("its first token, which the head reads, does not see the tokens after it")
    return [singles[place] for place in range(PAIRS)], unfused


def _compared(
    encoder: PretrainedEncoder,
    chosen: ChosenPairs,
    corpus: TokenisedCorpus,
    singles: list[_Alone],
    unfused: str,
    dtype: torch.dtype,
) -> Verdict:
    """Compare our model with them: single pairs, blocks, more padding, other companions, packed.

    Raises:
        _Refusal: a state differs, or the logits have a different shape.
    """
    model = PairClassifier(encoder, FusionConfig(), HeadConfig(), corpus.num_labels)
    model.to(dtype).eval()
    all_layers = not unfused
    check = _Check(singles, TOLERANCE[dtype])
    everyone = list(range(PAIRS))
    for place in LONG_FIRST:
        states = model.encode([chosen.block(corpus, [place])], all_layers)
        check(states, [[place]], "it is not computed as transformers computes it")
    if encoder.has_pooler:
        for single in singles:
            pooled = model.pooled(single.states[-1][:, :1])
            if single.pooled is None or not _off(pooled, single.pooled) <= TOLERANCE[dtype]:
                raise _Refusal("its pooler reads something other than the first token's last state")
    width = min(chosen.block(corpus, everyone).shape[1] + WIDER, corpus.max_length)
    for some, padded_to in (
        (everyone, 0),
        (everyone[::-1], 0),
        (everyone[:2], 0),
        (everyone, width),
    ):
        states = model.encode([chosen.block(corpus, some, padded_to)], all_layers)
        check(states, [some], MIXES)
    groups = [everyone[2:], everyone[:2]]
    blocks = [chosen.block(corpus, some) for some in groups]
    check(model.encode(blocks, all_layers), groups, f"{MIXES} (packed)")
    logits = model(blocks)
    expected = (PAIRS, corpus.num_labels)
    if logits.shape != expected:
        raise _Refusal(f"its logits have shape {tuple(logits.shape)}, not {expected}")
    return Verdict(unfused=unfused, packed=model.encode.packs)


@dataclass(frozen=True)
class _Check:
    """Compares states of blocks with those of single pairs, token by token."""

    singles: list[_Alone]
    tolerance: float

    def __call__(self, blocks: list[States], groups: list[list[int]], complaint: str) -> None:
        for states, group in zip(blocks, groups, strict=True):
            for row, place in enumerate(group):
                single = self.singles[place].states
                alone = single if len(states) > 1 else single[-1:]
                for found, expected in zip(states, alone, strict=True):
                    own = found[row, : expected.shape[1]]
                    if not torch.isfinite(own).all():
                        raise _Refusal(NOT_FINITE)
                    off = _off(own, expected[0])
                    if not off <= self.tolerance:
                        raise _Refusal(f"{complaint}: off by {off:.2g}")


def _run(model: PreTrainedModel, block: PaddedPairs, encoder: PretrainedEncoder) -> _Alone:
    """Run transformers' own model, called as its documentation says."""
    output = model(
        input_ids=block.input_ids,
        attention_mask=block.attention_mask,
        output_hidden_states=True,
        **arguments_of(model, block),
    )
    pooled = output.get("pooler_output") if encoder.has_pooler else None
    states = [*(output.get("hidden_states") or (None,))[:-1], output[0]]
    return _Alone(states, pooled)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(part in str(error).lower() for part in NO_MEMORY)


def _off(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative to the largest expected number."""
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
