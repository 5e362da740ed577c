"""Two rankings compared by the clicks of one reader: team-draft interleaving.

F. Radlinski, M. Kurup, T. Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008, has the
drafting; O. Chapelle, T. Joachims, F. Radlinski, Y. Yue, "Large-Scale Validation and Analysis of Interleaved Search
Evaluation", ACM TOIS 30(1), 2012, compares it with A/B tests. What both rankings have in common at their top belongs to
nobody: the coin alone would decide who is credited, which adds noise and no preference.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from revector._arguments import whole_number

__all__ = ["Interleaved", "Team", "preference", "team_draft"]

Document = TypeVar("Document", bound=Hashable)


class Team(str, Enum):  # StrEnum needs Python 3.11
    """Whose a document of the merged list is."""

    OLD = "old"
    NEW = "new"
    BOTH = "both"

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


@dataclass(frozen=True)
class Interleaved(Generic[Document]):
    """A merged ranking.

    Parameters
    ----------
    documents : tuple
        Best first, none twice.
    teams : tuple of Team
        Which ranking each one was drafted for.
    """

    documents: tuple[Document, ...]
    teams: tuple[Team, ...]


def team_draft(
    old: Sequence[Document], new: Sequence[Document], k: int, seed: int | str | bytes
) -> Interleaved[Document]:
    """Merge two rankings as two captains pick their teams: whoever has fewer documents picks next, a coin decides ties.

    Parameters
    ----------
    old, new : sequence
        Documents, best first, none twice.
    k : int
        Documents wanted.
    seed : int, str or bytes
        Of the coin, such as the query's id: the same seed gives the same list in every process.
    """
    picked = dict.fromkeys(_common_top(old, new)[: whole_number(k, "k", least=1)], Team.BOTH)
    coin = random.Random(seed)
    queues = {Team.OLD: deque(old), Team.NEW: deque(new)}
    sizes = dict.fromkeys(queues, 0)
    while len(picked) < k:
        for queue in queues.values():
            while queue and queue[0] in picked:
                queue.popleft()
        able = [team for team, queue in queues.items() if queue]
        if not able:
            break
        team = min(able, key=lambda one: (sizes[one], coin.random()))
        picked[queues[team].popleft()] = team
        sizes[team] += 1
    return Interleaved(tuple(picked), tuple(picked.values()))


def _common_top(old: Sequence[Document], new: Sequence[Document]) -> list[Document]:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
    return [document for document, _ in pairs]


def preference(teams: Sequence[Team], clicked: Iterable[int]) -> int:
    """Return whom the clicks on a merged list prefer: 1 the new ranking, -1 the old one, 0 neither.

    Parameters
    ----------
    teams : sequence of Team
        Of the merged list.
    clicked : iterable of int
        Places in the list, the first being 0; each counts once.
    """
    credited = [teams[at] for at in set(clicked)]
    new, old = credited.count(Team.NEW), credited.count(Team.OLD)
    return (new > old) - (new < old)
