"""The encoder of the nano languages, and its pretraining."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer, BertModel

from tests.data.examples import understand
from tuner.data.nano import LANGUAGES, check_sums, encoder_folder, rows
from tuner.data.nano.languages import (
    LEXICONS,
    SLOTS,
    Meaning,
    Slot,
    vocabulary,
)
from tuner.data.nano.pretrain import (
    CLS,
    IGNORE,
    MASK,
    PAD,
    SEP,
    SPECIAL,
    Batch,
    PairMaker,
    pretrain,
    write_folder,
)
from tuner.errors import UserError


class TestEncoder:
    def test_it_loads_like_any_encoder_and_is_small(self) -> None:
        folder = encoder_folder()
        encoder = AutoModel.from_pretrained(folder, use_safetensors=True)
        assert isinstance(encoder, BertModel)
        assert encoder.pooler is not None
        assert encoder.config.vocab_size == len(SPECIAL) + len(vocabulary())
        stored = load_file(folder / "model.safetensors")
        assert {name: tensor.shape for name, tensor in stored.items()} == {
            name: tensor.shape for name, tensor in encoder.state_dict().items()
        }
        assert sum(file.stat().st_size for file in folder.iterdir()) < 2e6

    def test_every_word_is_one_token_and_every_pair_fits(self) -> None:
        tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
        assert len(tokenizer) == len(SPECIAL) + len(vocabulary())
        limit = AutoModel.from_pretrained(encoder_folder()).config.max_position_embeddings
        for language in LANGUAGES:
            for row in rows(language, "dev"):
                ids = tokenizer(row.sentence1, row.sentence2)["input_ids"]
                words = [*row.sentence1.split(), *row.sentence2.split()]
                assert len(ids) == len(words) + 3 <= limit
                assert tokenizer.unk_token_id not in ids
                expected = f"[CLS] {row.sentence1} [SEP] {row.sentence2} [SEP]"
                assert tokenizer.convert_ids_to_tokens(ids) == expected.split()

    def test_padding_changes_nothing(self) -> None:
        encoder = AutoModel.from_pretrained(encoder_folder()).eval()
        tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
        row = rows("en", "dev")[0]
        pair = tokenizer(row.sentence1, row.sentence2, return_tensors="pt")
        padded = tokenizer(
            row.sentence1, row.sentence2, return_tensors="pt", padding="max_length", max_length=32
        )
        with torch.no_grad():
            torch.testing.assert_close(
                encoder(**pair).pooler_output, encoder(**padded).pooler_output
            )

    def test_words_of_a_concept_are_near_each_other_and_nearer_in_near_languages(self) -> None:
        encoder = AutoModel.from_pretrained(encoder_folder())
        tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
        vectors = encoder.embeddings.word_embeddings.weight.detach()

        def similarity(language: str, shift: int) -> float:
            """Mean cosine of English words and their (shifted: wrong) translations."""
            pairs = [
                (LEXICONS["en"].content[slot][concept][0], theirs[(concept + shift) % 10][0])
                for slot, theirs in LEXICONS[language].content.items()
                for concept in range(10)
            ]
            ids = torch.tensor([tokenizer.convert_tokens_to_ids(list(pair)) for pair in pairs])
            return float(torch.cosine_similarity(vectors[ids[:, 0]], vectors[ids[:, 1]]).mean())

        right = {language: similarity(language, 0) for language in LANGUAGES[1:]}
        for language, value in right.items():
            assert value > similarity(language, 3) + 0.2, language
        near, far = (right["de"], right["fr"], right["es"]), (right["zh"], right["ja"], right["ko"])
        assert min(near) > max(far)

    def test_a_changed_or_missing_file_is_the_users_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "encoder"
        shutil.copytree(encoder_folder(), folder)
        check_sums(folder)
        weights = folder / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        with pytest.raises(UserError, match=r"model\.safetensors fails its SHA-256 check"):
            check_sums(folder)
        weights.unlink()
        with pytest.raises(UserError, match=r"model\.safetensors is missing"):
            check_sums(folder)
        (folder / "SHA256SUMS").unlink()
        with pytest.raises(UserError, match="SHA256SUMS is missing"):
            check_sums(folder)


def whole(batch: Batch) -> list[list[tuple[int, int]]]:
    """Every pair's token ids, with the words that are under the masks, and its `differs`."""
    ids = torch.where(batch.words == IGNORE, batch.input_ids, batch.words)
    return [
        [(i, d) for i, d in zip(row, differs, strict=True) if i != PAD]
        for row, differs in zip(ids.tolist(), batch.differs.tolist(), strict=True)
    ]


