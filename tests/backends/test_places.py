"""Where a collection is: the scheme decides, and no password of a refused URL is seen again."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest
from typer.testing import CliRunner

from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.places import file_of
from revector.cli import app
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.testing import HashEncoder

SERVERS = [
    "postgresql://me:s3cret@host/db",
    "POSTGRES://me:s3cret@host/db",
    "postgresql+psycopg://me:s3cret@host/db?password=s3cret",
    "postgres:me:s3cret@host",
    "postgresql:/me:s3cret@host/db",  # what Path makes of it
    "redis://:s3cret@host:6379/0",
    "rediss:s3cret@host",
    "s3://s3cret:key@bucket/docs.db",
    "mongodb+srv://me:s3cret@host",
    "https://me:s3cret@host/docs.db",
    "whatever://me:s3cret@host",
    "file:///tmp/s3cret.db",
    "file:s3cret.db?mode=ro",
    "sqlite://me:s3cret@host/docs.db",
    "sqlite:s3cret.db",
    "sqlite+pysqlcipher://:s3cret@/docs.db",
    "sqlite:///docs.db?key=s3cret",
    "me:s3cret@host/docs",
    "postgresql://me:s3cret@host/db\0",
]


def shown(error: BaseException) -> str:
    return "".join([*traceback.format_exception(error), repr(error), repr(pickle.dumps(error))])


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("url", SERVERS)
def test_a_url_of_something_else_is_refused_and_its_secret_not_shown(url, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for opens in (file_of, Database, Collection.open, lambda place: Collection.open(place, HashEncoder())):
        with pytest.raises(InvalidArgumentError) as refused:
            opens(kind(url))
        assert "s3cret" not in shown(refused.value)
        says_what = ("SQLite file", "expected postgresql://", "expected SCHEME://", "set REDIS_PASSWORD")
        assert any(said in str(refused.value) for said in says_what)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:s3cret@host/db", "mysql: is not supported"),
        ("postgresql://me:s3cret@host/db", "the URL names no collection"),
    ],
)
@pytest.mark.parametrize(
    "command", ["init {} --model none", "add {} x.jsonl", "search {} x", "doctor {}", "status {}", "run {}"]
)
def test_no_command_shows_a_password(command, url, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"id": "a", "text": "x"}\n')
    ran = CliRunner().invoke(app, command.format(url).split())
    assert ran.exit_code == 1
    assert "s3cret" not in ran.output
    assert said in ran.output


def test_a_refused_url_is_not_worth_a_question_to_a_service():
    class Service:
        source, dimension = None, None

        @property
        def space(self):
            raise AssertionError("the service was asked")

        def encode(self, texts, **options): ...

    with pytest.raises(InvalidArgumentError, match="mysql: is not supported"):
        Collection.open("mysql://host", Service())


@pytest.mark.parametrize(
    "path", ["a.db", "notes:v2.db", "C:/docs.db", "a/b:c@d.db", "10:30 noon.db", "./http:a.db", "é ü?.db", "a@b:c.db"]
)
def test_other_names_are_paths(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_of(path) == tmp_path / path


@pytest.mark.parametrize("url", ["sqlite:///{}", "sqlite+pysqlite:///{}", "SQLITE:///{}"])
def test_a_url_of_a_file_is_its_path(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_of(url.format("a.db")) == file_of(url.format(tmp_path / "a.db")) == tmp_path / "a.db"
