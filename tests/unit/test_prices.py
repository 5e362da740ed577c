"""Prices, by numbers and by files; and what is recommended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from revector.errors import InvalidArgumentError
from revector.migration.strategies import strategies_named
from revector.planning.prices import Prices, read_prices
from revector.planning.recommendation import Circumstances, recommended, start_command
from revector.spaces import Template
from revector.testing import HashEncoder

SAID: dict[str, Any] = {
    "currency": "USD",
    "machine_hour": 0.4,
    "models": {"small": {"per_million_tokens": 0.02, "batch_per_million_tokens": 0.005}, "large": {}},
}
TOML = """currency = "USD"
machine_hour = 0.4
[models.small]
per_million_tokens = 0.02
batch_per_million_tokens = 0.005
[models.large]
"""
OLD, NEW = HashEncoder(8).space, HashEncoder(12).space


@pytest.mark.parametrize(("name", "content"), [("p.json", json.dumps(SAID)), ("p.toml", TOML), ("p", json.dumps(SAID))])
def test_a_file_has_prices_of_several_models(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text("\ufeff" + content, encoding="utf-8")
    assert read_prices(tmp_path / name, "small") == Prices(0.02, 0.005, 0.4, "USD")
    assert read_prices(tmp_path / name, "large") == Prices(machine_hour=0.4, currency="USD")
    assert read_prices(tmp_path / name) == read_prices(tmp_path / name, "unknown")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"per_million_tokens": "2"}',
        b'{"per_million_tokens": -1}',
        b'{"per_million_tokens": NaN}',
        b'{"price": 1}',
        b'{"models": []}',
        b'{"models": {"small": 3}}',
        b'{"models": {"small": {"machine": 3}}}',
        b'{"currency": 3}',
        b" " * (1 << 21),
    ],
    ids=lambda content: content[:40].decode("latin-1"),
)
def test_a_file_that_is_none_of_prices_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prices.json").write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"prices\.json"):
        read_prices(tmp_path / "prices.json", "small")


@pytest.mark.parametrize("place", ["nowhere.json", ".", "a\0b"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(InvalidArgumentError):
        read_prices(f"{tmp_path}/{place}")


def test_what_is_given_stands_in_the_place_of_what_a_file_says() -> None:
    assert Prices(1.0, None, 3.0).with_more(per_million_tokens=2.0, machine_hour=None) == Prices(2.0, None, 3.0)


def test_tokens_are_priced_each_way_that_has_a_price() -> None:
    assert Prices().of_tokens(1e6) == ()
    assert [price.amount for price in Prices(2.0).of_tokens(1e6)] == [2.0, 1.0]
    assert [price.amount for price in Prices(2.0, 0.5).of_tokens(1e6)] == [2.0, 0.5]
    assert [price.name for price in Prices(None, 0.5).of_tokens(1e6)] == ["batch API"]


def _about(**changed: Any) -> Circumstances:
    usual = {"source": OLD, "target": NEW, "seconds": 1e6, "is_paid": False, "sla_ms": None, "deadline": None}
    return Circumstances(**{**usual, **changed})


@pytest.mark.parametrize(
    ("changed", "strategy"),
    [
        ({"sla_ms": 50.0}, "background,dual-index"),
        ({"sla_ms": 50.0, "is_paid": True, "seconds": 1.0}, "background,dual-index"),
        ({"deadline": 1e10, "is_paid": True}, "background"),
        ({"seconds": 60.0, "is_paid": True}, "background"),
        ({"seconds": 3600.0}, "background?window=22:00-06:00"),
        ({"is_paid": True}, "on-read"),
        ({}, "background"),
    ],
    ids=str,
)
def test_what_suits_is_a_strategy_that_start_takes(changed: dict[str, Any], strategy: str) -> None:
    found = recommended(_about(**changed))
    assert found.strategy == strategy
    assert found.reason
    assert strategies_named(found.strategy)


def test_the_command_can_be_typed_whatever_the_names_are() -> None:
    import dataclasses
    import shlex

    space = dataclasses.replace(NEW, template=Template(("title", "text")))
    command = start_command("my docs.db", "openai:m?x=1&y=2", space, "background?window=22:00-06:00", "2999-01-31")
    assert shlex.split(command) == [
        *("revector", "start", "my docs.db", "--model", "openai:m?x=1&y=2", "--template", "title,text"),
        *("--strategy", "background?window=22:00-06:00", "--deadline", "2999-01-31"),
    ]
