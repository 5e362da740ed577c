"""Files with a row for each query and document: judged by people, or a log of what readers did with hits.

=============================================  ====================================================================
``query`` (or ``query_text``)                  the query's text; spelling in capitals and white space makes no other one
``query_id`` (or ``query-id``, ``qid``)        its id, where the text is in another file, or in an earlier row
``document_id`` (or ``document``, ``doc_id``)  the document's id; a row without one only says the text of a query
``grade`` (or ``relevance``, ``score``)        judged: an integer, above zero is relevant
``relevant``                                   judged, in place of document and grade: ids, or grades by id
``clicked``                                    logged: the row is an impression, and says whether it was clicked
``kind``                                       logged: "impression" (or "shown"), "click", "good" or "bad"
``position``                                   logged: the place where the hit was shown
anything else                                  of a judged row a facet of its query; of a log it is not looked at
=============================================  ====================================================================
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from revector._arguments import shown, valid_unicode
from revector.errors import InvalidArgumentError
from revector.formats.clicks import KINDS, Reaction
from revector.formats.qrels import add_grade, grade_of
from revector.formats.rows import read_rows

__all__ = ["DOCUMENT", "LOGGED", "QUERY", "RELEVANT", "Asked", "facets_of", "read_graded", "read_reactions"]

QUERY = ("query", "query_text")
RELEVANT = "relevant"
LOGGED = frozenset({"clicked", "kind"})
DOCUMENT = ("document_id", "document", "doc_id", "corpus-id")
_ID = ("query_id", "query-id", "qid")
_GRADE = ("grade", "relevance", "score")
_OWN = frozenset({*QUERY, *_ID, *DOCUMENT, *_GRADE, RELEVANT})
_WHOLE = re.compile(r"[0-9]{1,9}")
_SAID = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KINDS = {**{kind: kind for kind in KINDS}, "shown": "impression"}


class Asked:
    """Queries by id, one for each text however often it is asked.

    Parameters
    ----------
    known : mapping of str to str
        Texts by id that another file has.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self.texts: dict[str, str] = {}
        self._known = known
        self._by_text: dict[str, str] = {}
        self._by_name: dict[str, str] = {}

    def key(self, where: str, row: Mapping[str, Any]) -> str:
        """Return the id of a row's query; raise `InvalidArgumentError` where its text is not known."""
        text, name = _first(row, QUERY), _first(row, _ID)
        if text is None:
            return self._key_of_name(where, name)
        if not isinstance(text, str) or not text.strip():
            raise InvalidArgumentError(f"{where}: the query is {shown(text)}, expected its text")
        folded = " ".join(valid_unicode(text, f"{where}: the query").split())
        key = self._by_text.setdefault(folded.casefold(), f"q{len(self._by_text) + 1}")
        self.texts.setdefault(key, folded)
        if name is not None:
            self._by_name[str(name)] = key
        return key

    def _key_of_name(self, where: str, name: Any) -> str:
        if name is None:
            raise InvalidArgumentError(f"{where}: the row has neither 'query' nor 'query_id'")
        if (key := self._by_name.get(str(name))) is not None:
            return key
        if str(name) not in self._known:
            raise InvalidArgumentError(
                f"{where}: query_id {shown(name)} has no text, neither in an earlier row nor in a queries file beside "
                "this one; add a column query"
            )
        self.texts[str(name)] = self._known[str(name)]
        return str(name)


def read_graded(
    path: str | os.PathLike[str], asked: Asked
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, str]]]:
    """Read judged rows as grades by query and document, and facets by name and query.

    Raises
    ------
    InvalidArgumentError
        A row is not a judgement; the message names file and line.
    """
    qrels: dict[str, dict[str, int]] = {}
    facets: dict[str, dict[str, str]] = {}
    for where, row in read_rows(path, ((*QUERY, *_ID), DOCUMENT, _GRADE)):
        key = asked.key(where, row)
        for document, grade in _grades(where, row):
            add_grade(qrels, where, key, document, grade)
        facets_of(row, _OWN, key, facets)
    return qrels, facets


def read_reactions(path: str | os.PathLike[str], asked: Asked) -> Iterator[Reaction]:
    """Read the rows of a log; raise `InvalidArgumentError`, with file and line, where one cannot be read."""
    for where, row in read_rows(path, ((*QUERY, *_ID), DOCUMENT, tuple(sorted(LOGGED)))):
        key = asked.key(where, row)
        if _first(row, DOCUMENT) is not None:
            yield Reaction(key, _document(where, row), _position(where, row), _kinds(where, row))


def facets_of(row: Mapping[str, Any], own: Iterable[str], key: str, facets: dict[str, dict[str, str]]) -> None:
    """Keep the plain values of a row that have no meaning of their own, as facets of its query; the first one stays."""
    for name, value in row.items():
        if name not in own and isinstance(value, (str, int)) and value != "":
            facets.setdefault(name, {}).setdefault(key, value if isinstance(value, str) else json.dumps(value))


def _grades(where: str, row: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    relevant = row.get(RELEVANT)
    if relevant is None:
        grade = _first(row, _GRADE)
        yield _document(where, row), grade_of(f"{where}: document {shown(_first(row, DOCUMENT))}", str(grade))
    elif isinstance(relevant, Mapping):
        yield from ((id_, grade_of(f"{where}: document {shown(id_)}", str(grade))) for id_, grade in relevant.items())
    elif isinstance(relevant, list):
        yield from ((_document(where, {DOCUMENT[0]: id_}), 1) for id_ in relevant)
    else:
        raise InvalidArgumentError(f"{where}: 'relevant' is {shown(relevant)}, expected a list of ids, or grades by id")


def _document(where: str, row: Mapping[str, Any]) -> str:
    value = _first(row, DOCUMENT)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidArgumentError(f"{where}: the document's id is {shown(value)}, expected a string or an integer")
    return str(value)


def _position(where: str, row: Mapping[str, Any]) -> int | None:
    value = _first(row, ("position",))
    if value is not None and not (type(value) in (int, str) and _WHOLE.fullmatch(str(value))):
        raise InvalidArgumentError(
            f"{where}: position is {shown(value)}, expected a whole number of at most nine digits"
        )
    return None if value is None else int(value)


def _kinds(where: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    kind, clicked = _first(row, ("kind",)), _first(row, ("clicked",))
    known, said = _KINDS.get(str(kind).lower()), _SAID.get(str(clicked).lower())
    if kind is not None and known is None:
        raise InvalidArgumentError(f"{where}: kind is {shown(kind)}, expected one of {', '.join(_KINDS)}")
    if clicked is not None and said is None:
        raise InvalidArgumentError(f"{where}: clicked is {shown(clicked)}, expected true or false, or 1 or 0")
    if known is None and said is None:
        raise InvalidArgumentError(f"{where}: the row has neither 'clicked' nor 'kind'")
    found = ([known] if known else []) + (["impression"] * (said is not None) + ["click"] * bool(said))
    return tuple(dict.fromkeys(found))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return what a row has under the first of some names that it has; an empty cell is nothing."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)
