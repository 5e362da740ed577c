"""Embedding spaces: the contract of a model, and the fingerprint that identifies it.

Two vectors can be compared only if they come from the same space. What makes a space is everything that changes the
numbers (weights, pooling, prefixes, maximum length, normalisation, what the model is given of a document), not the name
of the model: renaming a model keeps its space, another revision of its weights does not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from revector._arguments import choice, flag, shown, strings, valid_unicode, whole_number
from revector.errors import InvalidArgumentError, SpaceMismatchError

METRICS = ("cosine", "dot")
NUMBERS = ("float32", "float16")
_TEXT_FIELDS = ("model", "revision", "pooling", "query_prefix", "document_prefix", "metric", "truncation", "asked_by")

TEXT = "text"


@dataclass(frozen=True)
class Template:
    """What a model is given of a document: which fields, in which order, and what stands between them.

    Parameters
    ----------
    fields : sequence of str
        ``"text"`` is the document's text, other names are fields of its metadata. What a document lacks (or has as null
        or as an empty text) is left out. Lists are given with commas, what is neither text nor list as JSON.
    separator : str
        Between two fields.
    """

    fields: tuple[str, ...]
    separator: str = "\n"

    def __post_init__(self) -> None:
        fields = tuple(valid_unicode(name, "fields") for name in strings(self.fields, "fields"))
        if not fields or "" in fields or len(set(fields)) < len(fields):
            raise InvalidArgumentError(f"fields is {shown(self.fields)}, expected names of fields, each once")
        if not isinstance(self.separator, str):
            raise InvalidArgumentError(f"separator is {shown(self.separator)}, expected str")
        valid_unicode(self.separator, "separator")
        object.__setattr__(self, "fields", fields)

    @property
    def of_metadata(self) -> tuple[str, ...]:
        """The fields that are not the text."""
        return tuple(name for name in self.fields if name != TEXT)

    def render(self, text: str, metadata: Mapping[str, Any]) -> str:
        """Return what the model is given of a document."""
        values = [text if name == TEXT else _rendered(metadata.get(name)) for name in self.fields]
        return self.separator.join(value for value in values if value)


def _rendered(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return ", ".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in value)
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class EmbeddingSpace:
    """What one model contract produces.

    Parameters
    ----------
    model : str
        Name shown to people. Not part of the identity.
    dimension : int
        Length of a vector.
    revision : str
        Identifies the weights and the tokeniser: a digest of the files for local models, the version for a service.
    pooling : str
        How token states become one vector (``"mean"``, ``"cls"``, …).
    max_length : int or None
        Tokens kept of a text, special tokens included; ``None`` where the model takes any length.
    query_prefix, document_prefix : str
        Text put before every query or document.
    normalized : bool
        Whether vectors leave the encoder with unit length.
    metric : str
        ``"cosine"`` or ``"dot"``.
    truncation : str
        What happens to longer texts: ``"head"`` keeps the first tokens.
    template : Template or None
        What the model is given of a document; ``None`` is its text, as is a template of the text alone.
    numbers : {"float32", "float16"}
        What the numbers of a vector are rounded to.
    asked_by : str
        Fingerprint of the model that encodes queries, where it is not the model of the documents.
    """

    model: str
    dimension: int
    revision: str
    pooling: str = "mean"
    max_length: int | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    normalized: bool = True
    metric: str = "cosine"
    truncation: str = field(default="head")
    template: Template | None = None
    numbers: str = "float32"
    asked_by: str = ""

    def __post_init__(self) -> None:
        for name in _TEXT_FIELDS:
            if not isinstance(getattr(self, name), str):
                raise InvalidArgumentError(f"{name} is {shown(getattr(self, name))}, expected str")
        if not self.revision:
            raise InvalidArgumentError("revision is empty; give a digest of the weights or the service's model version")
        object.__setattr__(self, "dimension", whole_number(self.dimension, "dimension", least=1))
        if self.max_length is not None:
            object.__setattr__(self, "max_length", whole_number(self.max_length, "max_length", least=1))
        object.__setattr__(self, "normalized", flag(self.normalized, "normalized"))
        choice(self.numbers, "numbers", NUMBERS)
        if not isinstance(self.template, (Template, type(None))):
            raise InvalidArgumentError(f"template is {shown(self.template)}, expected a Template")
        if self.template is not None and not self.template.of_metadata:
            object.__setattr__(self, "template", None)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (32 characters) of every field that changes the vectors; the model's name is not one."""
        contract = {key: value for key, value in self.to_json().items() if key != "model"}
        return hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types, without what earlier releases did not know where it is the default."""
        plain = {"template": None, "numbers": "float32", "asked_by": ""}
        return {key: value for key, value in asdict(self).items() if key not in plain or value != plain[key]}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> EmbeddingSpace:
        """Build a space from what `to_json` returned; raise `InvalidArgumentError` for other fields."""
        if not isinstance(fields, dict):
            raise InvalidArgumentError(f"fields is {shown(fields)}, expected what to_json returned")
        names = [item.name for item in dataclasses.fields(cls)]
        if wrong := [name for name in fields if name not in names]:
            raise InvalidArgumentError(f"a space with the field {shown(wrong[0])} is of a newer revector; use that one")
        if missing := [name for name in names[:3] if name not in fields]:
            raise InvalidArgumentError(f"a space has no field {missing[0]!r}; it was not written by to_json")
        if (template := fields.get("template")) is not None:
            if not isinstance(template, dict) or set(template) != {"fields", "separator"}:
                raise InvalidArgumentError(f"template is {shown(template)}, expected what to_json returned")
            fields = {**fields, "template": Template(**template)}
        return cls(**fields)

    @property
    def plain(self) -> EmbeddingSpace:
        """The space of the same model when it is given the text alone."""
        return self if self.template is None else dataclasses.replace(self, template=None)

    def derives_from(self, other: EmbeddingSpace) -> bool:
        """Tell whether vectors of this space are made of another one's: the same, cut short or rounded.

        The model of the documents is the same one; queries may be another model's, or begin with another prefix.
        """
        free = ("model", "dimension", "numbers", "query_prefix", "asked_by")
        alike = dataclasses.replace(other, **{name: getattr(self, name) for name in free})
        is_made_of = self.dimension <= other.dimension and self.numbers in (other.numbers, "float16")
        return is_made_of and alike == self and self.fingerprint != other.fingerprint

    def text_of(self, text: str, metadata: Mapping[str, Any]) -> str:
        """Return what the model is given of a document."""
        return text if self.template is None else self.template.render(text, metadata)

    def require(self, found: EmbeddingSpace, *, purpose: str) -> None:
        """Raise `SpaceMismatchError` unless `found` is this space.

        Parameters
        ----------
        found : EmbeddingSpace
            The space that was offered.
        purpose : str
            What it was offered for, for the message (``"this collection's queries"``).
        """
        if not isinstance(found, EmbeddingSpace):
            raise InvalidArgumentError(f"{purpose}: got {shown(found)}, expected an EmbeddingSpace")
        if found.fingerprint != self.fingerprint:
            raise SpaceMismatchError(
                f"{purpose} need the space {self}, got {found}; encode with {self.model!r} "
                f"(revision {self.revision[:12]}) or migrate the collection first",
                expected=str(self),
                found=str(found),
            )

    def __str__(self) -> str:
        """Return name, dimension, the start of the fingerprint, and what is read of a document if not the text."""
        reads = "" if self.template is None else f", reads {' + '.join(self.template.fields)}"
        rounded = "" if self.numbers == "float32" else f" of {self.numbers}"
        return f"{self.model} ({self.dimension}-d{rounded}, {self.fingerprint[:8]}{reads})"


def require_one_of(expected: Sequence[EmbeddingSpace], found: EmbeddingSpace, *, purpose: str) -> None:
    """Raise `SpaceMismatchError`, with the first of the spaces that are expected, unless `found` is one of them."""
    if found.fingerprint not in {space.fingerprint for space in expected}:
        expected[0].require(found, purpose=purpose)
