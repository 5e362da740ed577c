"""Documents from Parquet files and from folders of text files."""

from __future__ import annotations

import codecs
import datetime
import decimal
import gzip
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from revector.errors import InvalidArgumentError, MissingExtraError
from revector.formats.rows import read_documents, read_texts

# Folders


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/y.rst", "c.TXT", "日本.txt", "packed.txt.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(b"unpacked"))
    for passed_over in (".hidden.txt", ".git/x.txt", "picture.png", "table.csv"):
        (tmp_path / passed_over).parent.mkdir(exist_ok=True)
        (tmp_path / passed_over).write_bytes(b"\x00")
    rows = list(read_documents(tmp_path))
    assert [row.id for row in rows] == ["b.txt", "c.TXT", "packed.txt.gz", "日本.txt", "a/y.rst", "a/z.md"]
    assert [row.text for row in rows][:3] == ["b.txt", "c.TXT", "unpacked"]


def test_a_text_file_is_one_document_whatever_its_lines_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b'{"id": 1}\r\n\r\nid,text\n')
    (tmp_path / "empty.txt").touch()
    assert [row.text for row in read_documents(tmp_path)] == ['{"id": 1}\r\n\r\nid,text\n', ""]


def test_a_large_text_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a line of text\n" * 700_000)
    (row,) = read_documents(tmp_path)
    assert len(row.text) == 15 * 700_000


@pytest.mark.parametrize("content", [b"\xff\xfea\0", b"caf\xe9", b"a\0b", b"PAR1"])
def test_a_file_that_is_not_text_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "wrong.txt").write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"wrong\.txt"):
        list(read_documents(tmp_path))


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    with pytest.raises(InvalidArgumentError, match="no text files"):
        list(read_documents(tmp_path))


def test_a_link_that_leads_nowhere_or_in_a_circle_is_no_trap(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "round").symlink_to(tmp_path)
    assert [row.id for row in read_documents(tmp_path)] == ["a.txt"]
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidArgumentError, match=r"gone\.txt"):
        list(read_documents(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_a_name_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt"), "w") as file:  # noqa: PTH118, PTH123
        file.write("text")
    with pytest.raises(InvalidArgumentError, match="not valid Unicode"):
        list(read_documents(tmp_path))


@pytest.mark.parametrize("name", ["", "a\0b", "nowhere"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        list(read_documents(name))


# Parquet


def _written(folder: Path, columns: dict[str, Any], name: str = "rows.parquet", **options: Any) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), folder / name, **options)
    return folder / name


def test_a_parquet_file_is_known_by_what_it_holds_and_its_columns_become_metadata(tmp_path: Path) -> None:
    columns = {
        "_id": [1, 2],
        "title": ["Bread", None],
        "text": ["Mix flour.", "Cook onions."],
        "year": [2020, None],
        "price": [1.5, float("nan")],
        "tags": [["a", "b"], []],
        "at": [datetime.datetime(2026, 11, 30, 12), None],
        "sum": [decimal.Decimal("1.10"), None],
        "embedding": [[0.5, 1.5], [2.5, 3.5]],
    }
    first, second = read_documents(_written(tmp_path, columns, "named_otherwise", row_group_size=1))
    assert (first.id, first.text, second.id, second.text) == ("1", "Bread\nMix flour.", "2", "Cook onions.")
    assert first.metadata == {
        "year": 2020,
        "price": 1.5,
        "tags": ["a", "b"],
        "at": "2026-11-30T12:00:00",
        "sum": "1.10",
    }
    assert second.metadata == {"tags": []}
    assert second.where.endswith("named_otherwise:2")


def test_many_rows_come_batch_by_batch_with_their_numbers(tmp_path: Path) -> None:
    place = _written(tmp_path, {"id": list(range(3_000)), "text": ["text"] * 3_000})
    rows = list(read_documents(place))
    assert [row.where for row in rows[::1_000]] == [f"{place}:{number}" for number in (1, 1_001, 2_001)]
    assert len(read_texts(place)) == 3_000


def test_metadata_may_be_json_or_a_struct(tmp_path: Path) -> None:
    rows = [*read_documents(_written(tmp_path, {"id": ["a"], "text": ["b"], "metadata": ['{"c": [1]}']}))]
    rows += read_documents(_written(tmp_path, {"id": ["a"], "text": ["b"], "metadata": [{"c": [1]}]}))
    assert [row.metadata for row in rows] == [{"c": [1]}, {"c": [1]}]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["a"]}, "expected 'id'"),
        ({"id": ["a"]}, "'text'"),
        ({"id": ["a"], "text": [1]}, "row 'a': 'text' is 1"),
        ({"id": [None], "text": ["a"]}, ":1: the row's 'id'"),
        ({"id": [""], "text": ["a"]}, ":1: the row's 'id'"),
        ({"id": ["a"], "text": [None]}, "'text' is missing"),
        ({"id": ["a"], "text": ["b"], "raw": [b"\x00"]}, "'raw' is"),
        ({"id": ["a"], "text": ["b"], "metadata": ["{"]}, "not JSON"),
        ({"id": ["a"], "text": ["b"], "metadata": ["[]"]}, "expected one object"),
    ],
    ids=str,
)
def test_what_is_no_document_is_named(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    place = _written(tmp_path, columns)
    with pytest.raises(InvalidArgumentError, match=said) as refused:
        list(read_documents(place))
    assert str(place) in str(refused.value)


def test_a_file_of_no_rows_has_no_documents(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    empty = arrow.array([], arrow.string())
    assert list(read_documents(_written(tmp_path, {"id": empty, "text": empty}))) == []


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"PAR1 and text"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.parquet").write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"rows\.parquet is damaged"):
        list(read_documents(tmp_path / "rows.parquet"))


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    place = _written(tmp_path, {"id": ["a"] * 99, "text": ["b"] * 99})
    place.write_bytes(place.read_bytes()[:-9])
    with pytest.raises(InvalidArgumentError, match="damaged"):
        list(read_documents(place))


def test_without_its_library_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'revector\[parquet\]'"):
        list(read_documents(tmp_path / "rows.parquet"))
