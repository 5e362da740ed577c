"""What an answer is known by afterwards, when its reader says something about it.

The id of a query holds all that its feedback needs: which step of which rollout it belongs to, and to which arm each of
its hits is credited. So nothing is stored for the many answers about which nobody says anything, and any process takes
the feedback.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.migration.strategies.base import Stage

__all__ = ["Answered", "Credit", "query_id_of"]

MOST_HITS = 100
"""Hits of an answer that can be credited."""
ARMS = ("", "old", "new", "both")
_HEAD = struct.Struct(">IdBBH6sQ")  # migration, begin and number of the step, arm, length of the group's name, what
# tells answers apart, and the captured query; the name follows, then the hits
_HIT = struct.Struct(">Ib")
_CHECK_BYTES = 4


@dataclass(frozen=True)
class Credit:
    """A hit of an answer.

    Parameters
    ----------
    place : int
        From 0.
    team : {-1, 0, 1}
        Of an interleaved answer: whose document it was, the old arm's, neither's or the new arm's; otherwise 0.
    """

    place: int
    team: int


@dataclass(frozen=True)
class Answered:
    """An answer, as far as feedback goes.

    Parameters
    ----------
    migration : int
        The migration that had a rollout; 0 if none had.
    stage : str
        `Stage.name` of its step.
    arm : {"", "old", "new", "both"}
        Of the rollout.
    group : str
        That is judged on its own; empty for none.
    hits : dict of int to Credit
        By the digest of the document's id.
    captured : int
        What `revector.search.capture.key_of` calls the query; 0 if it was not kept.
    """

    migration: int
    stage: str
    arm: str
    group: str
    hits: dict[int, Credit]
    captured: int = 0

    @classmethod
    def read(cls, query_id: str) -> Answered:
        """Read the id of a query; raise `InvalidArgumentError` if no search has made it."""
        try:
            payload = base64.urlsafe_b64decode(query_id)
        except (binascii.Error, TypeError, ValueError) as error:
            raise _unknown(query_id) from error
        packed, check = payload[:-_CHECK_BYTES], payload[-_CHECK_BYTES:]
        if len(packed) < _HEAD.size or check != _digest(packed):
            raise _unknown(query_id)
        migration, began, at, arm, length, _, captured = _HEAD.unpack_from(packed)
        group, body = packed[_HEAD.size : _HEAD.size + length], packed[_HEAD.size + length :]
        hits = {digest: Credit(place, team) for place, (digest, team) in enumerate(_HIT.iter_unpack(body))}
        return cls(migration, Stage(at, began, "").name, ARMS[arm], group.decode(), hits, captured)

    @property
    def name(self) -> str:
        """What feedback about it is kept under; see `Stage.name_of`."""
        return f"{self.stage} {self.group}" if self.group else self.stage

    def credit(self, document_id: str) -> Credit:
        """Return the hit of a document; raise `InvalidArgumentError` if it was none."""
        found = self.hits.get(_digest_of(document_id)) if isinstance(document_id, str) else None
        if found is None:
            raise InvalidArgumentError(
                f"document_id is {shown(document_id)}, which was not among the first {MOST_HITS} hits of this query; "
                "feedback is about what the answer held"
            )
        return found


def query_id_of(
    migration: int,
    stage: Stage | None,
    arm: str,
    hits: Sequence[tuple[str, int]],
    group: str = "",
    captured: int = 0,
) -> str:
    """Return the id of a query that found some documents.

    Parameters
    ----------
    migration : int
        Whose rollout it belongs to; 0 for none.
    stage : Stage or None
        Of the rollout.
    arm : {"", "old", "new", "both"}
        Of the rollout.
    hits : sequence of (str, int)
        Ids of the documents, best first, and the team of each; see `Credit`.
    group : str
        That is judged on its own.
    captured : int
        See `Answered`.
    """
    began, at = (0.0, 0) if stage is None else (stage.began, stage.at)
    name = group.encode()
    head = _HEAD.pack(migration, began, at, ARMS.index(arm), len(name), os.urandom(6), captured) + name
    body = b"".join(_HIT.pack(_digest_of(id_), team) for id_, team in hits[:MOST_HITS])
    return base64.urlsafe_b64encode(head + body + _digest(head + body)).decode()


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_CHECK_BYTES, person=b"revector").digest()


def _digest_of(document_id: str) -> int:
    return int.from_bytes(_digest(document_id.encode(errors="surrogatepass")))


def _unknown(query_id: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"query_id is {shown(query_id)}, expected the query_id of a hit of a search with key=")
