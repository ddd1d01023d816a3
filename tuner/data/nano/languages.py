"""The seven artificial languages: their world, their words and their grammar.

Nano is artificial. Its languages borrow the codes, the sound and the word order of English, German,
French, Spanish, Chinese, Japanese and Korean, and nothing else. The words are random, and one that
exists in the real language has another meaning here. They exist so that the whole tool runs in
seconds on a laptop. They show how the tool works, never what mBERT does. All words are lower-case
ASCII letters, so that a BERT tokenizer keeps each of them whole.

The world. A `Meaning` fills six slots: an agent does an action to a patient, with an instrument, at
a place, at a time. Every concept has two words in every language, its two wordings.

The grammar. A meaning has six `SURFACES`: active or passive, with the place and the time in the
first, a middle or the last position that the language allows.

Near and far languages. en, de, fr and es share their names and, except for the German verb-second
rule, their word order. zh has its own names and puts place, time and instrument before the action.
ja and ko put the action last and fuse a name with its case: a name is one word as agent and another
as patient.
"""

from __future__ import annotations

from itertools import chain, product
from random import Random
from typing import Literal, NamedTuple, cast, get_args

LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "es", "zh", "ja", "ko")
NEAR = frozenset({"en", "de", "fr", "es"})  # en and its family; the others are far from it

# --- the world ------------------------------------------------------------------------------------

