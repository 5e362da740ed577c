"""Strategies: how a migration gets from one space to the other, each one a short file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.migration.strategies.background import Background
from revector.migration.strategies.base import Reading, Situation, Strategy

__all__ = ["Background", "Strategy", "chosen_reading", "strategies_from_json"]

_NAMED = {"background": Background}


def strategies_from_json(fields: Any) -> tuple[Strategy, ...]:
    """Build the strategies of a migration from what the ledger kept: one object, or a list of them."""
    return tuple(_strategy(each) for each in (fields if isinstance(fields, list) else [fields]))


def chosen_reading(strategies: Sequence[Strategy], situation: Situation) -> Reading:
    """Ask all strategies in their order what a search does."""
    for strategy in strategies:
        situation = replace(situation, reading=strategy.reads(situation))
    return situation.reading


def _strategy(fields: Any) -> Strategy:
    name = fields.get("name") if isinstance(fields, Mapping) else None
    if name not in _NAMED:
        raise InvalidArgumentError(f"{shown(name)} is not a strategy that this revector knows")
    return _NAMED[name].from_json(dict(fields))
