"""Judged queries, whatever their files are: BEIR, TREC, rows, logs; and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from revector.errors import InvalidArgumentError
from revector.formats.judgements import Judgements, load_judgements, write_judgements

QUERY = (
    '{"_id": "q1", "text": "blue bike", "language": "en", "metadata": {"source": "app", "views": 3, "tags": ["a"]}}\n'
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t-1\n"
CLASSIC = """
<top>
<num> Number: 301
<title> International
 Organized Crime

<desc> Description:
Identify organizations.
</top>

<top>
<num> 302 </num>
<title> Topic: Polio </title>
</top>
"""


def folder(place: Path, **files: str | bytes) -> Path:
    """Write files; two underscores in a name stand for a slash, one before the suffix for a dot."""
    for name, content in files.items():
        path = place / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def file(place: Path, content: str | bytes, name: str = "rows.jsonl") -> Path:
    (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return place / name


def lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_folder_of_beir_has_facets_beside_its_queries(tmp_path: Path) -> None:
    other = '{"_id": "q2", "text": "not judged", "language": "de"}\n'
    found = load_judgements(folder(tmp_path, queries_jsonl=QUERY + other, qrels__test_tsv=QRELS))
    assert found.queries == {"q1": "blue bike"}
    assert found.qrels == {"q1": {"d1": 2, "d2": -1}}
    assert (found.judged_by, found.notes, found.doubt) == ("people", (), 0.0)
    assert found.facets == {"language": {"q1": "en"}, "source": {"q1": "app"}, "views": {"q1": "3"}}


def test_another_split_is_named_by_its_file(tmp_path: Path) -> None:
    folder(tmp_path, queries_jsonl=QUERY, qrels__dev_tsv="q1\td9\t1\n")
    assert load_judgements(tmp_path / "qrels" / "dev.tsv").qrels == {"q1": {"d9": 1}}


def test_classic_topics_of_trec(tmp_path: Path) -> None:
    (tmp_path / "topics.robust").write_text(CLASSIC)
    (tmp_path / "qrels.robust").write_text("301 0 FT1 1\r\n302 0 FT2 0\r\n")
    found = load_judgements(tmp_path)
    assert found.queries == {"301": "International Organized Crime", "302": "Polio"}
    assert found.qrels["301"] == {"FT1": 1}


@pytest.mark.parametrize("name", ["topics_tsv", "topics_txt", "queries_tsv"])
def test_topics_may_be_ids_and_texts_between_tabs(tmp_path: Path, name: str) -> None:
    topics = b"\xef\xbb\xbf7\tblue bike\r\n8\tred car\r\n"
    assert load_judgements(folder(tmp_path, **{name: topics, "qrels_txt": "7 0 d1 1\n"})).queries == {"7": "blue bike"}


def test_packed_tables_with_integer_ids(tmp_path: Path) -> None:
    (tmp_path / "queries.csv.gz").write_bytes(gzip.compress(b"id,text,language\r\n7,blue bike,en\r\n"))
    found = load_judgements(folder(tmp_path, qrels_csv="query-id,corpus-id,score\n7,11,1\n"))
    assert (found.queries, found.qrels, found.facets) == (
        {"7": "blue bike"},
        {"7": {"11": 1}},
        {"language": {"7": "en"}},
    )


def test_one_file_of_rows_that_people_judged(tmp_path: Path) -> None:
    rows = "query,document,grade,language\nblue  bike,d1,2,en\nBlue bike,d2,0,en\nred car,d3,1,\n"
    found = load_judgements(file(tmp_path, rows, "judged.csv"))
    assert found.queries == {"q1": "blue bike", "q2": "red car"}
    assert found.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 1}}
    assert found.facets == {"language": {"q1": "en"}}


def test_one_row_may_name_all_that_is_relevant(tmp_path: Path) -> None:
    rows = lines({"query": "blue bike", "relevant": ["d1", 7]}, {"query": "red car", "relevant": {"d3": 3, "d4": 0}})
    assert load_judgements(file(tmp_path, rows)).qrels == {"q1": {"d1": 1, "7": 1}, "q2": {"d3": 3, "d4": 0}}


def test_a_log_beside_queries_names_them_by_id(tmp_path: Path) -> None:
    clicks = lines({"query_id": "q1", "document_id": "d1", "kind": "click", "time": 1.5})
    found = load_judgements(folder(tmp_path, queries_jsonl=QUERY, clicks_jsonl=clicks))
    assert (found.queries, found.qrels, found.judged_by) == ({"q1": "blue bike"}, {"q1": {"d1": 1}}, "clicks")
    assert found.facets["language"] == {"q1": "en"}


def test_a_search_event_says_the_text_of_the_clicks_after_it(tmp_path: Path) -> None:
    log = lines(
        {"query_id": "s1", "query": "blue bike"},
        {"query_id": "s2", "query": "Blue  Bike"},
        {"query_id": "s1", "document": "d1", "kind": "click"},
        {"query_id": "s2", "document": "d2", "kind": "good"},
    )
    found = load_judgements(file(tmp_path, log))
    assert found.queries == {"q1": "blue bike"}
    assert found.qrels == {"q1": {"d1": 1, "d2": 2}}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    given = Judgements(
        {"q 1": "blue bike", "q2": "ünï"}, {"q 1": {"d1": 3}, "q2": {"d2": 0}}, "a model: m", ("as it was",),
        {"language": {"q2": "de"}}, 0.5,
    )  # fmt: skip
    assert load_judgements(write_judgements(given, tmp_path / "out")) == given


def test_ids_that_no_table_holds_are_left_out_and_counted(tmp_path: Path) -> None:
    given = Judgements({"q": "blue bike"}, {"q": {"d1": 1, "two\nlines": 1, "a\ttab": 2, " space": 1}})
    found = load_judgements(write_judgements(given, tmp_path))
    assert found.qrels == {"q": {"d1": 1}}
    assert found.notes == ("3 judgements of ids with tabs, line ends or white space around them are not in the file",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"has no queries.jsonl or topics\*"),
        ({"queries_jsonl": QUERY}, "has no qrels.tsv or qrels/test.tsv"),
        ({"queries_jsonl": "", "qrels_tsv": QRELS}, "queries.jsonl is empty"),
        ({"queries_jsonl": QUERY, "qrels_tsv": ""}, "no judgement with a grade above zero"),
        ({"queries_jsonl": QUERY, "qrels_tsv": "q1\td1\t-1\n"}, "no judgement with a grade above zero"),
        ({"queries_jsonl": QUERY, "qrels_tsv": "q9\td1\t1\n"}, r"unknown query id\(s\), the first is 'q9'"),
        ({"queries_jsonl": QUERY + QUERY, "qrels_tsv": QRELS}, "queries.jsonl:2: id 'q1' occurs twice"),
        ({"queries_jsonl": QUERY, "qrels_a": QRELS, "qrels_b": QRELS}, "name the file that is meant"),
        ({"topics_txt": "no tab here\n", "qrels_tsv": QRELS}, "topics.txt:1: 'no tab here' has no tab"),
        ({"topics_txt": "7\ta\n7\tb\n", "qrels_tsv": QRELS}, "topic '7' occurs twice"),
        ({"topics_txt": "7\t\n", "qrels_tsv": QRELS}, "a topic without a text"),
        ({"topics_txt": "<top>\n<title> x\n</top>", "qrels_tsv": QRELS}, "topic 1: a topic without an id"),
        ({"topics_txt": "", "qrels_tsv": QRELS}, "topics.txt is empty"),
        ({"queries_jsonl": QUERY, "qrels_tsv": QRELS, "judged_json": '{"doubt": -1}'}, "expected what"),
        ({"queries_jsonl": QUERY, "qrels_tsv": QRELS, "judged_json": "nonsense"}, "judged.json: not JSON"),
        ({"queries_jsonl": b"\xff\xfeq", "qrels_tsv": QRELS}, "UTF-16"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        load_judgements(folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lines({"query": "x", "document": "d"}), "document 'd': grade 'None'"),
        (lines({"query": "x", "document": "d", "grade": 0.5}), "document 'd': grade '0.5', expected an integer"),
        (lines({"query": "x", "document": "d", "grade": True}), "expected an integer"),
        (lines({"query": "x", "document": True, "grade": 1}), "rows.jsonl:1: the document's id is True"),
        (lines({"query": 7, "document": "d", "grade": 1}), "the query is 7, expected its text"),
        (lines({"query": "x", "relevant": "d"}), "'relevant' is 'd', expected a list"),
        (lines(*({"query": "x", "document": "d", "grade": n} for n in (1, 2))), "twice, 1 and 2"),
        (lines({"query_id": "s", "document": "d", "kind": "click"}), "query_id 's' has no text"),
        (lines({"document": "d", "kind": "click"}), "neither 'query' nor 'query_id'"),
        (
            lines({"query": "x", "document": "d", "kind": "bought"}),
            "kind is 'bought', expected one of",
        ),
        (lines({"query": "x", "document": "d", "clicked": "maybe"}), "clicked is 'maybe', expected true or false"),
        (lines({"query": "x", "document": "d", "clicked": 1, "position": "first"}), "position is 'first'"),
        (lines({"query": "x", "document": "d", "clicked": 1, "position": "9" * 5000}), "of at most nine digits"),
        (
            lines({"query": "x", "document": "d", "clicked": True}),
            "grade above zero.*fewer than 10",
        ),
        ("nonsense\n", "neither a column query, nor a queries file beside it"),
        ("", "neither a column query"),
        ('{"query": "\\ud800", "document": "d", "grade": 1}\n', "not valid Unicode"),
    ],
)
def test_rows_that_cannot_be_read_say_why(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        load_judgements(file(tmp_path, rows))


@pytest.mark.parametrize("path", ["nowhere", "", "a\0b", 7, None])
def test_what_is_not_there_is_an_error(tmp_path: Path, path: object) -> None:
    with pytest.raises(InvalidArgumentError):
        load_judgements(tmp_path / path if path == "nowhere" else path)  # type: ignore[arg-type]
