"""Labelled pairs built from the documents themselves, for collections without judged queries.

A part of a document asks for the rest of it: its title, where the metadata has one, else its first sentence (K. Lee,
M.-W. Chang and K. Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering", ACL 2019, train
on such pairs). The part is taken out of the document, or the search would be for words that stand there literally: easy
for every model, easiest for the most lexical one. So the stored vectors of these documents are of no use, and both
models embed what is left of them; all other documents stay as they are.

Documents that have the same title or first sentence, or the same rest, answer alike; what more than `MOST_ALIKE` have
in common is a phrase of the house and asks for nothing.

Such a query is not what people ask. How far the lift on pairs is from the lift on judged queries was measured
(docs/judgements.md): `DOUBT`, which no number of pairs makes smaller.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from revector._arguments import whole_number
from revector.backends.contracts import Backend, Document, Generation
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.errors import InvalidArgumentError
from revector.evaluation.holdout import Holdout
from revector.evaluation.sampling import current_sample
from revector.evaluation.significance import MIN_QUERIES
from revector.formats.judgements import Judgements

__all__ = ["BUILT", "DOUBT", "Built", "build_pairs", "draw_built"]

BUILT = "pairs built from the documents"
DOUBT = 0.06
"""Standard deviation, in nDCG@10, of the lift on built pairs less the lift on queries that people judged."""
MOST_QUERIES = 1_000
MOST_ALIKE = 5
MOST_CHARACTERS = 300  # of a query
LEAST_WORDS = 3  # of a query, and of what is left of a document
LEAST_CHARACTERS = 8  # the same, in scripts without spaces

_END = re.compile(r"(?:(?<=[.!?…])[\"'”’»)\]]*\s+(?![a-z])|(?<=[。！？])|;\s+|\n+)(?=\S)")
_TEXTS_A_BATCH = 256


@dataclass(frozen=True)
class Built:
    """Pairs, and the documents as they are searched.

    Parameters
    ----------
    judgements : Judgements
        The id of a query is that of the document which it was taken from.
    documents : dict of str to Document
        By id, what is left of the documents that answer some query; all others are searched as they are.
    """

    judgements: Judgements
    documents: dict[str, Document]


@dataclass(frozen=True)
class _Pair:
    rule: str
    query: str
    rest: Document


def build_pairs(
    documents: Sequence[Document], *, most: int = MOST_QUERIES, title: str = "title", seed: int = 0
) -> Built:
    """Build pairs out of documents that are searched together.

    Parameters
    ----------
    documents : sequence of Document
        All that are searched.
    most : int
        Queries, drawn at random from all that could be built.
    title : str
        Field of the metadata that holds titles.
    seed : int
        Of the drawing.

    Raises
    ------
    InvalidArgumentError
        Hardly any document has a title, or a sentence and a rest.
    """
    pairs = {document.id: pair for document in documents if (pair := _pair(document, title)) is not None}
    asks = _by_key((_key(pair.query), id_) for id_, pair in pairs.items())
    bodies = _by_key((_key(pair.rest.text), id_) for id_, pair in pairs.items())
    alike = {ids[0]: {same for id_ in ids for same in bodies[_key(pairs[id_].rest.text)]} for ids in asks.values()}
    sources = {id_: same for id_, same in alike.items() if len(same) <= MOST_ALIKE}
    if len(sources) < MIN_QUERIES:
        raise InvalidArgumentError(
            f"{len(sources)} of {len(documents):,} documents make a pair: they need a {title!r} in their metadata, or "
            "two sentences; judge some queries instead"
        )
    ids = sorted(sources)
    chosen = np.random.default_rng(whole_number(seed, "seed", least=0)).permutation(len(ids))
    asked = [ids[place] for place in sorted(chosen[: whole_number(most, "most", least=1)].tolist())]
    qrels = {id_: dict.fromkeys(sorted(sources[id_]), 1) for id_ in asked}
    kinds = ", ".join(f"{n:,} pairs of {rule}" for rule, n in Counter(pairs[id_].rule for id_ in asked).items())
    notes = (
        f"no judged queries: {kinds}; the query is taken out of the document, and both models embed what is left",
        f"what pairs say of the lift differs from what judged queries say, by a standard deviation of {DOUBT:g}: the "
        "interval is widened by it, and more pairs do not settle what only judged queries can",
    )
    reduced = {id_: pairs[id_].rest for grades in qrels.values() for id_ in grades}
    return Built(Judgements({id_: pairs[id_].query for id_ in asked}, qrels, BUILT, notes, {}, DOUBT), reduced)


def draw_built(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder,
    *,
    max_documents: int = 20_000,
    most: int = MOST_QUERIES,
    title: str = "title",
    seed: int = 0,
) -> tuple[Judgements, Holdout]:
    """Draw documents for a comparison, with pairs in place of judged queries; see `holdout.draw`.

    Parameters
    ----------
    backend : Backend
    generation : Generation
        The serving generation. Its vectors are used as they are, but for the documents that lost their query.
    old_encoder : TextEncoder
        Embeds what is left of those, at most a few times `most` documents.
    max_documents : int
        How many documents are searched.
    most, title, seed
        As for `build_pairs`.

    Raises
    ------
    InvalidArgumentError
        Hardly any document makes a pair.
    EncoderError
        The old model failed.
    """
    space = generation.space
    space.require(old_encoder.space, purpose="what is left of the documents")
    with backend.snapshot():
        keys, vectors = backend.generations.vectors(
            generation.id, current_sample(backend, [generation.id], max_documents, seed), current=True
        )
        documents = backend.documents.by_key(keys)
    built = build_pairs(documents, most=most, title=title, seed=seed)
    searched = [built.documents.get(document.id, document) for document in documents]
    texts = [space.text_of(each.text, each.metadata) for each in searched]
    changed = [
        place
        for place, (document, text) in enumerate(zip(documents, texts, strict=True))
        if document.id in built.documents and space.text_of(document.text, document.metadata) != text
    ]
    vectors = vectors.copy()
    for first in range(0, len(changed), _TEXTS_A_BATCH):
        part = changed[first : first + _TEXTS_A_BATCH]
        vectors[part] = encode_checked(old_encoder, [texts[place] for place in part])
    judgements = built.judgements
    return judgements, Holdout(judgements.queries, judgements.qrels, searched, vectors, judgements.notes)


def _pair(document: Document, title: str) -> _Pair | None:
    """Return a query and what is left of its document, or ``None``."""
    named = document.metadata.get(title)
    if isinstance(named, str) and named.strip():
        metadata = {name: value for name, value in document.metadata.items() if name != title}
        return _sound("title → body", named, document.text, replace(document, metadata=metadata))
    query, *rest = _END.split(document.text.strip(), maxsplit=1)
    return _sound("first sentence → rest", query, rest[0], document) if rest else None


def _sound(rule: str, query: str, text: str, document: Document) -> _Pair | None:
    """Return a pair of texts that are long enough, without the query where the text repeats it."""
    query = " ".join(query.split())
    rest = re.sub(re.escape(query), " ", text, flags=re.IGNORECASE).strip()
    if len(query) > MOST_CHARACTERS or not (_is_long(query) and _is_long(rest)):
        return None
    return _Pair(rule, query, replace(document, text=rest))


def _is_long(text: str) -> bool:
    return len(text.split()) >= LEAST_WORDS or (not text.isascii() and len(text) >= LEAST_CHARACTERS)


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _by_key(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, id_ in pairs:
        found[key].append(id_)
    return found
