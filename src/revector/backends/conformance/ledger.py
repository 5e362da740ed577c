"""The suites that the ledger of every backend passes: migrations with their events, and leases. They need pytest."""

from __future__ import annotations

import contextlib
from dataclasses import astuple

import pytest

from revector.backends.conformance.owners import ME, YOU, dead_owner
from revector.backends.conformance.threads import at_once, meanwhile
from revector.backends.contracts import Backend
from revector.errors import IllegalTransitionError, LedgerConflictError, MigrationError
from revector.ledger.observations import Said
from revector.ledger.records import MigrationRecord
from revector.ledger.state import TRANSITIONS, Phase
from revector.spaces import EmbeddingSpace

_SPACE = EmbeddingSpace(model="conformance", dimension=4, revision="2")


def _plan(backend: Backend, alias: str = "live") -> MigrationRecord:
    return backend.ledger.plan(
        alias=alias,
        alias_version=1,
        source_generation=1,
        target_space=_SPACE,
        target_encoder_source="models/new",
        strategy={"name": "background"},
        retention_seconds=60.0,
    )


class _TakenBackError(Exception):
    """What makes a transaction roll back."""


class LedgerConformance:
    """What `revector.backends.contracts.Ledger` promises of migrations and events, one behaviour a test."""

    def test_a_plan_is_found_again_as_written(self, backend: Backend) -> None:
        """By its number, and as the one that is active."""
        planned = _plan(backend)
        assert backend.ledger.active("live") == planned == backend.ledger.record(planned.id)
        assert (planned.target_space, planned.strategy) == (_SPACE, {"name": "background"})
        assert (planned.phase, planned.target_generation, planned.paused) == (Phase.PLANNED, None, False)

    def test_without_a_plan_no_migration_is_active(self, backend: Backend) -> None:
        """Nor is that of another alias."""
        _plan(backend, "another")
        assert backend.ledger.active("live") is None

    def test_an_alias_has_one_migration_at_a_time(self, backend: Backend) -> None:
        """The error says which one is under way; another alias has its own."""
        first = _plan(backend)
        with pytest.raises(LedgerConflictError, match=f"migration {first.id} ") as caught:
            _plan(backend)
        assert caught.value.alias == "live"
        assert _plan(backend, "another").id != first.id

    def test_one_of_many_plans_at_once_wins(self, backend: Backend) -> None:
        """The others are told of the conflict."""
        outcomes = at_once(6, lambda _number: _plan(backend))
        assert [type(outcome) for outcome in outcomes].count(LedgerConflictError) == 5

    def test_a_retired_migration_makes_room_for_the_next(self, backend: Backend) -> None:
        """Whose number is another one."""
        first = _plan(backend)
        backend.ledger.advance(first.id, Phase.ROLLED_BACK, "rollback")
        backend.ledger.advance(first.id, Phase.RETIRED, "retire")
        assert backend.ledger.active("live") is None
        assert _plan(backend).id > first.id

    def test_a_transition_changes_fields_and_writes_its_event(self, backend: Backend) -> None:
        """All of it together."""
        planned = _plan(backend)
        backend.ledger.advance(planned.id, Phase.FILLING, "start", {"why": "because"}, target_generation=7)
        last = backend.ledger.events(planned.id)[-1]
        assert (last.name, last.from_phase, last.to_phase) == ("start", Phase.PLANNED, Phase.FILLING)
        assert last.details == {"why": "because"}
        assert backend.ledger.record(planned.id).target_generation == 7

    def test_the_last_event_has_another_name_after_every_change(self, backend: Backend) -> None:
        """Also where the change before it was taken back."""
        names = [backend.ledger.last_event()]
        planned = _plan(backend)
        names.append(backend.ledger.last_event())
        with contextlib.suppress(_TakenBackError), backend.transaction():
            backend.ledger.note(planned.id, "pause", paused=True)
            names.append(backend.ledger.last_event())
            raise _TakenBackError
        assert backend.ledger.last_event() == names[1]
        backend.ledger.advance(planned.id, Phase.FILLING, "start", target_generation=7)
        names.append(backend.ledger.last_event())
        assert len(set(names)) == 4

    @pytest.mark.parametrize("phase", sorted(set(Phase) - TRANSITIONS[Phase.PLANNED]))
    def test_an_illegal_transition_changes_nothing(self, backend: Backend, phase: Phase) -> None:
        """Neither the migration nor its events."""
        planned = _plan(backend)
        with pytest.raises(IllegalTransitionError):
            backend.ledger.advance(planned.id, phase, "leap")
        assert backend.ledger.record(planned.id) == planned
        assert [event.name for event in backend.ledger.events(planned.id)] == ["plan"]

    def test_a_step_is_taken_once(self, backend: Backend) -> None:
        """Whoever wants to take it at the same time is told that it cannot be taken any more."""
        planned = _plan(backend)

        def roll_back() -> object:
            return backend.ledger.advance(planned.id, Phase.ROLLED_BACK, "rollback")

        assert isinstance(meanwhile(backend, roll_back, roll_back), IllegalTransitionError)
        assert [event.name for event in backend.ledger.events(planned.id)] == ["plan", "rollback"]

    def test_an_event_begins_where_the_one_before_it_ended(self, backend: Backend) -> None:
        """Also where the two are written at the same time."""
        planned = _plan(backend)
        meanwhile(
            backend,
            lambda: backend.ledger.advance(planned.id, Phase.ROLLED_BACK, "rollback"),
            lambda: backend.ledger.note(planned.id, "look"),
        )
        events = backend.ledger.events(planned.id)
        assert [event.from_phase for event in events] == [None, *(event.to_phase for event in events[:-1])]

    def test_a_note_changes_fields_and_no_phase(self, backend: Backend) -> None:
        """It writes an event as well."""
        planned = _plan(backend)
        assert backend.ledger.note(planned.id, "pause", paused=True).paused
        last = backend.ledger.events(planned.id)[-1]
        assert (last.name, last.from_phase, last.to_phase) == ("pause", Phase.PLANNED, Phase.PLANNED)
        with pytest.raises(TypeError, match="advance"):
            backend.ledger.note(planned.id, "sneak", phase="serving")

    def test_events_are_followed_from_one_on(self, backend: Backend) -> None:
        """Those of every migration, the oldest first."""
        first, other = _plan(backend), _plan(backend, "another")
        seen = backend.ledger.events_after(0)[-1].id
        backend.ledger.note(other.id, "look")
        backend.ledger.note(first.id, "look")
        assert [event.migration for event in backend.ledger.events_after(seen)] == [other.id, first.id]
        assert backend.ledger.events_after(backend.ledger.events_after(0)[-1].id) == []

    def test_an_unknown_migration_is_an_error(self, backend: Backend) -> None:
        """The message names it."""
        with pytest.raises(MigrationError, match="99"):
            backend.ledger.record(99)


