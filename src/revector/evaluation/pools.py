"""What there is to judge: the documents that either of two models finds for a query."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation.exact import Keys, Matrix, topk
from revector.evaluation.metrics import Qrels
from revector.evaluation.sampling import current_sample
from revector.spaces import EmbeddingSpace

__all__ = ["pooled"]

TEXTS_A_BATCH = 256


def pooled(
    backend: Backend,
    generation: Generation,
    old_encoder: TextEncoder,
    new_encoder: TextEncoder,
    queries: Mapping[str, str],
    *,
    k: int = 10,
    max_documents: int = 20_000,
    people: Qrels | None = None,
    seed: int = 0,
) -> dict[str, dict[str, str]]:
    """Return the documents that either model has among its first k, for each query.

    Both search the same documents exactly, as an assessment does. Nothing tells which model found which document.

    Parameters
    ----------
    backend : Backend
    generation : Generation
        The serving generation; its vectors are used as they are.
    old_encoder, new_encoder : TextEncoder
        Encoders of the queries, and of the documents' new vectors.
    queries : mapping of str to str
        Query id to text.
    k : int
        Documents that each model puts into a pool.
    max_documents : int
        How many are searched; they are embedded by the new model.
    people : mapping of str to mapping of str to int, optional
        Grades that people gave: those documents are in the pools, too.
    seed : int
        Of the drawing.

    Returns
    -------
    dict of str to dict of str to str
        Query id to document id to the text that the new model is given.

    Raises
    ------
    InvalidArgumentError
        There are no queries, or no document has a vector of its present text.
    EncoderError
        A model failed, or the new one refuses every document.
    """
    space = space_of(new_encoder, "new_encoder")
    generation.space.require(old_encoder.space, purpose="the present model's queries")
    if not queries:
        raise InvalidArgumentError("there are no queries: capture some, or give them in a file")
    with backend.snapshot():
        drawn = current_sample(backend, [generation.id], max_documents, seed)
        keys, old = backend.generations.vectors(generation.id, drawn, current=True)
        graded = backend.documents.keys({document for grades in (people or {}).values() for document in grades})
        wanted = np.union1d(keys, np.fromiter(graded.values(), np.int64, len(graded)))
        documents = {document.key: document for document in backend.documents.by_key(wanted)}
    if not len(keys):
        raise InvalidArgumentError("no document has a vector of its present text; there is nothing to search")
    texts = {key: space.text_of(document.text, document.metadata) for key, document in documents.items()}
    asked = list(queries.values())
    found = [_found(generation.space, encode_checked(old_encoder, asked, kind="query"), keys, old, k)]
    keys, new = _embedded(new_encoder, keys, texts)
    found.append(_found(space, encode_checked(new_encoder, asked, kind="query"), keys, new, k))
    pools: dict[str, dict[str, str]] = {}
    for place, query in enumerate(queries):
        both = [key for arm in found for key in arm[place].tolist()]
        both += [graded[document] for document in (people or {}).get(query, ()) if document in graded]
        pools[query] = {documents[key].id: texts[key] for key in both}
    return pools


def _found(space: EmbeddingSpace, queries: Matrix, keys: Keys, documents: Matrix, k: int) -> Keys:
    found: Keys = keys[topk(space, queries, documents, k)[1]]
    return found


def _embedded(encoder: TextEncoder, keys: Keys, texts: Mapping[int, str]) -> tuple[Keys, Matrix]:
    """Return the documents that a model does not refuse, and their vectors."""
    listed = [texts[key] for key in keys.tolist()]
    outcomes = [
        outcome
        for first in range(0, len(listed), TEXTS_A_BATCH)
        for outcome in encode_each(encoder, listed[first : first + TEXTS_A_BATCH])
    ]
    taken = np.array([not isinstance(outcome, EncoderError) for outcome in outcomes])
    if not taken.any():
        raise EncoderError(f"{encoder.space} refuses all {len(keys):,} documents, the first one so: {outcomes[0]}")
    return keys[taken], np.stack([outcome for outcome in outcomes if not isinstance(outcome, EncoderError)])
