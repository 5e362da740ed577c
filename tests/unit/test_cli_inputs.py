"""Every command with good, bad, empty, huge and hostile input: an answer or a reason, one document, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder

TEXTS = {"a": "bake a loaf of bread", "b": "oil the chain of the bike", "c": "raise the poles of the tent"}
HOSTILE = {
    "unicode": "日本語 Ünïcödé 👩‍🔬",
    "right to left": "\u202eevil",
    "newlines": "one\ntwo\r\nthree",
    "terminal codes": "\x1b[2J\x1b]0;title\x07",
    "markup": "[red]x[/red] [/INST] {x} %s",
    "html": "<script>alert('x')</script>",
    "quotes": 'it\'s "quoted" $(reboot) `reboot` ; rm -rf /',
    "path": "../../../etc/passwd",
    "option": "--help",
    "blank": " ",
    "long": "x" * 10_000,
}
each_hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
MEGABYTES = 10


class Cli:
    """Commands on one collection, each of which has to behave."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model, self.place = folder, model, str(folder / "docs.db")

    def __call__(self, verb, *arguments, text=None, codes=(0,)):
        """Run a command with and without --json; return the document."""
        after = ["--", *arguments[arguments.index("--") + 1 :]] if "--" in arguments else []
        before = list(arguments[: len(arguments) - len(after)])
        result = CliRunner().invoke(app, [verb, self.place, *before, "--json", *after], input=text)
        assert result.exit_code in codes, (result.output, result.exception)
        assert "Traceback" not in result.stderr
        assert not set("\x1b\x07\u202e") & set(result.output)
        (line,) = result.stdout.splitlines()
        document = json.loads(line)
        assert list(document)[-1] == "next_steps"
        assert ("error" in document) == (result.exit_code not in (0, 3) and "added" not in document)
        return document

    def added(self, *rows, codes=(0,)):
        return self("add", text="".join(json.dumps(row) + "\n" for row in rows), codes=codes)

    def written(self, name, content):
        file = self.folder / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(file)


@pytest.fixture
def cli(tmp_path, static_model):
    """Return a collection with three documents."""
    cli = Cli(tmp_path, static_model("model", 8, TEXTS.values()))
    cli("init", "--model", str(cli.model))
    cli.added(*({"id": key, "text": text} for key, text in TEXTS.items()))
    return cli


def _ids(place):
    with Collection.open(place) as docs:
        return docs.ids()


@each_hostile
def test_whatever_an_id_and_a_text_hold_is_stored_and_found(cli, text):
    assert cli.added({"id": text, "text": f"bread {text}", "tenant": text})["documents"] == 4
    assert _ids(cli.place)[-1] == text
    hits = cli("search", "bread", "--where", json.dumps({"tenant": text}))["hits"]
    assert [(hit["id"], hit["text"]) for hit in hits] == [(text, f"bread {text}")]
    shown = CliRunner().invoke(app, ["search", cli.place, "bread"])
    assert (shown.exit_code, "\x1b" in shown.stdout) == (0, False)


@each_hostile
def test_a_query_may_hold_anything(cli, text):
    found = {hit["id"] for hit in cli("search", "-k", "9", "--", text)["hits"]}
    assert found == (set(TEXTS) if text.strip() else set())  # nothing is near to nothing


def test_empty_and_huge_queries_are_answered(cli):
    assert cli("search", "", "-k", "1000000000")["hits"] == []
    assert len(cli("search", "bread", "-k", "1000000000")["hits"]) == 3
    assert len(cli("search", "bread " * 200_000)["hits"]) == 3


@pytest.mark.parametrize(
    "where",
    [
        "{",
        "[]",
        "null",
        "=",
        "a",
        '{"a": {"b": {"c": 1}}}',
        '{"and": 3}',
        '{"' + "x" * 100_000 + '": 1}',
        "[" * 100_000,
        '{"a": 1e999}',
        "a=1e999",
        "a=NaN",
        "a=" + "9" * 5_000,
        "\x00=1",
    ],
)
def test_a_filter_that_is_none_is_a_reason_or_finds_nothing(cli, where):
    document = cli("search", "bread", "--where", where, codes=(0, 1))
    assert document.get("hits", []) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "", "text": "x"}, "id"),
        ({"id": None, "text": "x"}, "id"),
        ({"id": True, "text": "x"}, "id"),
        ({"id": 1.5, "text": "x"}, "id"),
        ({"id": ["a"], "text": "x"}, "id"),
        ({"id": "a\0b", "text": "x"}, "NUL"),
        ({"id": "\ud800", "text": "x"}, "surrogate"),
        ({"id": "x", "text": "\ud800"}, "surrogate"),
        ({"id": "x"}, "'text' is missing"),
        ({"id": "x", "text": 3}, "'text' is 3"),
        ({"id": "x", "text": "y", "metadata": 3}, "'metadata' is 3"),
        ({"id": "x", "_id": "y", "text": "z"}, "both"),
        ({"id": "x", "text": "y", "n": float("nan")}, "stdin:1"),
        ([1, 2], "object"),
        (3, "object"),
    ],
)
def test_a_row_that_is_no_document_is_named_with_its_line(cli, row, said):
    error = cli.added(row, codes=(1,))["error"]["message"]
    assert "stdin:1" in error
    assert said in error
    assert _ids(cli.place) == list(TEXTS)