class LeaseConformance:
    """What `revector.backends.contracts.Leases` promises, one behaviour a test."""

    def test_a_lease_has_one_holder(self, backend: Backend) -> None:
        """Whoever asks second does not get it."""
        assert backend.ledger.leases.acquire("build", ME, 60.0)
        assert not backend.ledger.leases.acquire("build", YOU, 60.0)

    def test_leases_of_other_names_are_other_leases(self, backend: Backend) -> None:
        """Two processes may do two different things."""
        assert backend.ledger.leases.acquire("build", ME, 60.0)
        assert backend.ledger.leases.acquire("fit", YOU, 60.0)

    def test_the_holder_renews_a_lease_by_asking_again(self, backend: Backend) -> None:
        """It had run out; from now on it is held again."""
        backend.ledger.leases.acquire("build", ME, 0.0)
        assert backend.ledger.leases.acquire("build", ME, 60.0)
        assert not backend.ledger.leases.acquire("build", YOU, 60.0)

    def test_a_lease_that_ran_out_is_taken_over(self, backend: Backend) -> None:
        """The one who held it does not get it back meanwhile."""
        backend.ledger.leases.acquire("build", ME, 0.0)
        assert backend.ledger.leases.acquire("build", YOU, 60.0)
        assert not backend.ledger.leases.acquire("build", ME, 60.0)

    def test_one_of_two_that_take_a_lease_over_at_once_gets_it(self, backend: Backend) -> None:
        """The other one has seen that it ran out, and comes too late."""
        leases = backend.ledger.leases
        leases.acquire("build", "elsewhere:3:1:1", 0.0)
        took_over = meanwhile(
            backend, lambda: leases.acquire("build", ME, 60.0), lambda: leases.acquire("build", YOU, 60.0)
        )
        assert took_over is False

    def test_a_lease_that_is_given_back_is_free(self, backend: Backend) -> None:
        """Somebody else gets it at once."""
        backend.ledger.leases.acquire("build", ME, 60.0)
        backend.ledger.leases.release("build", ME)
        assert backend.ledger.leases.acquire("build", YOU, 60.0)

    def test_nobody_gives_back_what_somebody_else_holds(self, backend: Backend) -> None:
        """A process that was slow, and lost it, does no harm."""
        backend.ledger.leases.acquire("build", ME, 60.0)
        backend.ledger.leases.release("build", YOU)
        assert not backend.ledger.leases.acquire("build", YOU, 60.0)

    def test_the_lease_of_a_process_that_ended_is_taken_overat_once(self, backend: Backend) -> None:
        """Nobody waits for a process of this machine that was killed."""
        backend.ledger.leases.acquire("build", dead_owner(), 60.0)
        assert backend.ledger.leases.acquire("build", ME, 60.0)

    def test_one_of_many_that_ask_at_once_gets_it(self, backend: Backend) -> None:
        """The others are told so."""
        got = at_once(8, lambda number: backend.ledger.leases.acquire("build", f"elsewhere:{number}:1:1", 60.0))
        assert sorted(map(bool, got)) == [False] * 7 + [True]


