"""Feature operations on texts: length, number of words, and sums of what was learnt of their words and trigrams.

Of grams, `score` adds up what each says of the target; `component` is one number of a text's TF-IDF, reduced.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from .contract_sql import literal
from .operation import LONG, Evaluate, Feature, Joins, chosen_sql, column_sql, list_sql, present, texts_sql

SPACED = "[^ \\t\\n\\r\\f\\v]+"
WORD = r"[^\x00-/:-@\[-`{-\x7f]+"  # of letters and digits, and all beyond ASCII: engines differ on Unicode's classes
TRIGRAM = "(?s).{3}"
UNIT = 65536.0  # weights are whole numbers of 1 / UNIT, so that the order of adding does not matter


def _letters() -> tuple[str, str]:
    """Return capitals and the letters that stand for them, Latin, Greek and Cyrillic.

    Engines lower a letter here and there differently, and by the version of Unicode they know; this list is fixed.
    """
    spans = [(0x41, 0x5A, 32), (0xC0, 0xD6, 32), (0xD8, 0xDE, 32), (0x391, 0x3A1, 32), (0x3A3, 0x3A9, 32)]
    spans += [(0x410, 0x42F, 32), (0x400, 0x40F, 80)]
    capitals = [(chr(code), chr(code + step)) for first, last, step in spans for code in range(first, last + 1)]
    return "".join(capital for capital, _ in capitals), "".join(small for _, small in capitals)


CAPITALS, SMALL = _letters()
LOWER = str.maketrans(CAPITALS + "123456789", SMALL + "0" * 9)


@lru_cache(maxsize=4)
def grams_of(text: str, kind: str) -> tuple[str, ...]:
    """Return the words, pairs of neighbouring words or trigrams of characters of a text, any digit a 0.

    The last texts are kept: several features ask for the same grams.
    """
    lowered = text.translate(LOWER)
    if kind == "trigrams":
        return tuple(lowered[place : place + 3] for place in range(len(lowered) - 2))
    words = re.findall(WORD, lowered)
    return tuple(words if kind == "words" else map(" ".join, pairwise(words)))


def lower_sql(column: str) -> str:
    """Return the expression of the lowered text; `translate` costs 15 us a text, and ASCII does not need it."""
    letters = f"translate({column}, {literal(CAPITALS)}, {literal(SMALL)})"
    lowered = f"CASE WHEN strlen({column}) = length({column}) THEN lower({column}) ELSE {letters} END"
    for digit in "123456789":
        lowered = f"replace({lowered}, '{digit}', '0')"
    return lowered


def grams_sql(column: str, kind: str) -> str:
    """Return the expression of the same texts, as a list."""
    lowered = lower_sql(column)
    if kind == "trigrams":  # each third one of the three beginnings: a substring for each would read on from the start
        parts = [f"regexp_extract_all(substring({lowered}, {first}), {literal(TRIGRAM)})" for first in (1, 2, 3)]
        return f"list_concat({', '.join(parts)})"
    words = f"regexp_extract_all({lowered}, {literal(WORD)})"
    if kind == "words":
        return words
    return f"list_transform(list_zip(({words})[:-2], ({words})[2:]), lambda p: p[1] || ' ' || p[2])"


def _score(feature: Feature) -> Evaluate:
    """Return the evaluation of the sum of the weights of the grams that a text has, or (`mean`) of their mean."""
    kind, is_mean = feature["grams"], feature["mean"]
    weights: dict[str, int] = dict(zip(feature["tokens"], feature["weights"], strict=True))

    def score(text: str) -> float:
        found = [weights[gram] for gram in set(grams_of(text, kind)) if gram in weights]
        total = sum(found) / UNIT
        return total / len(found) if is_mean and found else total

    return present(feature, score)


def _score_sql(feature: Feature, joins: Joins) -> str:
    column, tokens = column_sql(feature["column"]), feature["tokens"]
    grams, weights = grams_sql(column, feature["grams"]), list_sql(feature, "weights", "BIGINT")
    if len(tokens) > LONG:
        total, number = joins.total(grams, tokens, weights, lambda item: chosen_sql(feature, item))
    else:
        weight = chosen_sql(feature, f"({weights})[list_position({texts_sql(tokens)}, g)]")
        found = f"list_transform(list_distinct({grams}), lambda g: {weight})"
        total, number = f"coalesce(list_sum({found}), 0)", f"list_count({found})"
    score = f"{total}::DOUBLE / {UNIT!r}::DOUBLE"
    if feature["mean"]:
        score = f"{score} / greatest({number}, 1)"
    return f"CASE WHEN {column} IS NOT NULL THEN {score} END"


Pick = Callable[[Sequence[int]], Iterable[int]]


@lru_cache(maxsize=16)
def _picks(kind: str, tokens: tuple[str, ...], squares: tuple[int, ...]) -> Callable[[str], tuple[Pick, float]]:
    """Return the function from a text to what picks the items of its grams from a list as long as `tokens`, and to the
    norm of its TF-IDF, 0 where no gram is known.

    All components of a column ask the same one, which keeps the last texts.
    """
    places = {token: place for place, token in enumerate(tokens)}

    @lru_cache(maxsize=4)
    def find(text: str) -> tuple[Pick, float]:
        found = [places[gram] for gram in set(grams_of(text, kind)) if gram in places]
        pick: Pick = itemgetter(*found) if len(found) > 1 else lambda items: [items[place] for place in found]
        return pick, math.sqrt(sum(pick(squares)) / UNIT)

    return find


def _component(feature: Feature) -> Evaluate:
    """Return the evaluation of one component of a text's TF-IDF: the sum of its grams' weights by the norm.

    A gram weighs its IDF times its part in the component; `squares` are the IDFs squared. Both are whole numbers of
    1 / UNIT, so that the order of adding does not matter; the root and the division are exactly rounded in any engine.
    A text without a known gram is 0.
    """
    weights = array("q", feature["weights"])  # lies together in memory, unlike a list: twice as fast
    find = _picks(feature["grams"], tuple(feature["tokens"]), tuple(feature["squares"]))

    def component(text: str) -> float:
        pick, norm = find(text)
        return sum(pick(weights)) / UNIT / norm if norm else 0.0

    return present(feature, component)


def _component_sql(feature: Feature, joins: Joins) -> str:
    column = column_sql(feature["column"])
    grams, tokens = grams_sql(column, feature["grams"]), feature["tokens"]
    sums = [joins.total(grams, tokens, list_sql(feature, key, "BIGINT"), str)[0] for key in ("weights", "squares")]
    total, squared = (f"({item}::DOUBLE / {UNIT!r}::DOUBLE)" for item in sums)
    return f"CASE WHEN {column} IS NULL THEN NULL WHEN {squared} = 0 THEN 0 ELSE {total} / sqrt({squared}) END"


ROW: dict[str, Callable[[Feature], Evaluate]] = {
    "length": lambda feature: present(feature, len),
    "words": lambda feature: present(feature, lambda text: len(re.findall(SPACED, text))),
    "score": _score,
    "component": _component,
}
SQL: dict[str, Callable[[Feature, Joins], str]] = {
    "length": lambda feature, joins: f"length({column_sql(feature['column'])})",
    "words": lambda feature, joins: f"len(regexp_extract_all({column_sql(feature['column'])}, {literal(SPACED)}))",
    "score": _score_sql,
    "component": _component_sql,
}
