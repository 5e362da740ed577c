"""Encoders by name: how a command line or a collection says which encoder it means, and how it is loaded again.

``PATH-OR-ID`` is the native encoder, ``native:PATH-OR-ID?precision=int8`` in a precision of one's choice;
``openai:MODEL?name=value&…`` and ``sentence-transformers:PATH-OR-ID?…`` are the others, with their arguments.
``shortened:SOURCE?dimension=N&numbers=float16`` keeps the first numbers of any of them, or rounds them, or both;
``asymmetric:SOURCE?queries=SOURCE`` encodes queries by another model than documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from revector._arguments import shown
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError

__all__ = [
    "ASYMMETRIC",
    "NATIVE",
    "OPENAI",
    "SENTENCE_TRANSFORMERS",
    "SHORTENED",
    "Readers",
    "is_service",
    "load_encoder",
    "missing",
    "places",
    "read_source",
    "remembered",
    "write_source",
]

NATIVE = "native:"
OPENAI = "openai:"
SENTENCE_TRANSFORMERS = "sentence-transformers:"
SHORTENED = "shortened:"
"""The first numbers of the vectors of another source."""
ASYMMETRIC = "asymmetric:"
"""Documents by one source, queries by another one."""
BESIDE = "beside:"
"""A folder near the collection, by its way from there and by the source that it had (``was``)."""

Readers = Mapping[str, Callable[[str], Any]]


def load_encoder(source: str) -> TextEncoder:
    """Load the encoder that a source names.

    Raises
    ------
    EncoderError
        The model cannot be loaded.
    InvalidArgumentError
        The source has options that do not exist.
    ImportError
        The encoder needs an extra that is not installed.
    """
    if source.startswith(OPENAI):
        from revector.encoders.service.openai import OpenAIEncoder

        return OpenAIEncoder.from_source(source)
    if source.startswith(SENTENCE_TRANSFORMERS):
        from revector.encoders.sentence_transformers import SentenceTransformersEncoder

        return SentenceTransformersEncoder.from_source(source)
    if source.startswith(SHORTENED):
        from revector.encoders.shortened import Shortened

        return Shortened.from_source(source)
    if source.startswith(ASYMMETRIC):
        from revector.encoders.asymmetric import Asymmetric

        return Asymmetric.from_source(source)
    from revector.encoders.native.encoder import Encoder

    if source.startswith(NATIVE):
        return Encoder.from_source(source)
    native: TextEncoder = Encoder.from_pretrained(source)
    return native


def is_service(source: str | None) -> bool:
    """Whether a source names a service, which takes its time and may be paid for."""
    return source is not None and source.startswith(OPENAI)


def read_source(source: str, scheme: str, readers: Readers) -> tuple[str, dict[str, Any]]:
    """Take a source apart.

    Parameters
    ----------
    source : str
    scheme : str
        What it begins with.
    readers : mapping of str to callable
        The options there are, and what turns their text into a value.

    Returns
    -------
    name : str
    options : dict

    Raises
    ------
    InvalidArgumentError
        Another scheme, an unknown option, or a value that cannot be read. The message does not repeat the others: a
        key may be among them.
    """
    quoted, _, query = source.removeprefix(scheme).partition("?")
    name = quoted.replace("%3F", "?").replace("%25", "%")
    if not source.startswith(scheme) or not name:
        form = f"'{scheme}NAME' or '{scheme}NAME?option=value&…'"
        raise InvalidArgumentError(f"{shown(quoted)} is not of the form {form}")
    options: dict[str, Any] = {}
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option not in readers:
            there_are = ", ".join(readers)
            raise InvalidArgumentError(f"{scheme}{quoted} has no option {shown(option)}; there are {there_are}")
        try:
            options[option] = readers[option](value)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"{scheme}{quoted}: {option} is {shown(value)}: {error}") from error
    return name, options


def write_source(scheme: str, name: str, options: Mapping[str, Any]) -> str:
    """Put together what `read_source` takes apart; options that are ``None`` are left out."""
    said = {
        option: json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else value
        for option, value in options.items()
        if value is not None
    }
    quoted = name.replace("%", "%25").replace("?", "%3F")  # no more than must be: people read and write these
    return scheme + quoted + ("?" + urlencode(said, quote_via=quote) if said else "")


def remembered(source: str, home: Path) -> str:
    """Return how a collection in the folder `home` writes a source down.

    A model inside `home`, or next to it, is written with its way from there, so that both can be moved together.
    """
    folder, home = _folder_of(source), home.resolve()
    if folder is None or home.parent not in Path(folder).parents:
        return source
    return write_source(BESIDE, os.path.relpath(folder, home), {"was": source})


def places(written: str, home: Path) -> list[str]:
    """Return the sources that a collection in the folder `home` means, the likeliest first."""
    if not written.startswith(BESIDE):
        return [written]
    way, options = read_source(written, BESIDE, {"was": str})
    was = str(options.get("was", ""))
    near = os.path.normpath(home.resolve() / way)
    if (scheme := _local_scheme(was)) is not None:
        near = write_source(scheme, near, {}) + "".join(was.partition("?")[1:])
    return list(dict.fromkeys((near, was)))


def missing(source: str) -> bool:
    """Whether a source names a folder that is not there."""
    folder = _folder_of(source)
    return folder is not None and not Path(folder).is_dir()


def _folder_of(source: str) -> str | None:
    """Return the absolute path that a source names; ``None`` if it names an id, or a service."""
    name = source
    if (scheme := _local_scheme(source)) is not None:
        name, _ = read_source(source.partition("?")[0], scheme, {})
    return name if Path(name).is_absolute() else None


def _local_scheme(source: str) -> str | None:
    """Return the scheme of a source that names a folder and options."""
    return next((scheme for scheme in (NATIVE, SENTENCE_TRANSFORMERS) if source.startswith(scheme)), None)
