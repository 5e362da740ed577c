"""`revector run --ray`: what of it needs no cluster."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from revector.cli import app, migrate
from revector.collection import Collection
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def place(tmp_path):
    """Return a collection with a migration that has been started."""
    place = str(tmp_path / "docs.db")
    with Collection.open(place, OLD) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        docs.migrate(NEW).start()
    return place


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ((), (None, None, None)),
        (("--ray",), ("", None, None)),
        (("--ray", "--workers", "2"), ("", 2, None)),
        (("--ray", "head:6379", "--num-gpus", "0.5"), ("head:6379", None, 0.5)),
        (("--ray=head:6379",), ("head:6379", None, None)),
    ],
)
def test_an_address_may_be_left_out(place, monkeypatch, typed, expected):
    asked = []

    def crew_for(collection, *said, encoders, niceness):
        asked.append(said)
        return nullcontext()

    monkeypatch.setattr(migrate, "crew_for", crew_for)
    CliRunner().invoke(app, ["run", place, *typed, "--dry-run"], catch_exceptions=False)
    assert asked == [expected]


@pytest.mark.parametrize("options", [("--workers", "2"), ("--num-gpus", "1")])
def test_options_of_a_cluster_without_one_are_refused(place, options):
    result = CliRunner().invoke(app, ["run", place, *options])
    assert result.exit_code == 1
    assert "name it with --ray" in result.stderr


def test_a_cluster_does_not_follow(place):
    result = CliRunner().invoke(app, ["run", place, "--ray", "--follow"])
    assert result.exit_code == 1
    assert "leave out one of them" in result.stderr


def test_without_ray_the_command_names_the_extra(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = CliRunner().invoke(app, ["run", place, "--ray"])
    assert result.exit_code == 1
    assert "pip install 'revector[ray]'" in " ".join(result.stderr.split())
