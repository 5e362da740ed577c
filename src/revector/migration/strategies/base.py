"""What a strategy is: a value that answers three questions from facts, and touches no backend.

A migration holds a list of strategies. They are asked in their order, and each one sees what those before it chose:
what workers do, what a search reads, and what else must hold before the next step.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from revector._arguments import shown
from revector.backends.contracts import Generation
from revector.errors import InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration.priorities import PriorityRule
from revector.migration.throttle import NO_LIMITS, Throttle

MOVING = (Phase.FILLING, Phase.PROVING)
"""While both generations may answer."""
CANDIDATES = 50
"""Documents of each generation that compete for a ranking while documents move, at least."""

Merging = Literal["zscore", "calibrated", "minmax", "rrf"]
"""How the scores of two generations become one; `revector.search.ranking` says what each of them does."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Facts:
    """What is known of a collection when its migration starts.

    Attributes
    ----------
    dimension : int
        The larger one of the two spaces'.
    """

    dimension: int


@dataclass(frozen=True)
class Work:
    """What workers do, and in which order.

    Attributes
    ----------
    sample : int
        How many documents, drawn at random, come before all others, so that the map between the spaces can be fitted.
    seed : int
        Of everything drawn at random.
    rule : callable or None
        Takes `DocumentFacts`, returns a priority of at least 1, lowest first; ``None`` for the default rule.
    batch : int or None
        Texts given to the encoder at a time; ``None`` for as many as its speed suggests.
    lease_seconds : float
        How long a worker may hold a document without a sign of life.
    worst_first : bool
        Whether, once there is a map between the spaces, the rest comes in the order of how doubtful the map is.
    derived : bool
        Whether vectors are taken from the source generation, whose space the new one derives from.
    share : float
        Of the time, that a worker spends on its work; it rests for the remainder.
    limits : Throttle
        What limits the workers from the start on, until whoever operates the migration says otherwise.
    """

    sample: int = 0
    seed: int = 0
    rule: PriorityRule | None = None
    batch: int | None = None
    lease_seconds: float = 60.0
    share: float = 1.0
    derived: bool = False
    worst_first: bool = False
    limits: Throttle = NO_LIMITS


@dataclass(frozen=True)
class Budget:
    """What a search may spend on embedding documents with the new model; what does not fit is answered without.

    Attributes
    ----------
    texts : int
        The most for one query.
    texts_in_flight : int
        The most at one time, over all searches of a process.
    milliseconds : float or None
        The longest that one search may take for it, as far as the speed measured so far can tell; no limit if ``None``.
    milliseconds_beside : float or None
        The same for a search that finds others at it; as long as for one alone if ``None``.
    """

    texts: int
    texts_in_flight: int = 32
    milliseconds: float | None = None
    milliseconds_beside: float | None = None


@dataclass(frozen=True)
class Reading:
    """What a search does.

    Attributes
    ----------
    recall : tuple of Generation
        Whose nearest documents compete. Where there are two, the first one is complete, and the ranking is made in the
        space of the last one.
    group : str
        Whose searches are judged on their own, of a rollout by key; empty for none.
    looks_in_last : bool
        Whether the last one's nearest documents are looked for. Where that would take too long, its vectors only score
        what the first one finds.
    depth : int
        How many documents of each compete, at least.
    budget : Budget
        For the embedding of candidates that the last generation lacks.
    write_through : bool
        Whether those vectors are stored, so that each is paid for once.
    queued : int
        How many hits of a query that the new generation lacks are embedded behind the search, which does not wait.
    arm : {"", "old", "new", "both"}
        Which one of a rollout's arms it is: what is seen of the search counts for that. With "both", the two
        generations are ranked alone, and interleaved.
    shadow : float
        Share of the searches that are repeated in both generations alone, behind those who asked.
    weight_of_old : float
        Share of the old model's score, on the new scale, where a document has both; 0 ranks by the new model alone. It
        is a half at least for a query whose best documents the new model has not all seen.
    merging : {"zscore", "calibrated", "minmax", "rrf"}
        How the scores of two generations become one.
    """

    recall: tuple[Generation, ...]
    depth: int = 0
    budget: Budget = Budget(0)
    write_through: bool = True
    queued: int = 0
    arm: str = ""
    group: str = ""
    looks_in_last: bool = True
    shadow: float = 0.0
    weight_of_old: float = 0.0
    merging: Merging = "zscore"