def test_integers_are_ids_and_of_equal_ids_the_last_counts(cli):
    rows = [
        {"id": 7, "text": "first"},
        {"id": "7", "text": "second"},
        {"id": -3, "text": "x"},
        {"id": 10**30, "text": "y"},
    ]
    assert cli.added(*rows)["documents"] == 6
    with Collection.open(cli.place) as docs:
        assert docs.documents(["7"])[0].text == "second"
        assert docs.documents([str(10**30)])[0].text == "y"


@pytest.mark.parametrize(
    ("name", "content", "documents"),
    [
        ("empty.jsonl", "", 3),
        ("blank.jsonl", "\n \n\r\n", 3),
        ("bom.jsonl", '\ufeff{"id": "x", "text": "y"}\n', 4),
        ("crlf.jsonl", '{"id": "x", "text": "y"}\r\n{"id": "z", "text": "y"}\r\n', 5),
        ("bom.csv", "\ufeffid,text\r\n1,one\r\n2,two\r\n", 5),
        ("quoted.csv", 'id,text\nx,"two\nlines, and ""quotes"""\n', 4),
        ("tabs.tsv", "id\ttext\n1\tone\n", 4),
        ("header.csv", "id,text\n", 3),
        ("twice.csv", "id,text\nx,one\nx,two\n", 4),
        ("no-end.jsonl", '{"id": "x", "text": "y"}', 4),
    ],
)
def test_files_of_every_kind_are_read(cli, name, content, documents):
    assert cli("add", cli.written(name, content))["documents"] == documents


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfei\x00d\x00",
        b"\x00\x01\x02",
        b"PK\x03\x04rest",
        b"\x1f\x8bnot gzip",
        b'{"id": "x", "text": "\xff"}\n',
        b"id,name\n1,2\n",
        b"[\n",
        b"{" * 10_000,
    ],
)
def test_files_of_something_else_are_refused(cli, content):
    assert cli.written("file", content) in cli("add", str(cli.folder / "file"), codes=(1,))["error"]["message"]


@pytest.mark.parametrize("file", ["nowhere.jsonl", "/", "", "a\nb"])
def test_a_file_that_cannot_be_read_is_named(cli, file):
    assert cli("add", "--", file, codes=(1,))["error"]["type"] == "InvalidArgumentError"