class ObservationConformance:
    """What `revector.backends.contracts.Observations` promises, one behaviour a test."""

    def test_sums_add_up(self, backend: Backend) -> None:
        """Nested ones, too; what a name did not have begins at nothing."""
        observations = backend.ledger.observations
        observations.add(1, "step", {"n": 1, "bins": {3: 2}})
        observations.add(1, "step", {"n": 2, "bins": {3: 1, 4: 5}, "late": 0.5})
        assert observations.sums(1, "step") == {"n": 3, "bins": {"3": 3, "4": 5}, "late": 0.5}

    def test_sums_of_other_migrations_and_names_are_other_sums(self, backend: Backend) -> None:
        """They start empty."""
        backend.ledger.observations.add(1, "step", {"n": 1})
        assert backend.ledger.observations.sums(2, "step") == {}
        assert backend.ledger.observations.sums(1, "next") == {}

    def test_nothing_was_observed_before_the_first_time(self, backend: Backend) -> None:
        """Which is not an error."""
        assert backend.ledger.observations.sums(1, "step") == {}
        assert backend.ledger.observations.feedback(1, "step") == []

    def test_two_that_add_at_the_same_time_both_count(self, backend: Backend) -> None:
        """Also where both are the first ones."""
        observations = backend.ledger.observations
        observations.add(1, "other", {"n": 1})
        meanwhile(backend, *[lambda: observations.add(1, "step", {"n": 1})] * 2)
        assert observations.sums(1, "step") == {"n": 2}

    def test_feedback_is_credited_query_by_query(self, backend: Backend) -> None:
        """The reward is that of the best document, by its place."""
        teams = {"x": 1, "y": -1, "z": 1}
        said = [Said("a", id_, "both", team, place, 1.0) for place, (id_, team) in enumerate(teams.items())]
        backend.ledger.observations.record(1, "step", said)
        backend.ledger.observations.record(1, "step", [Said("b", "x", "old", 0, 3, 1.0)])
        found = backend.ledger.observations.feedback(1, "step")
        assert sorted(map(astuple, found)) == [("both", 1.0, 1.0), ("old", 0.0, 0.25)]

    def test_names_that_go_on_after_a_name_are_found_with_it(self, backend: Backend) -> None:
        """Whether sums or feedback are kept under them; others that begin alike are not."""
        observations = backend.ledger.observations
        for name in ("1 2.5", "1 2.5 a%_b", "1 2.55"):
            observations.add(1, name, {"n": 1})
        observations.record(1, "1 2.5 c", [Said("a", "x", "new", 0, 0, 1.0)])
        assert observations.names(1, "1 2.5") == ["1 2.5", "1 2.5 a%_b", "1 2.5 c"]
        assert observations.names(2, "1 2.5") == []

    def test_of_a_document_in_an_answer_the_last_word_counts(self, backend: Backend) -> None:
        """A click that is followed by a complaint is a complaint."""
        for worth in (1.0, -1.0):
            backend.ledger.observations.record(1, "step", [Said("a", "x", "both", 1, 0, worth)])
        assert [each.preference for each in backend.ledger.observations.feedback(1, "step")] == [-1.0]

    def test_the_last_note_of_a_name_is_kept(self, backend: Backend) -> None:
        """Others do not hide it."""
        planned = _plan(backend)
        for event, details in (("stage", {"at": 1}), ("stage", {"at": 2}), ("other", {"at": 3})):
            backend.ledger.note(planned.id, event, details)
        assert backend.ledger.last_note(planned.id, "stage") == {"at": 2}
        assert backend.ledger.last_note(planned.id, "never") is None


class NoteConformance:
    """What `revector.backends.contracts.Notes` promises, one behaviour a test."""

    def test_what_was_kept_last_under_a_name_counts(self, backend: Backend) -> None:
        """It comes back as JSON has it."""
        backend.ledger.notes.keep("limit", {"rate": 1})
        backend.ledger.notes.keep("limit", {"rate": 2.5, "why": ["ä", None]})
        assert backend.ledger.notes.get("limit") == {"rate": 2.5, "why": ["ä", None]}

    def test_nothing_is_found_under_a_name_that_was_not_used_or_dropped(self, backend: Backend) -> None:
        """Dropping what is not there does nothing."""
        backend.ledger.notes.keep("limit", 1)
        backend.ledger.notes.drop("limit")
        backend.ledger.notes.drop("limit")
        assert backend.ledger.notes.get("limit") is None

    def test_notes_are_listed_by_what_their_names_begin_with(self, backend: Backend) -> None:
        """Letters that mean something else in patterns are themselves."""
        for name in ("a_1:x", "a_1:y", "ab1:z"):
            backend.ledger.notes.keep(name, name)
        assert backend.ledger.notes.under("a_1:") == {"x": "a_1:x", "y": "a_1:y"}

    def test_a_note_of_a_transaction_that_was_taken_back_is_not_kept(self, backend: Backend) -> None:
        """It commits together with the rest."""
        with contextlib.suppress(_TakenBackError), backend.transaction():
            backend.ledger.notes.keep("limit", 1)
            raise _TakenBackError
        assert backend.ledger.notes.get("limit") is None
