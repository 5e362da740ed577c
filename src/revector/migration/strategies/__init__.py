"""Strategies: how a migration gets from one space to the other, each one a short file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.ledger.records import Fields
from revector.migration.strategies.background import Background
from revector.migration.strategies.base import Facts, Reading, Situation, Strategy, Work
from revector.migration.strategies.dual_index import DualIndex
from revector.migration.strategies.on_read import OnRead
from revector.migration.strategies.representation import Representation
from revector.migration.strategies.rollout import Rollout
from revector.migration.strategies.shadow import Shadow

__all__ = [
    "NAMES",
    "Background",
    "DualIndex",
    "OnRead",
    "Representation",
    "Rollout",
    "Shadow",
    "Strategy",
    "chosen_reading",
    "chosen_strategies",
    "chosen_work",
    "objections",
    "strategies_from_json",
    "strategies_named",
    "strategies_to_json",
]

_KINDS = (Background, OnRead, DualIndex, Representation, Rollout, Shadow)
_NAMED: dict[str, Any] = {kind.NAME: kind for kind in _KINDS}
NAMES = tuple(_NAMED)


def strategies_from_json(fields: Any) -> tuple[Strategy, ...]:
    """Build the strategies of a migration from what the ledger kept: one object, or a list of them."""
    return tuple(_strategy(each) for each in (fields if isinstance(fields, list) else [fields]))


def chosen_strategies(given: Any) -> tuple[Strategy, ...]:
    """Return the strategies that a caller gave, one or several; raise `InvalidArgumentError` for anything else."""
    listed = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for each in listed:
        if type(each) not in _NAMED.values():
            kinds = ", ".join(kind.__name__ for kind in _NAMED.values())
            raise InvalidArgumentError(f"strategy is {shown(each)}, expected one of {kinds}, or a list of them")
    if not listed:
        raise InvalidArgumentError("strategy is an empty list; leave it out for a plain Background")
    return listed


def strategies_named(names: str) -> tuple[Strategy, ...]:
    """Return strategies by their names: ``"background,dual-index?weight_of_old=0.3&after_cutover=true"``.

    They are separated by commas. What is not said behind a ``?`` has its default; objects have to be made in Python.

    Raises
    ------
    InvalidArgumentError
        There is no strategy of one of the names, or it has no such field, or the value is wrong.
    """
    return tuple(_described(each.strip()) for each in names.split(","))


def _described(description: str) -> Strategy:
    name, _, said = description.partition("?")
    if name not in _NAMED:
        raise InvalidArgumentError(f"{shown(name)} is not a strategy; there are {', '.join(NAMES)}")
    options = dict(parse_qsl(said, keep_blank_values=True))
    known = [field.name for field in dataclasses.fields(_NAMED[name])]
    if unknown := options.keys() - set(known):
        expected = ", ".join(known) or "no options"
        raise InvalidArgumentError(f"{name} has no {shown(min(unknown))}, expected {expected}")
    strategy: Strategy = _NAMED[name](**{option: _value(text) for option, text in options.items()})
    return strategy


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def strategies_to_json(strategies: Sequence[Strategy]) -> Fields | list[Fields]:
    """Return what the ledger keeps: one object, as earlier releases read it, or a list of several."""
    fields = [strategy.to_json() for strategy in strategies]
    return fields[0] if len(fields) == 1 else fields


def chosen_work(strategies: Sequence[Strategy], facts: Facts) -> Work:
    """Return what workers do: what the first strategy says that minds, or a plain `Background`."""
    answers = (strategy.fills(facts) for strategy in (*strategies, Background()))
    return next(work for work in answers if work is not None)


def objections(strategies: Sequence[Strategy], situation: Situation) -> list[str]:
    """Return what the strategies say against the next step."""
    return [reason for strategy in strategies for reason in strategy.gates(situation)]


def chosen_reading(strategies: Sequence[Strategy], situation: Situation) -> Reading:
    """Ask all strategies in their order what a search does."""
    for strategy in strategies:
        situation = replace(situation, reading=strategy.reads(situation))
    return situation.reading


def _strategy(fields: Any) -> Strategy:
    name = fields.get("name") if isinstance(fields, Mapping) else None
    if name not in _NAMED:
        raise InvalidArgumentError(f"{shown(name)} is not a strategy that this revector knows")
    strategy: Strategy = _NAMED[name].from_json(dict(fields))
    return strategy
