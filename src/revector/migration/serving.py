"""Who serves a collection, and which generations are live: one value, read once, that searches and writes share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from revector.backends.contracts import Alias, Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import StoreError
from revector.ledger.state import Phase
from revector.migration.inputs import fields_read
from revector.migration.insurance import insured
from revector.migration.strategies import Strategy, chosen_reading, strategies_from_json
from revector.migration.strategies.background import RESCORING
from revector.migration.strategies.base import CANDIDATES, Reading, Situation, Stage
from revector.spaces import EmbeddingSpace

STAGE = "rollout"
"""The events that say where a rollout stands; the last one counts."""
CUTOVER = "cutover"
"""The event of a cut-over."""


def stage_of(backend: Backend, migration_id: int) -> Stage | None:
    """Return where the rollout of a migration stands, or ``None`` if it has not begun."""
    kept = backend.ledger.last_note(migration_id, STAGE)
    return None if kept is None else Stage(**{**kept, "held": tuple(kept.get("held", ()))})


@dataclass(frozen=True)
class Serving:
    """A collection at one moment.

    Parameters
    ----------
    alias : Alias
        What readers follow.
    phase : Phase or None
        Of the migration, if there is one.
    serving : Generation
        The generation that the alias points at.
    other : Generation or None
        The migration's other generation, from `start` until `retire`.
    strategies : tuple of Strategy
        Of the migration; empty without one.
    moved : bool
        Whether the generation that serves is the migration's new one.
    fields : tuple of str
        What templates read of the metadata: those of the live generations, and that of a planned one.
    stage : Stage or None
        Of the migration's rollout, once there is one.
    migration : int or None
        The id of the migration.
    insured : Generation or None
        Where there is no other one, the generation whose model answers if that of the serving one is gone.
    has_served : bool
        Whether the other generation has served in this migration: it is complete, and query vectors of its space are
        still about.
    """

    alias: Alias
    phase: Phase | None
    serving: Generation
    other: Generation | None
    strategies: tuple[Strategy, ...] = ()
    moved: bool = False
    fields: tuple[str, ...] = ()
    stage: Stage | None = None
    migration: int | None = None
    insured: Generation | None = None
    has_served: bool = False

    @property
    def live(self) -> tuple[Generation, ...]:
        """The generations that writes have to reach, the serving one first."""
        return (self.serving,) if self.other is None else (self.serving, self.other)

    @property
    def answering(self) -> tuple[Generation, ...]:
        """The generations in which a query's vector is answered, the serving one first: those that have served."""
        return self.live if self.has_served else (self.serving,)

    def of_vectors(self, space: EmbeddingSpace) -> Generation:
        """Return the generation in which a query's vector of a space is answered.

        Raises
        ------
        SpaceMismatchError
            There is none; the message names the model that serves.
        """
        found = next((each for each in self.answering if each.space.fingerprint == space.fingerprint), self.serving)
        found.space.require(space, purpose="query vectors of this collection")
        return found

    def reading(self, encoders: EncoderSet, *, covered: bool = True, key: str | None = None) -> Reading:
        """Ask the strategies what a search reads now.

        Where searches of a generation that fills do not answer in the usual time (`covered`), its vectors only score
        what the old one finds. Where the model of the one that serves is not at hand, the other one is read beside it,
        by its own model, for it may be complete as well; and the one that serves by mapped queries.

        A model that is not at hand yet is loaded, which may ask a service: not to be called inside a transaction.
        """
        if self.other is None:
            return self._alone_or_insured(encoders)
        situation = self.situation(encoders, covered=covered, key=key)
        if encoders.find(self.serving) is None and encoders.find(self.other) is not None:
            situation = replace(situation, reading=Reading((self.serving, self.other), CANDIDATES, RESCORING))
        reading = chosen_reading(self.strategies, situation)
        return reading if covered or self.moved else replace(reading, looks_in_last=False)

    def _alone_or_insured(self, encoders: EncoderSet) -> Reading:
        spare = self.insured
        if spare is None or encoders.find(self.serving) is not None or encoders.find(spare) is None:
            return Reading((self.serving,))
        return Reading((self.serving, spare), CANDIDATES, RESCORING)

    def situation(self, encoders: EncoderSet, *, covered: bool = True, key: str | None = None) -> Situation:
        """Return what strategies are asked about; there must be another generation."""
        assert self.other is not None
        assert self.phase is not None
        old, new = (self.other, self.serving) if self.moved else (self.serving, self.other)
        at_hand = _AtHand(self.serving, self.other, encoders, covered or not self.moved)
        return Situation(self.phase, old, new, at_hand, Reading((self.serving,)), key, self.stage, covered)

    def findable(self, encoders: EncoderSet) -> Generation:
        """Return a generation whose vectors let searches find a document, and whose model is at hand if one is."""
        recalled: tuple[Generation, ...] = (self.serving,)
        if self.other is not None:  # other readers may have the model that is not at hand here
            recalled = chosen_reading(self.strategies, self.situation(encoders)).recall
        return next((generation for generation in recalled if encoders.find(generation) is not None), self.serving)