def test_a_document_of_ten_megabytes_is_added_found_and_shown_in_short(cli):
    text = "bread " * (MEGABYTES * 1_000_000 // 6)
    cli.added({"id": "huge", "text": text})
    assert cli("search", "bread", "-k", "1")["hits"][0]["id"] == "huge"
    assert len(CliRunner().invoke(app, ["search", cli.place, "bread"]).stdout) < 5_000


# Queries and judgements


def _judged(cli, queries, judgements, name="queries.jsonl", qrels="qrels.tsv"):
    folder = cli.folder / "judged"
    folder.mkdir()
    (folder / name).write_text(queries, newline="")
    (folder / qrels).write_text(judgements, newline="")
    return str(folder)


QUERIES = "".join(f'{{"id": "q{i}", "text": "bread {i}"}}\n' for i in range(3))
JUDGED = {
    "no query": ("", "q0\ta\t1\n"),
    "no judgement": (QUERIES, ""),
    "documents that are not there": (QUERIES, "q0\tnowhere\t1\nq1\tnowhere\t1\n"),
    "queries that are not there": (QUERIES, "x\ta\t1\n"),
    "negative grades": (QUERIES, "q0\ta\t-1\nq1\tb\t1\nq2\tc\t-2147483648\n"),
    "huge grades": (QUERIES, "q0\ta\t999999999999\n"),
    "grades that are words": (QUERIES, "q0\ta\tgood\n"),
    "windows": ("\ufeff" + QUERIES.replace("\n", "\r\n"), "\ufeffq0\ta\t1\r\nq1\tb\t1\r\n"),
    "the same query twice": (QUERIES + QUERIES, "q0\ta\t1\n"),
    "the same judgement twice": (QUERIES, "q0\ta\t1\nq0\ta\t0\nq1\tb\t1\n"),
    "integers": ('{"id": 1, "text": "bread"}\n{"id": 2, "text": "bike"}\n', "1\ta\t1\n2\tb\t1\n"),
    "hostile": ('{"id": "\\u001b[2J", "text": "\\u202e"}\n', "\x1b[2J\ta\t1\n"),
}


@pytest.mark.parametrize(("queries", "judgements"), JUDGED.values(), ids=JUDGED)
def test_judgements_of_every_kind_end_in_a_verdict_or_a_reason(cli, queries, judgements):
    document = cli("assess", "--model", str(cli.model), "--judged", _judged(cli, queries, judgements), codes=(0, 1, 3))
    assert "error" not in document or document["error"]["type"] == "InvalidArgumentError"


@pytest.mark.parametrize("judged", ["nowhere", "/dev/null", "", "."])
def test_judgements_that_are_not_there_are_a_reason(cli, judged):
    cli("assess", "--model", str(cli.model), "--judged", judged, codes=(1, 2))


@pytest.mark.parametrize("content", ["", "\n", "not json", '{"id": "q"}\n', '{"text": "q"}\n', QUERIES + QUERIES])
@pytest.mark.parametrize("verb", ["replay", "insure"])
def test_queries_that_are_none_are_a_reason(cli, verb, content):
    model = ["--model", str(cli.model)] if verb == "insure" else []
    cli(verb, *model, "--queries", cli.written("queries.jsonl", content), codes=(1,))


# Options


@each_hostile
@pytest.mark.parametrize("option", ["--model", "--strategy", "--deadline", "--encoder"])
def test_options_of_a_start_that_are_none_are_a_reason(cli, option, text):
    model = [] if option == "--model" else ["--model", str(cli.model)]
    cli("start", *model, f"{option}={text}", codes=(1, 2))


@each_hostile
def test_a_template_may_name_any_field(cli, text):
    assert cli("start", "--model", str(cli.model), f"--template={text}", codes=(0, 1))


@pytest.mark.parametrize(
    "options",
    [
        ["--max-load", "-1"],
        ["--max-load", "nan"],
        ["--rate", "0"],
        ["--rate", "1e999"],
        ["--share", "2"],
        ["--batch", "0"],
        ["--batch", "99999999999999999999"],
        ["--window", "25:00-26:00"],
        ["--window", "\x1b[2J"],
        ["--http", "ftp://x"],
        ["--http", "http://me:secret@host/"],
        ["--query", ""],
        ["--search-p99", "-5"],
    ],
)
def test_limits_that_cannot_be_are_a_reason(tmp_path, options):
    place = str(tmp_path / "moving.db")
    with Collection.open(place, HashEncoder(8, seed=1, name="old")) as docs:
        docs.upsert(["a"], ["text"])
        docs.migrate(HashEncoder(8, seed=2, name="new")).start()
    result = CliRunner().invoke(app, ["throttle", place, *options, "--json"])
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["error"]["message"]


@each_hostile
def test_a_dependent_may_have_any_name(cli, text):
    named = "" if not text.strip() else text
    codes = (0,) if named else (1,)
    cli("depends", "--sql", "SELECT 1", "--", text, codes=codes)
    assert [each["name"] for each in cli("depends")["dependents"]] == ([text] if named else [])
    if named:
        cli("depends", "--forget", "--", text)


@each_hostile
@pytest.mark.parametrize("verb", ["status", "events", "failures", "watch", "checklist", "doctor", "pause", "verify"])
def test_a_collection_may_be_called_anything_and_stays_away(verb, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [verb, "--json", "--", text])
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.stderr
    assert not set("\x1b\x07\u202e") & set(result.output)
    assert json.loads(result.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


@each_hostile
def test_a_backup_may_go_to_any_folder(cli, text, tmp_path, monkeypatch):
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b" / "c" / "d")
    document = cli("backup", "--", text, codes=(0, 1))
    assert "backup" in document or document["error"]["message"]


@pytest.mark.parametrize("verb", ["status", "watch", "checklist", "doctor", "events", "search"])
def test_an_empty_collection_is_one(tmp_path, verb):
    place = str(tmp_path / "empty.db")
    Collection.open(place, HashEncoder()).close()
    options = {"watch": ["--once"], "search": ["q"]}.get(verb, [])
    result = CliRunner().invoke(app, [verb, place, *options, "--json"])
    assert result.exit_code == (1 if verb == "search" else 0), result.output
    assert list(json.loads(result.stdout))[-1] == "next_steps"