Slot = Literal["agent", "action", "patient", "instrument", "place", "time"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
ROLES: frozenset[Slot] = frozenset({"agent", "patient"})  # the two slots that take a name
WORDINGS = 2  # words for one concept in one language


class Meaning(NamedTuple):
    """The concepts of a meaning: an index per slot, in the order of `SLOTS`."""

    agent: int
    action: int
    patient: int
    instrument: int
    place: int
    time: int


CONCEPTS = Meaning(agent=20, action=16, patient=20, instrument=16, place=16, time=10)  # how many


def random_meaning(random: Random) -> Meaning:
    """Draw a meaning uniformly; agent and patient are different."""
    agent, patient = random.sample(range(CONCEPTS.agent), 2)
    drawn = Meaning(*(random.randrange(concepts) for concepts in CONCEPTS))
    return drawn._replace(agent=agent, patient=patient)


def swap_roles(meaning: Meaning) -> Meaning:
    """Exchange agent and patient: the same words, another meaning."""
    return meaning._replace(agent=meaning.patient, patient=meaning.agent)


def change_slot(meaning: Meaning, slot: Slot, random: Random) -> Meaning:
    """Replace the concept in `slot`; a new agent or patient is someone not yet in the meaning."""
    taken = {meaning.agent, meaning.patient} if slot in ROLES else {getattr(meaning, slot)}
    free = [concept for concept in range(getattr(CONCEPTS, slot)) if concept not in taken]
    return meaning._replace(**{slot: random.choice(free)})


# --- the grammar ----------------------------------------------------------------------------------

Voice = Literal["active", "passive"]
Position = Literal["first", "middle", "last"]  # of the place and the time


class Surface(NamedTuple):
    """One way to express a meaning: its voice, and the position of place and time."""

    voice: Voice
    position: Position


SURFACES = tuple(Surface(*ways) for ways in product(get_args(Voice), get_args(Position)))

# Lower case: a slot's word. Upper case: a particle, one word in each language.
_Grammar = dict[Surface, str]

SVO: _Grammar = {
    Surface("active", "first"): "AT place time agent action patient WITH instrument",
    Surface("active", "middle"): "agent AT place time action patient WITH instrument",
    Surface("active", "last"): "agent action patient WITH instrument AT place time",
    Surface("passive", "first"): "AT place time patient WAS action BY agent WITH instrument",
    Surface("passive", "middle"): "patient WAS AT place time action BY agent WITH instrument",
    Surface("passive", "last"): "patient WAS action BY agent WITH instrument AT place time",
}
VERB_SECOND: _Grammar = {
    Surface("active", "first"): "time AT place action agent patient WITH instrument",
    Surface("active", "middle"): "agent action time AT place patient WITH instrument",
    Surface("active", "last"): "agent action patient WITH instrument time AT place",
    Surface("passive", "first"): "time AT place WAS patient BY agent WITH instrument action",
    Surface("passive", "middle"): "patient WAS time AT place BY agent WITH instrument action",
    Surface("passive", "last"): "patient WAS BY agent WITH instrument time AT place action",
}
PREVERBAL: _Grammar = {
    Surface("active", "first"): "time AT place agent WITH instrument action patient",
    Surface("active", "middle"): "agent time AT place WITH instrument action patient",
    Surface("active", "last"): "agent WITH instrument time AT place action patient",
    Surface("passive", "first"): "time AT place patient BY agent WITH instrument action",
    Surface("passive", "middle"): "patient time AT place BY agent WITH instrument action",
    Surface("passive", "last"): "patient BY agent WITH instrument time AT place action",
}
SOV: _Grammar = {
    Surface("active", "first"): "time place AT agent instrument WITH patient action",
    Surface("active", "middle"): "agent time place AT instrument WITH patient action",
    Surface("active", "last"): "agent patient instrument WITH time place AT action",
    Surface("passive", "first"): "time place AT patient agent instrument WITH action WAS",
    Surface("passive", "middle"): "patient time place AT agent instrument WITH action WAS",
    Surface("passive", "last"): "patient agent instrument WITH time place AT action WAS",
}
GRAMMAR: dict[str, _Grammar] = {
    "en": SVO,
    "de": VERB_SECOND,
    "fr": SVO,
    "es": SVO,
    "zh": PREVERBAL,
    "ja": SOV,
    "ko": SOV,
}
PARTICLES = ("AT", "WITH", "BY", "WAS")

# --- the words ------------------------------------------------------------------------------------

# For each language: the onsets and vowels of its syllables, the endings of a stem ("-": it ends on
# its vowel), and the number of syllables in a stem.
_SOUNDS: dict[str, tuple[str, str, str, int]] = {
    "name": ("b d g k l m n p r s t v", "a e i o u", "- - - l n r", 2),
    "en": ("b bl d dr f gr h l m n p r sl st t th w", "a e i o oo ea", "ck ld ll m nd rk sh", 2),
    "de": ("b br d fl g h k kl l m pf r schw st w z", "a ei au ie o u", "ch lt nd ng rg tz", 2),
    "fr": ("b br ch d f gl j l m n p pr s tr v", "a ai eu i oi ou", "c l r t", 2),
    "es": ("b c d f g l ll m n p r s t v", "a e i o", "- - n r s", 2),
    "zh": ("b d g h j l m n q sh t x y zh", "a ai an ang ao e en i ian iao ong u", "-", 2),
    "ja": ("h k ky m n r s sh t y", "a e i o u", "-", 3),
    "ko": ("b ch d g h j k m n p s", "a ae eo eu i o u yeo", "- k l m n ng", 2),
}
# The suffix of a stem: the typical ending of a word class, or the case of a name.
_SUFFIXES: dict[tuple[str, Slot], str] = {
    ("en", "action"): "ed",
    ("en", "time"): "day",
    ("de", "action"): "te",
    ("de", "instrument"): "er",
    ("fr", "action"): "ait",
    ("fr", "instrument"): "eur",
    ("es", "action"): "ba",
    ("es", "instrument"): "dor",
    ("ja", "agent"): "ga",
    ("ja", "patient"): "wo",
    ("ja", "action"): "ta",
    ("ko", "agent"): "ga",
    ("ko", "patient"): "reul",
    ("ko", "action"): "da",
}


class Lexicon(NamedTuple):
    """The words of one language."""

    content: dict[Slot, tuple[tuple[str, ...], ...]]  # slot, concept, wording
    particles: dict[str, str]


def _invent(sounds: str, random: Random, taken: set[str]) -> str:
    """Invent a stem that sounds like a language and that no language has yet."""
    onsets, vowels, codas, syllables = _SOUNDS[sounds]
    while True:
        parts = [*[onsets, vowels] * syllables, codas]
        stem = "".join(random.choice(part.split()) for part in parts).removesuffix("-")
        if stem not in taken:
            taken.add(stem)
            return stem


def _make_lexicons() -> dict[str, Lexicon]:
    random, taken = Random("nano words"), set[str]()

    def stems(sounds: str, concepts: int) -> list[list[str]]:
        return [[_invent(sounds, random, taken) for _ in range(WORDINGS)] for _ in range(concepts)]

    shared_names = stems("name", CONCEPTS.agent)
    lexicons = {}
    for language in LANGUAGES:
        names = shared_names if language in NEAR else stems(language, CONCEPTS.agent)
        content = {}
        for slot in SLOTS:
            concepts = names if slot in ROLES else stems(language, getattr(CONCEPTS, slot))
            suffix = _SUFFIXES.get((language, slot), "")
            content[slot] = tuple(tuple(stem + suffix for stem in words) for words in concepts)
        used = " ".join(GRAMMAR[language].values()).split()
        particles = {p: _invent(language, random, taken) for p in PARTICLES if p in used}
        lexicons[language] = Lexicon(content, particles)
    return lexicons


LEXICONS = _make_lexicons()


# --- sentences ------------------------------------------------------------------------------------


class Token(NamedTuple):
    """A word and the slot whose concept it names; None for a particle."""

    word: str
    slot: Slot | None


def say(language: str, meaning: Meaning, surface: Surface, wording: Meaning) -> list[Token]:
    """Express the meaning as a sentence of 8 to 10 words.

    `wording` selects one of the concept's two words (0 or 1) for every slot.
    """
    content, particles = LEXICONS[language]
    tokens = []
    for part in GRAMMAR[language][surface].split():
        if part in particles:
            tokens.append(Token(particles[part], None))
        else:
            slot = cast(Slot, part)
            word = content[slot][getattr(meaning, slot)][getattr(wording, slot)]
            tokens.append(Token(word, slot))
    return tokens


def vocabulary() -> list[str]:
    """Return every word of every language once, in a fixed order."""
    words: dict[str, None] = {}
    for content, particles in LEXICONS.values():
        words.update(dict.fromkeys(particles.values()))
        for concepts in content.values():
            words.update(dict.fromkeys(chain.from_iterable(concepts)))
    return list(words)
