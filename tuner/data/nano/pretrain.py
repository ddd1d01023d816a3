"""Pre-training of the nano encoder: `python -m tuner.data.nano.pretrain [--seed 0] [--out FOLDER]`.

It stands in for multilingual pre-training, and shows nothing about it. The encoder sees pairs
of sentences. The language of each is drawn independently, English far more often than Korean. The
encoder learns three tasks:

- slots: for every content word, predict whether the other sentence has another concept in the same
  slot (from layer 3, so that fine-tuning finds the answers below the last layer);
- masked words: predict the 10% of words that are masked;
- related: predict from the first token whether the two meanings are related. A near miss counts as
  related; fine-tuning has to learn to tell it from a paraphrase.

No pair comes from the corpus of pairs.py: the first meaning is never in the corpus.

An encoder this small did not learn these tasks from BERT's initialisation. Four changes together
made it learn; their separate effects were not measured. Embeddings start aligned by concept. Keys
start equal to queries, so that a word attends to its counterpart from the first step. The initial
weights have a larger deviation. The curriculum begins with meanings that are equal or unrelated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from tuner.data.nano.languages import (
    CONCEPTS,
    LEXICONS,
    ROLES,
    SLOTS,
    SURFACES,
    WORDINGS,
    Meaning,
    Token,
    change_slot,
    random_meaning,
    say,
    swap_roles,
    vocabulary,
)
from tuner.data.nano.pairs import families

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, _, CLS, SEP, MASK = range(len(SPECIAL))
IGNORE = -100  # the target of a position without a loss
MAX_TOKENS = 32  # two sentences of at most 10 words and three special tokens are 23

# The relative frequency of each language, and the initial alignment of its words with concepts.
FREQUENCY = {"en": 12.0, "de": 4.0, "fr": 4.0, "es": 2.0, "zh": 0.5, "ja": 0.25, "ko": 0.25}
ALIGNMENT = {"en": 0.7, "de": 0.7, "fr": 0.7, "es": 0.6, "zh": 0.5, "ja": 0.4, "ko": 0.4}

STEPS, BATCH, PEAK_LR = 4500, 64, 1e-3
EASY_STEPS = 0.3  # share of the steps in which meanings are either the same or unrelated
NEAR_MISSES = 0.6  # share of the later pairs that differ in one slot or in the roles
ROLE_SWAPS = 0.03  # share of the near misses; so few that fine-tuning has to learn the roles
MASKED = 0.1
SLOT_LAYER, MASK_WEIGHT, RELATED_WEIGHT = 3, 0.3, 0.3
DEVIATION = 0.12  # of the initial weights; BERT's is 0.02


# --- the encoder before training ------------------------------------------------------------------


def new_encoder(seed: int) -> BertModel:
    """Build the untrained encoder: embeddings aligned by concept, keys equal to queries."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(vocabulary()),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=DEVIATION,
        pad_token_id=PAD,
    )
    encoder = BertModel(config)
    with torch.no_grad():
        embeddings = encoder.embeddings
        embeddings.word_embeddings.weight.copy_(_aligned_embeddings(config.hidden_size))
        embeddings.position_embeddings.weight.mul_(0.5)
        embeddings.token_type_embeddings.weight.mul_(0.5)
        weights = dict(encoder.named_parameters())
        for name, weight in weights.items():
            if name.endswith("key.weight"):
                weight.copy_(weights[name.replace("key", "query")])
    return encoder


def _aligned_embeddings(width: int) -> Float[Tensor, "words hidden"]:
    """Return sqrt(a) * concept + sqrt(1 - a) * noise per word, with its language's alignment a."""
    ids = word_ids()
    noise = torch.randn(len(SPECIAL) + len(ids), width)
    names = torch.randn(CONCEPTS.agent, width)
    concepts = {
        slot: names if slot in ROLES else torch.randn(getattr(CONCEPTS, slot), width)
        for slot in SLOTS
    }
    vectors = noise.clone()
    for language, a in ALIGNMENT.items():
        for slot, content in LEXICONS[language].content.items():
            for vector, words in zip(concepts[slot], content, strict=True):
                for i in (ids[word] for word in words):
                    vectors[i] = math.sqrt(a) * vector + math.sqrt(1 - a) * noise[i]
    vectors[PAD] = 0
    return DEVIATION * vectors


def word_ids() -> dict[str, int]:
    """Return the token id of every word, which is its line number in vocab.txt."""
    return {word: i for i, word in enumerate(vocabulary(), start=len(SPECIAL))}


# --- the data -------------------------------------------------------------------------------------


class Position(NamedTuple):
    """One position of the encoder's input, and its targets."""

    input_id: int
    segment: int
    word: int = IGNORE  # the token under a mask
    differs: int = IGNORE  # 1: the other sentence has another concept in this word's slot, else 0


class Batch(NamedTuple):
    """A batch of sentence pairs: the fields of `Position`; 1 in `related` for related meanings."""

    input_ids: Int[Tensor, "pairs tokens"]
    token_type_ids: Int[Tensor, "pairs tokens"]
    words: Int[Tensor, "pairs tokens"]
    differs: Int[Tensor, "pairs tokens"]
    related: Float[Tensor, " pairs"]


