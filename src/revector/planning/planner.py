"""Making a plan: what is measured, what is worked out from it, and where it is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from revector.backends.contracts import Backend
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_each
from revector.errors import MigrationError
from revector.migration.beside import beside
from revector.migration.filling.bridge import map_bytes
from revector.migration.filling.filling import OnProgress
from revector.migration.schedule import deadline_of, planned_by
from revector.migration.strategies.background import RESCORING
from revector.migration.throttle import NO_LIMITS
from revector.planning.cost import PLAN_NOTE, Cost
from revector.planning.indexing import INDEXED, build_index
from revector.planning.move import Move
from revector.planning.plan import Measured, Plan, PrecisionChoice, Wanted
from revector.planning.precisions import offers
from revector.planning.prices import Price, Prices
from revector.planning.probe import PROBE_DOCUMENTS, PROBE_SECONDS, encoder_rate, fill
from revector.planning.recommendation import Circumstances, recommended, start_command
from revector.planning.texts import Texts, drawn_texts, model_of, texts_of

_DAY_SECONDS = 86400.0
_TEXTS_AT_HAND = 1_024
_ASKED_TIMES = 5


def make_plan(
    move: Move,
    wanted: Wanted,
    *,
    try_store: bool = True,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Plan:
    """Measure what a migration takes, and write the plan down where that is possible.

    Parameters
    ----------
    move : Move
    wanted : Wanted
        What is asked of it.
    try_store : bool
        Whether a worker may fill a generation beside the one that serves; otherwise nothing is written.
    on_progress, stop
        As for a worker.

    Raises
    ------
    MigrationError
        The collection is in that space already.
    EncoderError
        The model embeds nothing of a sample.
    """
    if move.serving.space.fingerprint == move.space.fingerprint:
        raise MigrationError(f"the collection is in the space {move.space} already; there is nothing to plan")
    if wanted.deadline is not None:
        deadline_of(wanted.deadline)  # what is wrong is said before anything is embedded
    texts = texts_of(move.backend, move.encoder)
    measured = _measured(move, texts, try_store=try_store, on_progress=on_progress, stop=stop)
    plan = compiled(move, wanted, texts, measured)
    if try_store and not move.backend.read_only:
        keep_plan(move.backend, plan)
    return plan


def keep_plan(backend: Backend, plan: Plan) -> None:
    """Write a plan down in place of the one before."""
    backend.ledger.notes.keep(PLAN_NOTE, plan.to_json())


def kept_plan(backend: Backend) -> Plan | None:
    """Return the last plan, or ``None``."""
    kept = backend.ledger.notes.get(PLAN_NOTE)
    return None if kept is None else Plan.from_json(kept)


def compiled(move: Move, wanted: Wanted, texts: Texts, measured: Measured) -> Plan:
    """Work out a plan from what was measured."""
    rate = _worker_rate(texts, measured)
    cost = Cost.of(
        texts.documents,
        move.serving.space,
        move.space,
        rate,
        workers=wanted.workers,
        texts=texts.different,
        writes_per_second=measured.indexed.writes_per_second if measured.indexed else None,
    )
    if (filled := measured.filled) is not None:
        cost = replace(cost, seconds=cost.seconds + filled.fixed_seconds + texts.documents * filled.asking_seconds)
    index_seconds = None if measured.indexed is None else measured.indexed.seconds_for(texts.documents)
    seconds = cost.seconds + (index_seconds or 0.0)
    both_live = seconds + wanted.retention_seconds
    writes = wanted.writes_per_day * both_live / _DAY_SECONDS
    prices = _priced(move.encoder, wanted.prices)
    moment = None if wanted.deadline is None else deadline_of(wanted.deadline)
    money = (*prices.of_tokens(texts.tokens), *_of_machines(move.encoder, prices, seconds, wanted.workers))
    about = Circumstances(
        move.serving.space, move.space, seconds, any(each.amount for each in money), wanted.sla_ms, moment
    )
    advice = recommended(about)
    return Plan(
        at=time.time(),
        source=str(move.serving.space),
        target=str(move.space),
        target_fingerprint=move.space.fingerprint,
        cost=cost,
        texts=texts,
        measured=measured,
        index_seconds=index_seconds,
        map_bytes=map_bytes(move.serving.space, move.space, texts.documents),
        prices=money,
        both_live_seconds=both_live,
        write_seconds=writes / measured.encoder_per_second if measured.encoder_per_second else 0.0,
        write_prices=prices.of_tokens(writes * texts.tokens_a_text) if writes else (),
        precisions=_precisions(cost, texts, measured),
        schedule=None if moment is None else planned_by(moment, texts.different, rate, NO_LIMITS),
        strategy=advice.strategy,
        reason=advice.reason,
        command=start_command(move.backend.place, move.model, move.space, advice.strategy, wanted.deadline),
        notes=(*measured.notes, *_unseen(texts)),
        wanted=replace(wanted, prices=prices),
    )


def _measured(
    move: Move, texts: Texts, *, try_store: bool, on_progress: OnProgress | None, stop: threading.Event | None
) -> Measured:
    at_hand = drawn_texts(move.backend, move.space, _TEXTS_AT_HAND, 0)
    if not at_hand:
        return Measured(None)
    is_paid = _is_service(move.encoder)
    found = () if is_paid else offers(move.encoder, at_hand)
    alone = next((offer.documents_per_second for offer in found if offer.present), None)
    measured = Measured(
        encoder_per_second=alone or encoder_rate(move.backend, move.encoder),
        rescoring_seconds=0.0 if is_paid else _rescoring_seconds(move.encoder, at_hand[: RESCORING.texts]),
        offers=found,
    )
    why_not = _why_not_tried(move, try_store=try_store, is_paid=is_paid)
    if not why_not:
        try:
            return _tried(move, measured, texts, on_progress, stop)
        except MigrationError as error:
            why_not = str(error)
    return replace(measured, notes=(f"reading, writing and the index, which were not tried: {why_not}",))


def _tried(
    move: Move, measured: Measured, texts: Texts, on_progress: OnProgress | None, stop: threading.Event | None
) -> Measured:
    """Let a worker, and an index, show what they take."""
    keys = move.backend.documents.sample(PROBE_DOCUMENTS, 0)
    with beside(move.backend, move.space, "a plan") as (made, renew):
        filled = fill(move, made, keys, renew, seconds=PROBE_SECONDS, on_progress=on_progress, stop=stop)
        indexed = build_index(move, made, min(INDEXED, texts.documents))
    return replace(measured, filled=filled, indexed=indexed)


def _why_not_tried(move: Move, *, try_store: bool, is_paid: bool) -> str:
    if move.backend.read_only:
        return "the collection can only be read"
    if is_paid:
        return "a service is paid for each text"
    return "" if try_store else "nothing was to be written"


def _worker_rate(texts: Texts, measured: Measured) -> float | None:
    """Return documents a second of a worker, for texts as long as they are on average."""
    filled = measured.filled
    if filled is None:
        return measured.encoder_per_second
    longer = filled.tokens_a_text / texts.tokens_a_text if texts.tokens_a_text else 1.0
    return filled.documents_per_second * longer


def _precisions(cost: Cost, texts: Texts, measured: Measured) -> tuple[PrecisionChoice, ...]:
    """Return what a worker takes with each precision: the encoder's part of a document's time changes, no other."""
    alone = next((offer.documents_per_second for offer in measured.offers if offer.present), None)
    if alone is None or not cost.documents_per_second:
        return ()
    rest = max(0.0, 1 / cost.documents_per_second - 1 / alone)
    rates = [(offer, 1 / (rest + 1 / offer.documents_per_second)) for offer in measured.offers]
    return tuple(
        PrecisionChoice(
            offer.precision, rate, cost.seconds * cost.documents_per_second / rate, offer.present, offer.source
        )
        for offer, rate in rates
    )


def _rescoring_seconds(encoder: TextEncoder, texts: Sequence[str]) -> float:
    seconds = []
    for _ in range(_ASKED_TIMES):
        began = time.perf_counter()
        encode_each(encoder, texts)
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def _priced(encoder: TextEncoder, prices: Prices) -> Prices:
    """Return prices with what the encoder itself was told that a token costs, unless a price is given."""
    judge = getattr(model_of(encoder), "estimate", None)
    if judge is None or prices.per_million_tokens is not None:
        return prices
    told = judge(["a text to ask the price of"])
    return prices if told.price is None else prices.with_more(per_million_tokens=told.price / max(told.tokens, 1) * 1e6)


def _of_machines(encoder: TextEncoder, prices: Prices, seconds: float, workers: int) -> tuple[Price, ...]:
    return () if _is_service(encoder) else prices.of_machines(seconds, workers)


def _is_service(encoder: TextEncoder) -> bool:
    return hasattr(model_of(encoder), "spent")


def _unseen(texts: Texts) -> tuple[str, ...]:
    if texts.looked_at >= texts.documents:
        return ()
    return (f"identical texts beyond the first {texts.looked_at:,} documents: they are taken to be as frequent",)
