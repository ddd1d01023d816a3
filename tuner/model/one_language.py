"""Encoders that are told which language a sequence is in: X-MOD's adapters, XLM's embeddings.

A sequence has one language there, so both sentences of a pair must be in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.errors import UserError
from tuner.protocol import Protocol
from tuner.study import StudyConfig


def language_numbers(
    config: Mapping[str, object], languages: Sequence[str], name: str
) -> tuple[int, ...] | None:
    """The number that an encoder has for each of some languages; None where it asks for none.

    Args:
        config: as in config.json.
        languages: codes such as `de`; an encoder's own, such as `de_DE`, are found by their first
            part where only one begins so.
        name: the encoder's, as the user gave it.

    Raises:
        UserError: it does not know one of them.
    """
    known = _known(config)
    if known is None:
        return None
    own = [_own(language, known) for language in languages]
    unknown = [language for language, code in zip(languages, own, strict=True) if code is None]
    if unknown:
        raise UserError(
            f"the encoder {name!r} is told the language of every pair, and does not know "
            f"{', '.join(unknown)}",
            f"It knows {', '.join(sorted(known)) or 'none'}. Leave the others out, or use an "
            "encoder that is not told the language, such as XLM-R.",
        )
    return tuple(known[code] for code in own if code is not None)


def check_one_language(config: Mapping[str, object], study: StudyConfig) -> None:
    """Check that no pair of a study is in two languages where its encoder takes one a sequence.

    Raises:
        UserError: batches or evaluation sets are cross-lingual, or the encoder does not know one
            of the study's languages.
    """
    if _known(config) is None:
        return
    name = study.encoder.name
    why = f"the encoder {name!r} takes one language a sequence, and"
    remedy = "or use an encoder that is not told the language, such as XLM-R."
    if any(trial.mix.cross_lingual > 0 for trial in study.corner_configs()):
        raise UserError(
            f"{why} mix.cross_lingual above 0 makes pairs of two languages",
            f"Fix it at 0 (--set trial.mix.cross_lingual=0, and take it out of `space:`), {remedy}",
        )
    protocol = Protocol.of(study.languages, study.protocol, machine_translated=False)
    if any(each.language1 != each.language2 for each in (*protocol.select, *protocol.oracle)):
        raise UserError(
            f"{why} protocol.objective {study.protocol.objective} evaluates pairs of two languages",
            f"Choose another objective, as with --set protocol.objective=mean, {remedy}",
        )
    chosen = [each.language1 for each in (*protocol.select, *protocol.oracle)]
    languages = dict.fromkeys((*protocol.train, *protocol.targets, *chosen))
    language_numbers(config, tuple(languages), name)


def _known(config: Mapping[str, object]) -> dict[str, int] | None:
    """The languages' numbers by the encoder's own codes."""
    match config.get("model_type"):
        case "xmod":
            listed = config.get("languages", ["en_XX"])
            assert isinstance(listed, Sequence)
            return {str(code): number for number, code in enumerate(listed)}
        case "xlm" | "flaubert":
            count, used = config.get("n_langs", 1), config.get("use_lang_emb", True)
            if not used or not isinstance(count, int) or count < 2:
                return None
            numbers = config.get("lang2id")
            return dict(numbers) if isinstance(numbers, Mapping) else {}
    return None


def _own(language: str, known: Mapping[str, int]) -> str | None:
    """The encoder's own code of a language; None where it has none, or several."""
    if language in known:
        return language
    first = [code for code in known if _primary(code) == _primary(language)]
    return first[0] if len(first) == 1 else None


def _primary(code: str) -> str:
    return code.replace("-", "_").partition("_")[0].lower()
