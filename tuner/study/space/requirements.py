"""Requirements: rules between the settings of a trial, written in a small safe language.

    batch.effective_size >= batch.micro_size
    not (fusion.kind == "dlfa" and fusion.reduction > 8)
    optim.lr * batch.effective_size <= 0.05

The language has comparisons (== != < <= > >=, also chained; `in` and `not in` a list), and, or,
not, + - * /, numbers, strings, true, false, and the settings of a trial by their dotted names. A
requirement is parsed as Python syntax; everything else is refused, and no code is ever executed.

A setting may have no value: `fusion.layer` has none when the head reads the last layer alone. A
result computed from it has no value either, and a comparison with it is unknown. `and`, `or` and
`not` treat unknown as SQL does (false and unknown: false; true or unknown: true; else unknown). As
with SQL's CHECK, a requirement is broken only if it is false: `fusion.layer >= 2` does not exclude
trials without a lower layer. A quotient by zero and a number too large for a float have no value.
A setting with a default has a value in every trial, even where it has no effect
(`fusion.reduction` under `last`).
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import NoneType
from typing import Any, Literal, NoReturn, get_args

from tuner.errors import nearest
from tuner.study.trial import FIELDS, value_schema

LENGTH = 500
"""The most characters of a requirement."""
DEPTH = 30
"""The most levels of its syntax tree."""

Values = Mapping[str, Any]
Kind = Literal["number", "string", "boolean"]
LANGUAGE = "comparisons of settings, numbers and strings, joined by and, or, not, + - * /"

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
EQUALITY: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True)
class Requirement:
    """A parsed requirement.

    Attributes:
        text: the requirement as the user wrote it.
        names: the settings that it reads.
    """

    text: str
    names: tuple[str, ...]
    _evaluate: Callable[[Values], bool | None] = field(compare=False, repr=False)

    def broken_by(self, values: Values) -> bool:
        """Return whether the requirement is false for a configuration.

        Args:
            values: every setting by its dotted name.
        """
        return self._evaluate(values) is False


@cache
def parse(text: str) -> Requirement:
    """Parse a requirement and check its names and types.

    Raises:
        ValueError: the requirement is invalid; the message quotes it and says what is wrong.
    """
    if len(text) > LENGTH:
        raise ValueError(f"{text[:40]!r}...: is longer than {LENGTH} characters: split it in two")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        if re.search(r"(?<![=!<>])=(?!=)", text):
            said = "equality is written =="
        raise ValueError(f"{text!r}: is not an expression ({said}): write {LANGUAGE}") from None
    level, depth = [*ast.iter_child_nodes(tree)], 0
    while level:
        level, depth = [below for node in level for below in ast.iter_child_nodes(node)], depth + 1
    if depth > DEPTH:
        raise ValueError(f"{text!r}: is nested too deeply: split it in two")
    parser = _Parser(text)
    term = parser.term(tree.body)
    if term.kind != "boolean":
        raise ValueError(f"{text!r}: is a {term.kind}, not a condition: compare it with something")
    return Requirement(text, tuple(parser.names), term.evaluate)


@dataclass(frozen=True)
class _Term:
    """A part of a requirement: its kind, and a function for its value, None if it has none."""

    kind: Kind
    evaluate: Callable[[Values], Any]
    written: str
    words: tuple[str, ...] = ()  # the allowed strings, if the term is a setting with a list of them
    constant: Any = None


class _Parser:
    """A converter of one requirement's syntax tree into terms."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.names: dict[str, None] = {}

    def term(self, node: ast.expr) -> _Term:
        """Return the term of a node."""
        written = ast.unparse(node)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return self._constant(value, written)
            case ast.Name(id="true" | "false" as word):
                return _Term("boolean", lambda values: word == "true", written)
            case ast.Name() | ast.Attribute():
                return self._setting(node, written)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self._of("boolean", operand, "not").evaluate
                return _Term("boolean", lambda values: _not(inner(values)), written)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self._of("number", operand, "-").evaluate
                minus = _arithmetic(operator.sub, lambda values: 0, inner)
                return _Term("number", minus, written)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                sides = [self._of("number", side, "+ - * /") for side in (left, right)]
                value_of = _arithmetic(ARITHMETIC[type(op)], *(side.evaluate for side in sides))
                return _Term("number", value_of, written)
            case ast.BoolOp(op=op, values=nodes):
                join, by = (_and, "and") if isinstance(op, ast.And) else (_or, "or")
                terms = [self._of("boolean", part, by).evaluate for part in nodes]
                return _Term("boolean", lambda values: join(terms, values), written)
            case ast.Compare(left=left, ops=ops, comparators=nodes):
                links = [
                    self._link(self.term(one), op, other)
                    for one, op, other in zip([left, *nodes], ops, nodes, strict=False)
                ]
                return _Term("boolean", lambda values: _and(links, values), written)
            case _:
                self._refuse(f"{written} is not allowed: write {LANGUAGE}")

    def _constant(self, value: bool | int | float | str, written: str) -> _Term:
        if isinstance(value, bool):
            return _Term("boolean", lambda values: value, written)
        if isinstance(value, str):
            return _Term("string", lambda values: value, written, constant=value)
        if not _is_finite(value):
            self._refuse(f"the number {written[:20]} is too large")
        return _Term("number", lambda values: value, written)

    def _setting(self, node: ast.expr, name: str) -> _Term:
        if name not in FIELDS:
            self._refuse(f"unknown setting {name!r}: {nearest(name, list(FIELDS))}")
        self.names[name] = None
        if words := value_schema(name).get("enum"):
            return _Term("string", operator.itemgetter(name), name, words=tuple(words))
        annotation: Any = FIELDS[name].annotation
        types = set(get_args(annotation) or (annotation,)) - {NoneType}
        return _Term("boolean" if types == {bool} else "number", operator.itemgetter(name), name)

    def _of(self, kind: Kind, node: ast.expr, by: str) -> _Term:
        """Return the term of a node, which must be of this kind."""
        term = self.term(node)
        if term.kind != kind:
            self._refuse(f"{term.written} is a {term.kind}, but {by} takes a {kind}")
        return term

    def _link(self, left: _Term, op: ast.cmpop, node: ast.expr) -> Callable[[Values], bool | None]:
        """Return the evaluation of one comparison in a chain."""
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(node, ast.List) or not node.elts:
                self._refuse(f"`in` takes a list, as in [1, 2], got {ast.unparse(node)}")
            elements = [self.term(element) for element in node.elts]
            matches = [self._comparison(left, ast.Eq, element) for element in elements]
            if isinstance(op, ast.In):
                return lambda values: _or(matches, values)
            return lambda values: _not(_or(matches, values))
        if type(op) not in EQUALITY | ORDER:
            self._refuse(f"`is` is not allowed: write {LANGUAGE}")
        return self._comparison(left, type(op), self.term(node))

    def _comparison(
        self, left: _Term, op: type[ast.cmpop], right: _Term
    ) -> Callable[[Values], bool | None]:
        pair = f"{left.written} (a {left.kind}) with {right.written} (a {right.kind})"
        if left.kind != right.kind:
            self._refuse(f"cannot compare {pair}")
        if op in ORDER and left.kind != "number":
            self._refuse(f"cannot compare {pair} by < <= > >=: only numbers have an order")
        for setting, other in ((left, right), (right, left)):
            if setting.words and other.constant is not None and other.constant not in setting.words:
                hint = nearest(other.constant, list(setting.words))
                self._refuse(f"{setting.written} is never {other.constant!r}: {hint}")
        compare = (EQUALITY | ORDER)[op]

        def evaluate(values: Values) -> bool | None:
            one, other = left.evaluate(values), right.evaluate(values)
            return None if one is None or other is None else compare(one, other)

        return evaluate

    def _refuse(self, problem: str) -> NoReturn:
        raise ValueError(f"{self._text!r}: {problem}")


def _arithmetic(
    operation: Callable[[Any, Any], Any],
    left: Callable[[Values], Any],
    right: Callable[[Values], Any],
) -> Callable[[Values], Any]:
    def evaluate(values: Values) -> float | None:
        one, other = left(values), right(values)
        if one is None or other is None:
            return None
        try:
            result: float = operation(one, other)
        except ArithmeticError:
            return None
        return result if _is_finite(result) else None

    return evaluate


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer too large for a float
        return False


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(terms: Sequence[Callable[[Values], bool | None]], values: Values) -> bool | None:
    known: bool | None = True
    for term in terms:
        value = term(values)
        if value is False:
            return False
        if value is None:
            known = None
    return known


def _or(terms: Sequence[Callable[[Values], bool | None]], values: Values) -> bool | None:
    known: bool | None = False
    for term in terms:
        value = term(values)
        if value is True:
            return True
        if value is None:
            known = None
    return known
