"""What `watch` and `doctor` say of a collection, wherever it is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def place(places):
    place = str(places / "docs.db")
    with Collection.open(place, OLD) as docs:
        docs.upsert([f"d{i}" for i in range(40)], [f"text {i}" for i in range(40)])
        docs.migrate(NEW).start()
    return place


def _told(command, place, *more, code=0):
    result = CliRunner().invoke(app, [command, place, *more, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_look_at_a_migration_tells_where_it_stands(place):
    found = _told("watch", place, "--once")
    assert (found["migration"]["phase"], found["migration"]["share"], found["documents"]) == ("filling", 0.0, 40)
    with Collection.open(place, encoders=[OLD, NEW]) as docs:
        docs.migration.run()
    assert _told("watch", place, "--once")["migration"]["phase"] == "proving"


def test_a_sound_collection_has_no_problems(place):
    found = _told("doctor", place)
    assert [each for each in found["findings"] if each["is_problem"]] == []
