"""Collections: the docstrings of one's own Python, and folders of documents, queries and judgements."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from revector.demo.docstrings import python_corpus, source_roots
from revector.errors import InvalidArgumentError
from revector.formats.judgements import Corpus, load_corpus, write_corpus
from revector.formats.qrels import read_qrels

REST = (
    "It walks every shelf in turn, compares each spine with the wanted title, letter by letter, "
    "and gives the first match back to the reader."
)
MODULE = f'''
def find_book(title):
    """Find one book by its title.

    {REST}
    """

class Shelf:
    """Hold books side by side. {REST} A shelf has an end.  """

    def copy(self):
        """Find one book by its title again, please.

        {REST}
        """

    def short(self):
        """Too short to keep. Really."""

def signature():
    """signature(x, y) -> z

    Compute what the signature promises: {REST} {REST}
    """
'''


def _sources(root: Path, text: str = MODULE) -> Path:
    (root / "library" / "tests").mkdir(parents=True)
    (root / "library" / "__init__.py").write_text("")
    (root / "library" / "books.py").write_text(text)
    (root / "library" / "broken.py").write_text("def (:")
    (root / "library" / "tests" / "helpers.py").write_text(MODULE.replace("title", "name").replace("shelf", "box"))
    return root


def test_first_sentence_is_the_query_and_the_rest_the_document(tmp_path: Path) -> None:
    corpus = python_corpus(roots=[_sources(tmp_path)])
    assert corpus.queries["q:library.books.find_book"] == "Find one book by its title."
    assert corpus.documents["library.books.find_book"] == REST
    assert corpus.qrels["q:library.books.find_book"] == {"library.books.find_book": 1}


def test_a_summary_on_one_line_is_split_at_its_full_stop(tmp_path: Path) -> None:
    corpus = python_corpus(roots=[_sources(tmp_path)])
    assert corpus.queries["q:library.books.Shelf"] == "Hold books side by side."
    assert corpus.documents["library.books.Shelf"] == f"{REST} A shelf has an end."


def test_equal_documents_are_kept_once_and_short_ones_not_at_all(tmp_path: Path) -> None:
    corpus = python_corpus(roots=[_sources(tmp_path)])
    assert sorted(corpus.documents) == ["library.books.Shelf", "library.books.find_book", "library.books.signature"]


def test_signature_lines_and_test_folders_are_skipped(tmp_path: Path) -> None:
    corpus = python_corpus(roots=[_sources(tmp_path)])
    assert corpus.queries["q:library.books.signature"] == "Compute what the signature promises"


def test_the_same_query_for_two_documents_is_not_asked(tmp_path: Path) -> None:
    twin = f'\ndef other():\n    """Find one book by its title.\n\n    {REST} Or does it?\n    """\n'
    corpus = python_corpus(roots=[_sources(tmp_path, MODULE + twin)])
    assert "library.books.other" in corpus.documents
    assert "Find one book by its title." not in corpus.queries.values()


def test_limits_and_order_are_the_same_every_time(tmp_path: Path) -> None:
    _sources(tmp_path)
    first = python_corpus(n_documents=2, n_queries=1, roots=[tmp_path])
    assert (len(first.documents), len(first.queries)) == (2, 1)
    assert first == python_corpus(n_documents=2, n_queries=1, roots=[tmp_path])


def test_own_python_is_read_and_not_imported() -> None:
    source_roots()  # sysconfig reads its own data once
    before = set(sys.modules)
    corpus = python_corpus(n_documents=300, n_queries=50)
    assert (len(corpus.documents), len(corpus.queries)) == (300, 50)
    assert set(sys.modules) == before


def test_nothing_documented_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no documented Python source"):
        python_corpus(roots=[tmp_path])


CORPUS = Corpus("small", {"a": "one", "b": "two"}, {"q": "which?"}, {"q": {"b": 2}})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert load_corpus(write_corpus(CORPUS, tmp_path / "small")) == CORPUS


def test_beir_layout_with_titles_header_and_unjudged_queries(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    rows = ['{"_id": "a", "title": "Title", "text": "one"}', "", '{"_id": 7, "title": "", "text": "two"}']
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "which?"}\n{"_id": "r", "text": "not judged"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t7\t1\n")
    corpus = load_corpus(tmp_path)
    assert corpus.documents == {"a": "Title\none", "7": "two"}
    assert corpus.queries == {"q": "which?"}
    assert corpus.qrels == {"q": {"7": 1}}


def test_trec_judgements(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv").write_text("q 0 a 1\nq 0 b 0\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"q": {"a": 1, "b": 0}}


def test_a_query_may_be_called_query(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv").write_text("query\ta\t1\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"query": {"a": 1}}


def test_a_folder_of_packed_tables_is_a_corpus_too(tmp_path: Path) -> None:
    (tmp_path / "docs.csv.gz").write_bytes(gzip.compress(b'id,text\r\na,one\r\nb,"two, or\nthree"\r\n'))
    (tmp_path / "queries.tsv").write_text("id\ttext\nq\twhich?\n")
    (tmp_path / "qrels.csv").write_text("query-id,corpus-id,score\nq,b,2\n")
    expected = Corpus(tmp_path.name, {"a": "one", "b": "two, or\nthree"}, {"q": "which?"}, {"q": {"b": 2}})
    assert load_corpus(tmp_path) == expected


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("docs.jsonl", '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', r"docs.jsonl:2: id 'a' occurs twice"),
        ("docs.jsonl", "nonsense\n", r"docs.jsonl:1: not JSON"),
        ("docs.jsonl", "[1]\n", r"docs.jsonl:1: got a JSON list"),
        ("docs.jsonl", '{"text": "x"}\n', r"docs.jsonl:1: the row's 'id' \(or '_id'\) is missing"),
        ("docs.jsonl", '{"id": "a", "text": 3}\n', r"docs.jsonl:1: row 'a': 'text' is 3, expected a string"),
        ("docs.jsonl", "", r"docs.jsonl is empty"),
        ("queries.jsonl", '{"id": "other", "text": "x"}\n', r"judges 1 unknown query id\(s\), the first is 'q'"),
        ("qrels.tsv", "q\tzzz\t1\n", r"judges 1 unknown document id\(s\), the first is 'zzz'"),
        ("qrels.tsv", "q\tb\n", r"qrels.tsv:1: 2 columns"),
        ("qrels.tsv", "q\ta\t1\nq\tb\tgood\n", r"qrels.tsv:2: query 'q', document 'b': grade 'good'"),
        ("qrels.tsv", "q\ta\t1\nq\tb\t1_0\n", r"qrels.tsv:2: query 'q', document 'b': grade '1_0'"),
        ("qrels.tsv", "q\ta\t1\nq\tb\t" + "9" * 5000, r"qrels.tsv:2: query 'q', document 'b': grade '9999"),
        ("qrels.tsv", "q\ta\t1\nq\ta\t2\n", r"qrels.tsv:2: query 'q' grades document 'a' twice, 1 and 2"),
        ("qrels.tsv", "q\t\t1\n", r"qrels.tsv:1: the id of the document is empty"),
        ("qrels.tsv", "q Q0 a 1 0.5 run\n", r"qrels.tsv:1: six columns are a run of TREC"),
        ("qrels.tsv", "q\tb\t0\n", r"no judgement with a grade above zero"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, file: str, content: str, message: str) -> None:
    write_corpus(CORPUS, tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(InvalidArgumentError, match=message):
        load_corpus(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"has no docs.jsonl or corpus.jsonl"):
        load_corpus(tmp_path)


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    write_corpus(CORPUS, tmp_path)
    (tmp_path / "docs.jsonl").write_bytes(b'{"id": "a", "text": "\xff\xfe"}\n')
    with pytest.raises(InvalidArgumentError, match=r"docs.jsonl:1: byte 0xff at offset 21 is not UTF-8"):
        load_corpus(tmp_path)
