"""What is not typed: the environment, revector.toml, and what comes before what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Let commands be typed in an empty folder."""
    monkeypatch.chdir(tmp_path)


def _run(*arguments, code=0, text=None):
    result = CliRunner().invoke(app, list(arguments), input=text, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def _made(name):
    with Collection.open(name, HashEncoder()) as docs:
        docs.upsert(["a"], [f"the text of {name}"])
    return name


def _of(*arguments):
    """Return the collection that a command has found."""
    return json.loads(_run(*arguments, "--json").stdout)["collection"]


def test_a_flag_comes_before_the_environment_and_that_before_the_file(monkeypatch):
    for name in ("typed.db", "environment.db", "file.db"):
        _made(name)
    Path("revector.toml").write_text('collection = "file.db"\n')
    assert _of("status") == "file.db"
    monkeypatch.setenv("REVECTOR_COLLECTION", "environment.db")
    assert _of("status") == "environment.db"
    assert _of("status", "typed.db") == "typed.db"


def test_a_table_of_a_command_comes_before_what_holds_for_all(monkeypatch):
    _made("docs.db")
    Path("revector.toml").write_text('collection = "nowhere.db"\n[status]\ncollection = "docs.db"\n')
    assert _of("status") == "docs.db"
    monkeypatch.setenv("REVECTOR_COLLECTION", "away.db")
    monkeypatch.setenv("REVECTOR_STATUS_COLLECTION", "docs.db")
    assert _of("status") == "docs.db"
    assert "away.db" in _run("events", code=1).stderr


def test_another_file_is_named_by_option_or_variable(monkeypatch):
    _made("docs.db")
    Path("other.toml").write_text('collection = "docs.db"\n')
    assert json.loads(_run("--config", "other.toml", "status", "--json").stdout)["collection"] == "docs.db"
    monkeypatch.setenv("REVECTOR_CONFIG", "other.toml")
    assert _of("status") == "docs.db"
    assert "cannot be read" in _run("--config", "nowhere.toml", "status", code=1).stderr


def test_the_collection_is_left_out_where_an_argument_would_lack(monkeypatch):
    monkeypatch.setenv("REVECTOR_COLLECTION", _made("docs.db"))
    assert json.loads(_run("failures", "--json", code=1).stdout)["error"]["type"] == "InvalidArgumentError"
    assert json.loads(_run("search", "a query", "-k", "1", "--json", code=1).stdout)["error"]["type"] == "EncoderError"
    assert json.loads(_run("doctor", "--json").stdout)["collection"]["documents"] == 1
    assert json.loads(_run("backup", "copies", "--json").stdout)["backup"].endswith("copies/docs.db")
    assert _run("search", code=2).stdout == ""  # there is no query either


def test_options_of_every_kind_have_defaults():
    _made("docs.db")
    search = '[search]\nk = 3\nwhere = ["tenant=a", "year=2020"]\n'
    Path("revector.toml").write_text(f'collection = "docs.db"\n{search}[watch]\nonce = true\nevery = 0.5\n')
    assert "no migration" in _run("watch").stdout
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collection, "load_models", lambda self: None)
        patch.setattr(Collection, "search", lambda self, query, k, where: asked.append((query, k, where)) or [])
        _run("search", "q")
        _run("search", "q", "-k", "5", "--where", "x=1")
    both = {"and": [{"tenant": "a"}, {"year": 2020}]}
    assert asked == [("q", 3, both), ("q", 5, {"and": [{"x": 1}]})]


def test_several_words_of_a_variable_are_several_values(monkeypatch):
    _made("docs.db")
    asked = []
    monkeypatch.setenv("REVECTOR_SEARCH_WHERE", "tenant=a 'name=a b'")
    monkeypatch.setenv("REVECTOR_SEARCH_K", "7")
    monkeypatch.setattr(Collection, "load_models", lambda self: None)
    monkeypatch.setattr(Collection, "search", lambda self, query, k, where: asked.append((k, where)) or [])
    _run("search", "docs.db", "q")
    assert asked == [(7, {"and": [{"tenant": "a"}, {"name": "a b"}]})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('colection = "docs.db"', "has no key 'colection'; did you mean 'collection'?"),
        ("[serach]\nk = 3", "has no key 'serach'; did you mean 'search'?"),
        ("[search]\nwere = 3", "[search] has no key 'were'; did you mean 'where'?"),
        ('model = "minilm"', "has no key 'model'"),
        ("yes = true", "has 'yes', which has to be typed"),
        ("[retire]\nyes = true", "has 'yes', which has to be typed"),
        ("[retire]\nforce = true", "which has to be typed"),
        ("json = true", "which has to be typed"),
        ("api_key = 'sk-s3cret'", "has no key 'api_key'"),
        ("collection = [1979-05-27]", "holds date, expected"),
        ("[run.deeper]\nnice = 3", "has no key 'deeper'"),
        ("collection = ", "is not TOML: see end of document"),
        ("= 's3cret'", "is not TOML"),
        ("[[ends]]\nmodels = ['m']", "needs models"),
    ],
)
def test_a_key_that_is_not_known_is_an_error_that_names_the_nearest(text, said):
    Path("revector.toml").write_text(text)
    refused = _run("status", "docs.db", "--json", code=1)
    error = json.loads(refused.stdout)["error"]
    assert error["type"] == "InvalidArgumentError"
    assert said in error["message"]
    assert "revector.toml" in error["message"]
    assert "s3cret" not in refused.output


@pytest.mark.parametrize("content", [b"\xff\xfea\x00", b"a = 1\n" * 200_000, b"\x00", b"[" * 5000])
def test_a_file_of_something_else_is_an_error(content):
    Path("revector.toml").write_bytes(content)
    assert "Traceback" not in _run("status", "docs.db", code=1).stderr


def test_an_empty_file_says_nothing():
    Path("revector.toml").touch()
    assert _run("doctor").exit_code == 0


def test_help_and_version_need_no_sound_file():
    Path("revector.toml").write_text("colection = 3")
    assert "Example" in _run("status", "--help").stdout
    _run("--version")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_password_of_the_file_or_the_environment_is_never_repeated(options, monkeypatch):
    url = "postgresql://me:s3cr%40t@127.0.0.1:9/docs?connect_timeout=1"
    Path("revector.toml").write_text(f'collection = "{url}"\n')
    assert "s3cr" not in _run("status", *options, code=1).output
    Path("revector.toml").unlink()
    monkeypatch.setenv("REVECTOR_COLLECTION", url)
    assert "s3cr" not in _run("status", *options, code=1).output


def test_the_ends_of_a_project_are_found_by_the_doctor():
    _made("docs.db")
    name = HashEncoder().space.model
    Path("revector.toml").write_text(f'[[ends]]\nmodels = ["{name}"]\non = 2020-01-31\nsource = "a mail"\n')
    found = json.loads(_run("doctor", "docs.db", "--json", code=1).stdout)
    assert found["next_steps"] == ["revector start docs.db --model MODEL"]
    assert "was switched off on 2020-01-31" in found["findings"][0]["what"]
    assert "a mail" in found["findings"][0]["why"]


def test_variables_of_other_things_are_left_alone(monkeypatch):
    monkeypatch.setenv("REVECTOR_PHASE", "filling")
    monkeypatch.setenv("REVECTOR_NUM_THREADS", "1")
    _run("doctor")