@dataclass(frozen=True)
class Stage:
    """Where a rollout stands.

    Attributes
    ----------
    at : int
        The step of its ramp, from 0.
    began : float
        When that began, in seconds since the epoch.
    reason : str
        Why it stands there, for people.
    stopped, passed : bool
        Whether it is over, and which way it ended.
    held : tuple of str
        Keys that stay with the old arm, since the new one did worse for them.
    """

    at: int
    began: float
    reason: str
    stopped: bool = False
    passed: bool = False
    held: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What this step's observations are kept under; a step that begins again starts with none."""
        return f"{self.at} {self.began!r}"

    def name_of(self, group: str) -> str:
        """Return what is kept of those that are judged on their own."""
        return f"{self.name} {group}" if group else self.name


@dataclass(frozen=True)
class Situation:
    """What a strategy knows when a search begins.

    Attributes
    ----------
    phase : Phase
        Of the migration.
    old, new : Generation
        Those of the migration; the new one from `start` on.
    at_hand : container of int
        The generations whose models are at hand, of the one that fills also where its index is not up to date. To ask
        for one that does not serve has its model loaded behind the search.
    reading : Reading
        What the strategies before this one chose; at first, the generation that serves alone.
    key : str or None
        What the caller of a search names, so that searches of one reader are answered by one arm.
    stage : Stage or None
        Of the rollout, once there is one.
    covered : bool
        Whether searches of the generation that does not serve answer in the usual time, by an index that is up to date.
    shadowed : (int, int)
        How many searches were repeated in the shadow, and how many of them failed in the new generation; for gates.
    """

    phase: Phase
    old: Generation
    new: Generation
    at_hand: Container[int]
    reading: Reading
    key: str | None = None
    stage: Stage | None = None
    covered: bool = True
    shadowed: tuple[int, int] = (0, 0)


class Strategy(Protocol):
    """How a migration gets from one space to the other. An immutable value; safe to share."""

    def fills(self, facts: Facts) -> Work | None:
        """Return what workers do; ``None`` if this strategy does not mind."""
        ...

    def reads(self, situation: Situation) -> Reading:
        """Return what a search does; `situation.reading` if this strategy does not mind."""
        ...

    def gates(self, situation: Situation) -> Sequence[str]:
        """Return what speaks against the next step, one sentence for each reason."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps: a ``name``, and the fields."""
        ...


class Plain:
    """What most strategies have in common: they mind nothing, and the ledger keeps their fields."""

    NAME: ClassVar[str]
    """What the ledger and the command line call it."""

    def fills(self, facts: Facts) -> Work | None:
        """Leave the work to others."""
        return None

    def reads(self, situation: Situation) -> Reading:
        """Leave searches as they are."""
        return situation.reading

    def gates(self, situation: Situation) -> Sequence[str]:
        """Ask for nothing beyond what every cut-over needs."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {"name": self.NAME, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Value], fields: dict[str, Any]) -> Value:
        """Build the strategy from what `to_json` returned."""
        return restored(cls, fields)


def restored(kind: type[Value], kept: Any) -> Value:
    """Build a strategy whose constructor takes all that it keeps beside its name.

    Raises
    ------
    InvalidArgumentError
        A field is missing, or one that this revector does not know, or the value of one is wrong.
    """
    if not isinstance(kept, dict):
        raise InvalidArgumentError(f"fields is {shown(kept)}, expected what to_json returned")
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in kept.items() if name != "name"}
    if names != set(given):
        raise InvalidArgumentError(
            f"fields of {kind.__name__} are {', '.join(sorted(map(str, given)))}, expected "
            f"{', '.join(sorted(names))}; they were not written by this revector's to_json"
        )
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
