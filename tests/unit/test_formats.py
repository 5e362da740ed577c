"""Users' files: every way in which one can be written, and what is said of those that cannot be read."""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import os
import subprocess
import sys
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from revector.errors import InvalidArgumentError
from revector.formats.lines import read_lines
from revector.formats.rows import DocumentRow, read_documents

ROW = b'{"id": "a", "text": "caf\xc3\xa9"}'
packed = partial(gzip.compress, mtime=0)  # the same name of a test in every process
TWO_ROWS = b'{"id": "first", "text": "one"}\n{"id": "a", "text": %s}\n'


def _read(folder: Path, content: bytes, name: str = "rows.jsonl") -> list[DocumentRow]:
    (folder / name).write_bytes(content)
    return list(read_documents(folder / name))


def _stdin(monkeypatch: pytest.MonkeyPatch, content: bytes, encoding: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding=encoding))


@pytest.mark.parametrize(
    "content",
    [
        ROW,
        ROW + b"\n",
        ROW + b"\r\n",
        b"\n\r\n  \n" + ROW + b"\n\n",
        codecs.BOM_UTF8 + ROW + b"\n",
        packed(ROW),
        packed(codecs.BOM_UTF8 + ROW),
        b"id,text\na,caf\xc3\xa9",
        codecs.BOM_UTF8 + b'"id","text"\r\n"a","caf\xc3\xa9"\r\n',
        b"text\t_id\ncaf\xc3\xa9\ta\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_file_and_stdin_are_read_alike_whatever_the_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, encoding: str
) -> None:
    _stdin(monkeypatch, content, encoding)
    (row,) = _read(tmp_path, content)
    (from_stdin,) = read_documents("-")
    assert row[1:] == from_stdin[1:] == ("a", "café", {})


def test_two_files_with_a_mark_each_can_be_joined(tmp_path: Path) -> None:
    assert len(_read(tmp_path, (codecs.BOM_UTF8 + ROW + b"\n") * 2)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROW.decode().encode("utf-16"), "rows.jsonl is UTF-16; save it as UTF-8"),
        (ROW.decode().encode("utf-16-le"), "rows.jsonl:1: a NUL byte at offset 1"),
        (ROW.decode().encode("utf-32"), "rows.jsonl is UTF-32"),
        (ROW + b"\n" + ROW.decode().encode("latin-1"), "rows.jsonl:2: byte 0xe9 at offset 53 is not UTF-8"),
        (b"PK\x03\x04rest", "rows.jsonl is a zip archive"),
        (packed(ROW)[:-9], "rows.jsonl is a damaged gzip file"),
        (packed(packed(ROW)), "rows.jsonl is compressed with gzip twice"),
        (b'[\n {"id": 1}\n]', "rows.jsonl:1: the file is one JSON array"),
        (b'{"id": "a", "te', 'rows.jsonl:1: row "a": not JSON'),
        (b"null\n", "rows.jsonl:1: got a JSON NoneType"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        _read(tmp_path, content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"null", "row 'a': 'text' is None, expected a string"),
        (b"7", "row 'a': 'text' is 7, expected a string"),
        (b'["x"]', "row 'a': 'text' is"),
        (b"NaN", 'row "a": NaN is not JSON'),
        (b"-Infinity", 'row "a": -Infinity is not JSON'),
        (b'"cut \\ud83d"', "row 'a': its text is not valid Unicode"),
        (b'"x", "n": ' + b"9" * 5_000, 'row "a": an integer of 5,000 digits'),
        (b'"x", "n": 1e999', 'row "a": the number'),
        (b'"x", "n": ' + b"[" * 100_000 + b"]" * 100_000, 'row "a": nested more than 100 deep'),
        (b'"x", "n": ' + b"[" * 200 + b"]" * 200, "row 'a': its metadata: nested more than 100 deep"),
        (b'"x", "n": ["\\udc00"]', "row 'a': its metadata is not valid Unicode"),
        (b'"x", "text": "y"', "row \"a\": the key 'text' is there twice"),
        (b'"x", "_id": "b"', "both 'id' and '_id'"),
        (b'"x", "title": 3', "row 'a': 'title' is 3"),
        (b'"x", "metadata": [1]', "row 'a': 'metadata' is"),
        (b'"x", "n": 1, "metadata": {"n": 2}', "row 'a': 'n' is a field of the row and of its metadata"),
    ],
)
def test_a_refusal_names_line_and_id(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        _read(tmp_path, TWO_ROWS % text)
    assert f"rows.jsonl:2: {message}" in str(refusal.value).replace("the row has both", "both")


@pytest.mark.parametrize("key", ["null", '""', "1.5", "true", '["a"]', '"\\u0000"', '"\\ud800"', "{}"])
def test_an_id_that_is_none_is_refused_with_its_line(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"rows.jsonl:2: the row's .?id"):
        _read(tmp_path, b"\n" + f'{{"id": {key}, "text": "x"}}'.encode())


def test_an_integer_becomes_a_string_however_long(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, b'{"id": 123456789012345678901, "text": "x"}')
    assert row.id == "123456789012345678901"


def test_further_fields_are_kept_as_metadata(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, b'{"_id": 1, "title": "T", "text": "x", "url": "u", "tags": [1], "metadata": {"n": null}}')
    assert row == (f"{tmp_path}/rows.jsonl:1", "1", "T\nx", {"url": "u", "tags": [1], "n": None})


def test_cells_with_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    content = b'id,text,lang\n"a","one, ""two""\r\nthree",de\n\n,,\nb,x,en\n'
    first, second = _read(tmp_path, content, "rows.csv")
    assert first == (f"{tmp_path}/rows.csv:2", "a", 'one, "two"\r\nthree', {"lang": "de"})
    assert second.where.endswith("rows.csv:6")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"doc1,some text\n", "rows.csv:1: a table begins with the names of its columns"),
        (b"id,text,id\na,b,c\n", "rows.csv:1: the header names the column 'id' twice"),
        (b"id,text\na,one\nb,two,three\n", "rows.csv:3: row 'b': 3 cells, expected 2"),
        (b'id,text\na,"never ends\n\n\n', "rows.csv:2: the row that begins here cannot be read"),
        (b"id,text\na,x\0y\n", "rows.csv:2: a NUL byte at offset 11"),
        (b"id,text\n,x\n", "rows.csv:2: the row's 'id'"),
        (b"id,text\ra,x\r", "rows.csv:1"),
    ],
)
def test_a_table_that_is_not_one_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        _read(tmp_path, content, "rows.csv")


