"""Real texts, none twice, and real queries: what a collection under load is made of.

Descriptions of Debian packages (`debian_descriptions`) where apt has them, the docstrings of the running Python
otherwise. Long texts are split into passages, which makes a hundred thousand of either one.
"""

from __future__ import annotations

import random
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from debian_descriptions import records
from revector.demo.docstrings import python_corpus

LEAST_CHARACTERS = 40
QUERIES_OF_DOCSTRINGS = 500
SPLICED, SPLICED_CHARACTERS, STRIDE = 20_000, 120, 7919


class Texts(NamedTuple):
    """Texts and queries, both in random order, the same one each time."""

    source: str
    documents: list[str]
    queries: list[str]


def real_texts(n: int, characters: int) -> Texts:
    """Return `n` passages of `characters` at most, and as many queries as there are."""
    source, bodies, queries = _described() or _documented(n)
    order = random.Random(0)
    passages: dict[str, None] = {}
    for body in order.sample(bodies, len(bodies)):
        passages.update(dict.fromkeys(_passages(body, characters)))
        if len(passages) >= n:
            break
    assert len(passages) >= n, f"{source} have {len(passages)} passages of {characters} characters, {n} are wanted"
    documents, asked = list(passages)[:n], list(dict.fromkeys(queries))
    return Texts(source, order.sample(documents, n), order.sample(asked, len(asked)))


def spliced_texts(n: int) -> Iterator[str]:
    """Yield the beginning of one passage with the end of another, up to 400 million pairs: as many texts as are asked.

    They mean little, but words keep their company, and vectors lie in clusters as those of real texts do.
    """
    halves = [_halves(passage) for passage in real_texts(min(n, SPLICED), SPLICED_CHARACTERS).documents]
    for i in range(n):
        turn, first = divmod(i, len(halves))
        yield f"{halves[first][0]} {halves[(first + 1 + turn * STRIDE) % len(halves)][1]}"


def _halves(passage: str) -> tuple[str, str]:
    words = passage.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


@cache
def _described() -> Texts | None:
    described = list(records())
    if not described:
        return None
    return Texts("Debian descriptions", [body for _, _, body in described], [synopsis for _, synopsis, _ in described])


def _documented(n: int) -> Texts:
    corpus = python_corpus(n_documents=n, n_queries=QUERIES_OF_DOCSTRINGS)
    return Texts("docstrings", list(corpus.documents.values()), list(corpus.queries.values()))


def _passages(body: str, characters: int) -> Iterator[str]:
    return (part for part in textwrap.wrap(body, characters) if len(part) >= LEAST_CHARACTERS)