def read(maker: PairMaker, batch: Batch) -> list[tuple[Meaning, Meaning]]:
    """Return the meanings of the two sentences of every pair."""
    word_of = {i: word for word, i in maker.ids.items()}
    pairs = []
    for row, types in zip(whole(batch), batch.token_type_ids.tolist(), strict=True):
        ids = [i for i, _ in row]
        end = ids.index(SEP)
        assert ids[0] == CLS
        assert types[: len(ids)] == [0] * (end + 1) + [1] * (len(ids) - end - 1)
        sentences = [" ".join(word_of[i] for i in part) for part in (ids[1:end], ids[end + 1 : -1])]
        first, second = (
            next(meaning for language in LANGUAGES for meaning in understand(language, sentence))
            for sentence in sentences
        )
        pairs.append((first, second))
    return pairs


class TestPretraining:
    def test_a_batch_says_what_its_sentences_say(self) -> None:
        slot_of: dict[str, Slot] = {}  # in near languages a name has two slots: not looked at
        for content, _ in LEXICONS.values():
            for slot, concepts in content.items():
                slot_of.update({word: slot for words in concepts for word in words})
        maker = PairMaker(seed=3)
        word_of = {i: word for word, i in maker.ids.items()}
        batch = maker.batch(400, easy=False)
        assert ((batch.input_ids == MASK) == (batch.words != IGNORE)).all()
        how_many_changed = set()
        for row, pair, related in zip(whole(batch), read(maker, batch), batch.related, strict=True):
            first, second = pair
            changed = {s for s in SLOTS if getattr(first, s) != getattr(second, s)}
            how_many_changed.add(len(changed))
            assert bool(related) == (changed == {"agent", "patient"} or len(changed) <= 1)
            for i, differs in row:
                told = slot_of.get(word_of.get(i, ""))
                if differs != IGNORE and told not in {"agent", "patient"}:
                    assert differs == (told in changed)
        assert {0, 1, 2, 5} <= how_many_changed

    def test_easy_batches_hold_no_near_misses(self) -> None:
        maker = PairMaker(seed=4)
        batch = maker.batch(200, easy=True)
        same = [first == second for first, second in read(maker, batch)]
        assert same == batch.related.bool().tolist()
        assert 70 <= sum(same) <= 130

    def test_no_first_meaning_is_one_of_the_corpus(self) -> None:
        maker = PairMaker(seed=5)
        assert len(maker.corpus) == 5500  # a meaning and its near miss for every two pairs
        drawn = {first for first, _ in read(maker, maker.batch(20, easy=False))}
        again = PairMaker(seed=5)
        again.corpus = drawn
        assert drawn.isdisjoint(first for first, _ in read(again, again.batch(20, easy=False)))

    def test_the_same_seed_gives_the_same_folder(self, tmp_path: Path) -> None:
        for name, seed in (("a", 5), ("b", 5), ("c", 6)):
            lines: list[str] = []
            write_folder(pretrain(seed, steps=3, progress=lines.append), tmp_path / name)
            assert lines[-1].startswith("step     3/3  slots ")
        a, b, c = ((tmp_path / name / "SHA256SUMS").read_text() for name in "abc")
        assert a == b != c
