"""Judgements out of clicks: what readers of a search did with its hits, by one rule that has a name.

**Clicks over expected clicks**, where the log has impressions. A hit is expected to be clicked as often as any hit at
the places where it was shown; the clicks it had, divided by those, is its score (W. V. Zhang and R. Jones, "Comparing
Click Logs and Editorial Labels for Training Query Rewriting", Workshop on Query Log Analysis, WWW 2007). A score of 1
is grade 1, of 2 grade 2, below 1 grade 0. A document that was shown fewer than `LEAST_IMPRESSIONS` times for a query is
not judged, and one click is no judgement (`LEAST_CLICKS`).

**Plain clicks**, where only clicks were logged: what was clicked is relevant, grade 1.

What a reader said in words overrides both: "good" is grade 2, "bad" is grade 0, the majority counts. A rating is part
of a word: 5 is a "good", 4 half of one, 3 says nothing, 1 is a "bad".

**Answers** that were made of documents, such as those of a language model, are evidence as weak as a click: each
document of more good answers than bad ones is grade 1 if nothing else is known of it. Bad answers alone judge nothing,
for nobody can tell which of their documents failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["FAVOURS_PRESENT", "KINDS", "LEAST_IMPRESSIONS", "Reaction", "grades_of_clicks"]

KINDS = ("impression", "click", "good", "bad")
"""What a row of a log can say of a hit. Feedback that a collection has recorded knows "rating" and "answer" as well."""
LEAST_IMPRESSIONS = 10
LEAST_CLICKS = 2
FAVOURS_PRESENT = "what the present search never showed counts as not relevant, which favours the present model"


class Reaction(NamedTuple):
    """What one row of a log says; `position` is the place where the hit was shown, if the log has it.

    `weight` is how often that was said; for "rating" and "answer", what all of it comes to, which is below 0 for bad.
    """

    query: str
    document: str
    position: int | None
    kinds: tuple[str, ...]
    weight: float = 1


@dataclass
class _Pair:
    """What is known of a document for a query."""

    shown_at: Counter[int | None] = field(default_factory=Counter)
    clicked_at: Counter[int | None] = field(default_factory=Counter)
    said: float = 0
    answered: float = 0

    def add(self, reaction: Reaction) -> None:
        """Count a row."""
        kinds, weight = reaction.kinds, reaction.weight
        self.shown_at[reaction.position] += "impression" in kinds
        self.clicked_at[reaction.position] += int(weight) * ("click" in kinds)
        self.said += weight * (("good" in kinds) + ("rating" in kinds) - ("bad" in kinds))
        self.answered += weight * ("answer" in kinds)

    def placed_clicks(self) -> Counter[int | None]:
        """Return the clicks by a place where the document was shown: rows of clicks need not name theirs."""
        usual = self.shown_at.most_common(1)[0][0]
        placed = Counter[int | None]()
        for position, n in self.clicked_at.items():
            placed[position if self.shown_at[position] else usual] += n
        return placed


def grades_of_clicks(reactions: Iterable[Reaction]) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    """Return a grade for each document of each query that can be judged, and how they came about.

    Parameters
    ----------
    reactions : iterable of Reaction
        Read once; memory grows with the pairs of query and document, not with the rows.
    """
    pairs: dict[tuple[str, str], _Pair] = defaultdict(_Pair)
    for reaction in reactions:
        pairs[reaction.query, reaction.document].add(reaction)
    is_shown = any(pair.shown_at.total() for pair in pairs.values())
    grades, note = _by_expectation(pairs) if is_shown else _by_clicks(pairs)
    for key, pair in pairs.items():
        if pair.answered > 0:
            grades.setdefault(key, 1)
        if pair.said:
            grades[key] = 2 if pair.said > 0 else 0
    qrels: dict[str, dict[str, int]] = {}
    for (query, document), grade in grades.items():
        qrels.setdefault(query, {})[document] = grade
    return qrels, (note, FAVOURS_PRESENT)


_Pairs = dict[tuple[str, str], _Pair]
_Grades = dict[tuple[str, str], int]


def _by_clicks(pairs: _Pairs) -> tuple[_Grades, str]:
    grades = {key: 1 for key, pair in pairs.items() if pair.clicked_at.total()}
    return grades, "judged by plain clicks: the log has no impressions, so what was clicked counts as relevant"


def _by_expectation(pairs: _Pairs) -> tuple[_Grades, str]:
    shown, clicked = Counter[int | None](), Counter[int | None]()
    for pair in pairs.values():
        if pair.shown_at.total():
            shown.update(pair.shown_at)
            clicked.update(pair.placed_clicks())
    grades: _Grades = {}
    for key, pair in pairs.items():
        if pair.shown_at.total() >= LEAST_IMPRESSIONS:
            expected = sum(n * clicked[position] / shown[position] for position, n in pair.shown_at.items() if n)
            clicks = pair.clicked_at.total()
            grades[key] = min(2, int(clicks / expected)) if clicks >= LEAST_CLICKS else 0
    left_out = len(pairs) - len(grades)
    rule = "judged by clicks over expected clicks at the places where a document was shown (Zhang and Jones, 2007)"
    few = f"; {left_out:,} of {len(pairs):,} pairs of query and document shown fewer than {LEAST_IMPRESSIONS} times"
    return grades, rule + (few + " are not judged" if left_out else "")
