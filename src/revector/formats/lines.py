"""Lines of a file or of stdin: UTF-8 whatever the locale says, each with the place where it stands.

A byte order mark is dropped, a gzip file is unpacked. Everything else is refused by name, with what to do.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from revector.errors import InvalidArgumentError

__all__ = ["BOM", "MAX_LINE_BYTES", "STDIN", "Line", "read_lines"]

STDIN = "-"
"""The name under which stdin is read."""
MAX_LINE_BYTES = 1 << 26
"""A longer line is hardly text: a binary file, or a JSON document on one line."""

BOM = "\ufeff"
"""The byte order mark that some programs put before UTF-8."""

_BOM = BOM.encode()
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 16
_REFUSED = {
    b"\xff\xfe\x00\x00": "UTF-32; save it as UTF-8: iconv -f UTF-32 -t UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32; save it as UTF-8: iconv -f UTF-32 -t UTF-8",
    b"\xff\xfe": "UTF-16; save it as UTF-8: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8: iconv -f UTF-16 -t UTF-8",
    b"PK\x03\x04": "a zip archive (an .xlsx file is one, too); unpack it, or export the table as CSV",
    b"PAR1": "a Parquet file; it is read by its name, unpacked, and not where rows come in one after the other",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it: zstd -dc",
    b"BZh": "compressed with bzip2; unpack it: bzip2 -dc",
    b"\xfd7zXZ\x00": "compressed with xz; unpack it: xz -dc",
    b"SQLite format 3\x00": "a SQLite database; expected text",
    _GZIP: "compressed with gzip twice; unpack it: gunzip",
}
"""How files begin that are not UTF-8 text, longer beginnings first."""


class Line(NamedTuple):
    """One line as it stands, its ending included, and its place (``file:line``)."""

    where: str
    text: str


def read_lines(path: str | os.PathLike[str]) -> Generator[Line, None, None]:
    """Yield every line of a file, or of stdin for ``"-"``, the blank ones too.

    Whoever may raise before the end closes it, and the file with it.

    Raises
    ------
    InvalidArgumentError
        There is nothing to read, it is not UTF-8 text, or a line is longer than `MAX_LINE_BYTES`.
    """
    name = "stdin" if path == STDIN else os.fspath(path)
    with _opened(path, name) as stream:
        head, unpacked = _unpacked(stream)
        _require_text(head, name)
        offset = len(_BOM) if head.startswith(_BOM) else 0
        unpacked.read(offset)
        for number, raw in enumerate(_raw_lines(unpacked, name), start=1):
            where = f"{name}:{number}"
            yield Line(where, _decoded(raw, where, offset))
            offset += len(raw)


@contextmanager
def _opened(path: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    """Open a file, or borrow stdin; failures of reading are told with the name."""
    try:
        if path == STDIN:
            yield _stdin()
        elif not name:
            raise InvalidArgumentError("the name of the file is empty; name a file, or - for stdin")
        else:
            with Path(path).open("rb") as stream:
                yield stream
    except InvalidArgumentError:
        raise
    except FileNotFoundError as error:
        raise InvalidArgumentError(f"there is no file {name}") from error
    except IsADirectoryError as error:
        raise InvalidArgumentError(f"{name} is a folder, expected a file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidArgumentError(f"{name} is a damaged gzip file ({error}); copy or download it again") from error
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{name} cannot be read: {error}") from error


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise InvalidArgumentError("stdin is closed; name a file, or send the rows: … < documents.jsonl")
    return sys.stdin.buffer


class _Rejoined(io.RawIOBase):
    """A stream with its beginning, which was read, put back before the rest: a pipe cannot be rewound."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)] or self._rest.read1(len(buffer))
        self._head = self._head[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def _unpacked(stream: Any) -> tuple[bytes, BinaryIO]:
    """Return the first bytes of the text and all of it, unpacked if it is compressed with gzip."""
    head, whole = _looked_into(stream)
    return _looked_into(gzip.GzipFile(fileobj=whole)) if head.startswith(_GZIP) else (head, whole)


def _looked_into(stream: Any) -> tuple[bytes, BinaryIO]:
    head = stream.read(_HEAD_BYTES)
    return head, cast(BinaryIO, io.BufferedReader(_Rejoined(head, stream)))


def _require_text(head: bytes, name: str) -> None:
    for beginning, what in _REFUSED.items():
        if head.startswith(beginning):
            raise InvalidArgumentError(f"{name} is {what}")


def _raw_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise InvalidArgumentError(
                f"{name}:{number} is longer than {MAX_LINE_BYTES >> 20} MB; expected one row a line"
            )
        yield raw


def _decoded(raw: bytes, where: str, offset: int) -> str:
    """Decode a line that begins `offset` bytes into the file."""
    if b"\0" in raw:
        at = offset + raw.index(b"\0")
        raise InvalidArgumentError(f"{where}: a NUL byte at offset {at:,}; is it UTF-16, or not text at all?")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{where}: byte 0x{raw[error.start]:02x} at offset {offset + error.start:,} is not UTF-8; "
            "save the file as UTF-8: iconv -f LATIN1 -t UTF-8, for example"
        ) from error