def test_a_row_of_json_that_speaks_of_columns_is_no_header(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, b'{"id": 1, "text": "columns,text,id,n"}')
    assert row.text == "columns,text,id,n"


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert _read(tmp_path, b"") == _read(tmp_path, codecs.BOM_UTF8) == _read(tmp_path, b"\n\n") == []


@pytest.mark.parametrize(("name", "message"), [("nowhere", "there is no file"), ("", "the name of the file is empty")])
def test_a_file_that_is_not_there(name: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        next(read_documents(name))


def test_a_folder_without_texts_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="has no text files"):
        next(read_documents(tmp_path))


@pytest.mark.parametrize("stdin", [None, io.TextIOWrapper(io.BytesIO())])
def test_a_closed_stdin_is_named(monkeypatch: pytest.MonkeyPatch, stdin: io.TextIOWrapper | None) -> None:
    if stdin is not None:
        stdin.close()
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(InvalidArgumentError, match="stdin is closed"):
        next(read_documents("-"))


def test_a_row_is_there_as_soon_as_its_writer_has_written_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    written, read = threading.Event(), threading.Event()

    def write() -> None:
        with (tmp_path / "fifo").open("wb", buffering=0) as pipe:
            pipe.write(ROW + b"\n")
            written.set()
            read.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    (row,) = itertools.islice(read_documents(tmp_path / "fifo"), 1)
    assert written.wait(5)  # and did not wait for us
    read.set()
    writer.join()
    assert row.id == "a"


def test_a_line_without_an_end_is_refused_before_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revector.formats.lines.MAX_LINE_BYTES", 1000)
    (tmp_path / "rows").write_bytes(b"x" * 10_000)
    with pytest.raises(InvalidArgumentError, match="rows:1 is longer than"):
        list(read_lines(tmp_path / "rows"))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path, name: str) -> None:
    head, row = (b"", ROW + b"\n") if name == "rows.jsonl" else (b"id,text\n", b"a,some text of a document\n")
    (tmp_path / name).write_bytes(head + row * 20_000)
    tracemalloc.start()
    n_rows = sum(1 for _ in read_documents(tmp_path / name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_rows, peak < 500_000) == (20_000, True)


def test_a_stdin_that_was_never_opened(tmp_path: Path) -> None:
    code = "from revector.formats.rows import read_documents; next(read_documents('-'))"
    run = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "{code}" <&-'], capture_output=True, text=True, check=False
    )
    assert "InvalidArgumentError: stdin is closed" in run.stderr