class PairMaker:
    """A generator of sentence pairs to learn from; the first meaning is never in the corpus."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"nano pre-training {seed}")
        self.ids = word_ids()
        everyone = chain.from_iterable(families().values())
        self.corpus = {meaning for family in everyone for meaning in family[:2]}

    def batch(self, pairs: int, easy: bool) -> Batch:
        """Draw `pairs` new pairs; `easy` leaves out the near misses."""
        rows, related = [], []
        for _ in range(pairs):
            first, second, is_related = self._meanings(easy)
            rows.append(self._positions(first, second))
            related.append(float(is_related))
        length = max(map(len, rows))
        padded = [row + [Position(PAD, 0)] * (length - len(row)) for row in rows]
        ids, segments, words, differs = torch.tensor(padded).unbind(-1)
        return Batch(ids, segments, words, differs, torch.tensor(related))

    def _positions(self, first: Meaning, second: Meaning) -> list[Position]:
        """Return [CLS] a sentence of `first` [SEP] a sentence of `second` [SEP]."""
        row = [Position(CLS, 0)]
        for segment, (own, other) in enumerate(((first, second), (second, first))):
            for word, slot in self._sentence(own):
                token = self.ids[word]
                if self.random.random() < MASKED:
                    row.append(Position(MASK, segment, word=token))
                elif slot is None:
                    row.append(Position(token, segment))
                else:
                    differs = int(getattr(own, slot) != getattr(other, slot))
                    row.append(Position(token, segment, differs=differs))
            row.append(Position(SEP, segment))
        return row

    def _meanings(self, easy: bool) -> tuple[Meaning, Meaning, bool]:
        """Draw two meanings; return them, and true if the second was derived from the first."""
        first = self._new_meaning()
        if not easy and self.random.random() < NEAR_MISSES:
            return first, self._near_miss(first), True
        if self.random.random() < 0.5:
            return first, first, True
        return first, self._new_meaning(), False

    def _new_meaning(self) -> Meaning:
        while (meaning := random_meaning(self.random)) in self.corpus:
            pass
        return meaning

    def _near_miss(self, meaning: Meaning) -> Meaning:
        if self.random.random() < ROLE_SWAPS:
            return swap_roles(meaning)
        return change_slot(meaning, self.random.choice(SLOTS), self.random)

    def _sentence(self, meaning: Meaning) -> list[Token]:
        [language] = self.random.choices(list(FREQUENCY), list(FREQUENCY.values()))
        wording = Meaning(*(self.random.randrange(WORDINGS) for _ in SLOTS))
        return say(language, meaning, self.random.choice(SURFACES), wording)


# --- the objectives -------------------------------------------------------------------------------


class Objectives(nn.Module):
    """The three losses on top of the encoder; discarded after pre-training."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.slot_head = nn.Linear(width, 1)
        self.word_head = nn.Linear(width, width)
        self.related_head = nn.Linear(width, 1)

    def forward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        output = self.encoder(
            input_ids=batch.input_ids,
            token_type_ids=batch.token_type_ids,
            attention_mask=(batch.input_ids != PAD).long(),
            output_hidden_states=True,
        )
        slots, masked = batch.differs != IGNORE, batch.words != IGNORE
        differs = self.slot_head(output.hidden_states[SLOT_LAYER][slots])[:, 0]
        embeddings = self.encoder.embeddings.word_embeddings.weight
        guesses = self.word_head(output.last_hidden_state[masked]) @ embeddings.T
        related = self.related_head(output.pooler_output)[:, 0]
        return {
            "slots": F.binary_cross_entropy_with_logits(differs, batch.differs[slots].float()),
            "masked": F.cross_entropy(guesses, batch.words[masked]),
            "related": F.binary_cross_entropy_with_logits(related, batch.related),
        }


def pretrain(seed: int, steps: int, progress: Callable[[str], None]) -> BertModel:
    """Pre-train an encoder; the result is the same for the same seed, machine and versions."""
    encoder = new_encoder(seed)
    objectives = Objectives(encoder).train()
    pairs = PairMaker(seed)
    optimizer = torch.optim.AdamW(objectives.parameters(), lr=PEAK_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=steps)
    start = last = time.monotonic()
    for step in range(1, steps + 1):
        losses = objectives(pairs.batch(BATCH, easy=step <= EASY_STEPS * steps))
        loss = losses["slots"] + MASK_WEIGHT * losses["masked"] + RELATED_WEIGHT * losses["related"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(objectives.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - last > 5 or step == steps:
            last = time.monotonic()
            left = (last - start) / step * (steps - step)
            shown = "  ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            progress(f"step {step:5d}/{steps}  {shown}  {left:4.0f} s left")
    return encoder


def write_folder(encoder: BertModel, folder: Path) -> None:
    """Write the encoder and its tokenizer in Hugging Face format, with a SHA256SUMS file."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *vocabulary()]) + "\n", "utf-8")
    tokenizer = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": MAX_TOKENS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", "utf-8")
    files = ("config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt")
    sums = [f"{hashlib.sha256((folder / f).read_bytes()).hexdigest()}  {f}\n" for f in files]
    (folder / "SHA256SUMS").write_text("".join(sums), "utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tuner.data.nano.pretrain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "encoder")
    args = parser.parse_args()
    torch.set_num_threads(1)  # for reproducible results; more threads are no faster at this size
    encoder = pretrain(args.seed, STEPS, lambda line: print(line, flush=True))
    write_folder(encoder, args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
