"""Where a collection in a store of vectors is: the store's URL, the collection's name after ``#``, and the ledger file.

``SCHEME://HOST:PORT/…?ledger=PATH#COLLECTION``. Without ``ledger=``, the file is in the present folder, named after the
collection and the scheme: ``docs.qdrant.db``. A refused URL is never shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from revector.backends.sqlite.database.places import file_of
from revector.backends.urls import scheme_of
from revector.errors import InvalidArgumentError

__all__ = ["EXPECTED", "Place", "place_of"]

EXPECTED = "expected SCHEME://HOST:PORT?ledger=PATH#COLLECTION"
LEDGER = "ledger"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SECRET = re.compile(r"pass|secret|token|key|auth|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A collection's place.

    Parameters
    ----------
    store : str
        URL of the store, with the options that are its own.
    name : str
        Of the collection.
    ledger : Path
        The ledger file, absolute.
    given_ledger : str, optional
        The file as the URL says it.
    """

    store: str
    name: str
    ledger: Path
    given_ledger: str | None = None

    @property
    def url(self) -> str:
        """The place, as it may be printed and given again."""
        url, ledger = urlsplit(self.store), self.given_ledger
        options = [url.query] * bool(url.query)
        options += [] if ledger is None else [urlencode({LEDGER: ledger}, quote_via=quote, safe="/")]
        # not `urlunsplit`, which makes qdrant:/path of qdrant:///path
        query = f"?{'&'.join(options)}" if options else ""
        return f"{url.scheme}://{url.netloc}{url.path}{query}#{quote(self.name)}"


def place_of(place: str | os.PathLike[str], secrets: str, *, name: str | None = None) -> Place:
    """Return what a URL names.

    Parameters
    ----------
    place : str
        The URL.
    secrets : str
        Where the store's passwords and keys are taken from, for the message of one that holds them.
    name : str, optional
        Of the collection, where the URL does not say it.

    Raises
    ------
    InvalidArgumentError
        It is not well-formed, names no collection, or holds a password or key. The message does not repeat it.
    """
    try:
        url = urlsplit(os.fspath(place))
        has_password = url.password is not None
    except ValueError as error:
        raise InvalidArgumentError(f"the URL is not well-formed; {EXPECTED}") from error
    pairs = parse_qsl(url.query, keep_blank_values=True)
    options = dict(pairs)
    if has_password or any(_SECRET.search(option) for option in options):
        raise InvalidArgumentError(f"the URL holds a password or key; leave it out and set {secrets}")
    if len(options) < len(pairs):
        raise InvalidArgumentError(f"the URL says an option twice; {EXPECTED}")
    chosen = unquote(url.fragment) or name
    if chosen is None or not _NAME.fullmatch(chosen):
        raise InvalidArgumentError(
            f"the URL names no collection, or not by letters, digits and ._- alone: {EXPECTED}, such as "
            f"{url.scheme}://localhost#docs"
        )
    ledger = options.pop(LEDGER, None)
    store = urlunsplit(("", url.netloc, url.path, urlencode(options, quote_via=quote, safe="/"), ""))
    if not store.startswith("//"):
        store = f"//{store}"
    file = file_of(f"./{chosen}.{scheme_of(place)}.db" if ledger is None else ledger)
    return Place(f"{url.scheme}:{store}", chosen, file, ledger)