@dataclass(frozen=True)
class _AtHand:
    """The generations that can be read in the usual time, found out as far as a strategy asks.

    The other generation's model is loaded in the thread that asks only if the serving one's is not to be had: where
    that one answers, it does so for as long as the other one would have to be waited for.
    """

    serving: Generation
    other: Generation
    encoders: EncoderSet
    can_read_other: bool

    def __contains__(self, generation: object) -> bool:
        if self.encoders.find(self.serving) is None:
            return generation == self.other.id and self.encoders.find(self.other) is not None
        if generation != self.other.id:
            return generation == self.serving.id
        return self.can_read_other and self.encoders.find_behind(self.other) is not None


class ServingReader:
    """Reads what serves. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        The collection.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._generations: dict[tuple[int, int], Generation] = {}
        self._kept: tuple[object, Serving | None] = (None, None)

    def read(self) -> Serving:
        """Return what serves now. No encoder is asked: callers may hold a transaction.

        Raises
        ------
        StoreError
            The collection has no alias.
        """
        backend = self._backend
        with backend.snapshot():
            alias = backend.generations.alias(backend.alias)
            if alias is None:
                raise StoreError(f"the alias {backend.alias!r} does not exist in {backend.url}; create it first")
            moment = (backend.history(), alias, backend.ledger.last_event())
            kept, serving = self._kept
            if serving is None or kept != moment:
                serving = self._read(alias)
                self._kept = (moment, serving)
        return serving

    def forget(self) -> None:
        """Read everything anew the next time: a generation is of another contract now."""
        self._generations, self._kept = {}, (None, None)

    def _read(self, alias: Alias) -> Serving:
        record, serving = self._backend.ledger.active(alias.name), self._generation(alias.generation)
        if record is None:
            spare = insured(self._backend, serving)
            return Serving(alias, None, serving, None, fields=fields_read([serving.space]), insured=spare)
        pair = (record.source_generation, record.target_generation)
        others = [generation for generation in pair if generation not in (None, serving.id)]
        other = self._generation(others[0]) if others else None
        moved = serving.id == record.target_generation
        return Serving(
            alias,
            record.phase,
            serving,
            other,
            strategies_from_json(record.strategy),
            moved,
            fields_read([serving.space, record.target_space, *([] if other is None else [other.space])]),
            stage_of(self._backend, record.id),
            record.id,
            insured(self._backend, serving) if other is None else None,
            moved or self._backend.ledger.last_note(record.id, CUTOVER) is not None,
        )

    def _generation(self, generation: int) -> Generation:
        """Return a generation; within one history it never changes, and its number is never used again."""
        key = (self._backend.history(), generation)
        found = self._generations.get(key)
        if found is None:
            found = self._generations[key] = self._backend.generations.get(generation)
        return found
