"""Encoders that take the language of a sequence: X-MOD for its adapters, XLM for its embeddings.

Such a sequence has one language, so both sentences of a pair must be in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.errors import UserError
from tuner.model.files import SAVE_AGAIN, raise_unloadable, texts
from tuner.study import StudyConfig
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import CROSSED

USUAL = {"zh": "zh_CN"}
"""The code that stands for a language if an encoder has several: PAWS-X and XNLI are in simplified
Chinese."""


def language_numbers(
    config: Mapping[str, object], languages: Sequence[str], name: str
) -> tuple[int, ...] | None:
    """Return an encoder's number for each of some languages; None if it takes no language.

    Args:
        config: the contents of config.json.
        languages: codes such as `de`. An encoder's own code, such as `de_DE`, matches by its first
            part if no other code begins with it, or if it is the usual one.
        name: the encoder's name, as the user gave it.

    Raises:
        UserError: the encoder does not know a language or has several codes for it, or its
            configuration does not list its languages properly.
    """
    known = _known(config, name)
    if known is None:
        return None
    own = {language: _codes(language, known) for language in languages}
    unknown = [language for language, codes in own.items() if not codes]
    if unknown:
        raise UserError(
            f"the encoder {name!r} takes every pair's language as an input and does not know "
            f"{', '.join(unknown)}",
            f"It knows {', '.join(sorted(known)) or 'none'}. Leave the others out, or use an "
            "encoder that does not take the language, such as XLM-R.",
        )
    for language, codes in own.items():
        if len(codes) > 1:
            raise UserError(
                f"the encoder {name!r} takes every pair's language as an input, and {language} "
                f"may be {' or '.join(codes)}",
                "Use one of these codes, in the study and in its data, or use an encoder that does "
                "not take the language, such as XLM-R.",
            )
    return tuple(known[own[language][0]] for language in languages)


def assumed_codes(config: Mapping[str, object], languages: Sequence[str], name: str) -> list[str]:
    """Return lines for the user about languages that were matched to the usual one of several."""
    known = _known(config, name) or {}
    return [
        f"the encoder {name} knows {' and '.join(_alike(language, known))}: {language} is read "
        f"as {USUAL[language]}"
        for language in languages
        if language in USUAL
        and len(_alike(language, known)) > 1
        and _codes(language, known) == [USUAL[language]]
    ]


def takes_one_language(config: Mapping[str, object], name: str) -> bool:
    """Return whether an encoder is given the language of a sequence, so it reads one language."""
    return _known(config, name) is not None


def check_one_language(config: Mapping[str, object], study: StudyConfig) -> None:
    """Refuse pairs in two languages if the encoder takes one language per sequence.

    Raises:
        UserError: batches or evaluation sets are cross-lingual, or the encoder does not know one
            of the study's languages.
    """
    name = study.encoder.name
    if not takes_one_language(config, name):
        return
    why = f"the encoder {name!r} takes one language per sequence, but"
    remedy = "or use an encoder that does not take the language, such as XLM-R."
    if any(trial.mix.cross_lingual > 0 for trial in study.corner_configs()):
        raise UserError(
            f"{why} mix.cross_lingual above 0 makes pairs in two languages",
            f"Fix it at 0 (--set trial.mix.cross_lingual=0, and remove it from `space:`), {remedy}",
        )
    protocol = EvaluationProtocol.of(study.languages, study.protocol, machine_translated=False)
    if study.protocol.objective in CROSSED:
        raise UserError(
            f"{why} protocol.objective {study.protocol.objective} evaluates pairs in two languages",
            f"Choose another objective, such as --set protocol.objective=mean, {remedy}",
        )
    chosen = [each.language1 for each in protocol.sets]
    languages = dict.fromkeys((*protocol.train, *protocol.targets, *chosen))
    language_numbers(config, tuple(languages), name)


def _known(config: Mapping[str, object], name: str) -> dict[str, int] | None:
    """Return the languages' numbers by the encoder's own codes; None if it takes no language.

    Raises:
        UserError: the configuration's list or map of languages is invalid.
    """
    match config.get("model_type"):
        case "xmod":
            listed = config.get("languages", ["en_XX"])
            codes = texts(listed)
            if codes != listed:
                reason = f"languages must be a list of codes, got {_shown(listed)}"
                raise_unloadable(name, "configuration", reason, SAVE_AGAIN)
            return {code: number for number, code in enumerate(codes)}
        case "xlm" | "flaubert":
            count, used = config.get("n_langs", 1), config.get("use_lang_emb", True)
            if not used or not isinstance(count, int) or count < 2:
                return None
            given = config.get("lang2id")
            found = {} if given is None else _numbers(given, count)
            if found is None:
                reason = (
                    f"lang2id must map codes to whole numbers from 0 to {count - 1}, "
                    f"got {_shown(given)}"
                )
                raise_unloadable(name, "configuration", reason, SAVE_AGAIN)
            return found
        case _:
            return None


def _numbers(given: object, count: int) -> dict[str, int] | None:
    """Return a map from codes to numbers below `count`; None if the value is not such a map."""
    if not isinstance(given, Mapping):
        return None
    numbers = {
        str(code): number
        for code, number in given.items()
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < count
    }
    return numbers if len(numbers) == len(given) else None


def _codes(language: str, known: Mapping[str, int]) -> list[str]:
    """Return the encoder's own codes that a language may stand for; only one if it is certain."""
    if language in known:
        return [language]
    alike, usual = _alike(language, known), USUAL.get(language)
    return [usual] if usual in alike else alike


def _alike(language: str, known: Mapping[str, int]) -> list[str]:
    return [code for code in known if _primary(code) == _primary(language)]


def _primary(code: str) -> str:
    return code.replace("-", "_").partition("_")[0].lower()


def _shown(value: object) -> str:
    return repr(value)[:80]
