"""What the tokeniser of a folder really does: tokenizer.json as tokenizer_config.json and its kin change it.

transformers builds a tokeniser from tokenizer.json, and then does what the fields of tokenizer_config.json say instead,
each class in its way: those of BERT set case, accents and Chinese characters, those of RoBERTa the space in front, all
add tokens. Here the same is done to tokenizer.json before it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from revector.encoders.native.folder_fields import transformers
from revector.encoders.native.folder_fields.added_tokens import content_of, missing_tokens, stated_tokens, with_tokens
from revector.encoders.native.folder_fields.files import as_object, read_config

__all__ = ["Conflict", "Definition", "read_definition"]

_CLASS_OF = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
}
_MODEL_OF = {
    **dict.fromkeys(transformers.WORDPIECE, "WordPiece"),
    **dict.fromkeys(transformers.ROBERTA_LIKE, "BPE"),
    **dict.fromkeys(transformers.UNIGRAM, "Unigram"),
}
# What each field of the classes of BERT is called in tokenizer.json, and its default.
_BERT_FIELDS = (
    ("do_lower_case", "lowercase", True),
    ("strip_accents", "strip_accents", None),
    ("tokenize_chinese_chars", "handle_chinese_chars", True),
)


class Conflict(NamedTuple):
    """A field that says otherwise than tokenizer.json, in a way that cannot be done here."""

    file: str
    name: str
    value: Any
    why: str


@dataclass
class Definition:
    """A tokeniser as its folder has it.

    Attributes
    ----------
    path : Path
        The tokenizer.json.
    fields : dict
        Its fields as they are to be loaded; empty if the file is missing or malformed.
    changes : dict
        What differs from the file, by place.
    side : {"left", "right"}
        Which end of a long text is cut off.
    limit : int or None
        Tokens that tokenizer.json itself cuts texts at.
    conflicts : list of Conflict
        What cannot be done.
    """

    path: Path
    fields: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    side: str = "right"
    limit: int | None = None
    conflicts: list[Conflict] = field(default_factory=list)

    def load(self) -> Tokenizer:
        """Return the tokeniser, padding and truncation as tokenizer.json has them."""
        return Tokenizer.from_str(json.dumps(self.fields)) if self.changes else Tokenizer.from_file(str(self.path))


def read_definition(folder: Path, model_type: str) -> Definition:
    """Read how a folder tokenises.

    Parameters
    ----------
    folder : Path
        Where tokenizer.json lies.
    model_type : str
        Of config.json; ``"static"`` and ``"model2vec"`` read tokenizer.json alone.

    Raises
    ------
    EncoderError
        A file beside tokenizer.json is malformed.
    """
    path = folder / "tokenizer.json"
    found = Definition(path, _lenient(path))
    truncation = {} if model_type == "model2vec" else as_object(found.fields.get("truncation"))
    found.side = str(truncation.get("direction", "right")).lower()
    limit = truncation.get("max_length")
    found.limit = limit if isinstance(limit, int) else None
    if model_type not in ("static", "model2vec") and found.fields:
        _Changes(found, folder, model_type).make()
    return found


def _lenient(path: Path) -> dict[str, Any]:
    """Return the fields of a tokenizer.json; none where whoever loads it will say what is wrong."""
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return as_object(fields)


class _Changes:
    """Makes the changes that the class of a tokeniser makes."""

    def __init__(self, found: Definition, folder: Path, model_type: str) -> None:
        self._found = found
        self._config = read_config(folder / "tokenizer_config.json")
        stated = self._config.get("tokenizer_class") or read_config(folder / "config.json").get("tokenizer_class")
        self._class = str(stated or _CLASS_OF.get(model_type, "PreTrainedTokenizer")).removesuffix("Fast")
        legacy = "added_tokens_decoder" not in self._config
        self._map = read_config(folder / "special_tokens_map.json") if legacy else {}
        self._added = read_config(folder / "added_tokens.json") if legacy else {}

    def make(self) -> None:
        self._side()
        model = as_object(self._found.fields.get("model")).get("type")
        if self._class not in transformers.GENERIC and model not in (_MODEL_OF.get(self._class), "WordLevel", None):
            self._conflict("tokenizer_class", self._class, f"the model of tokenizer.json is {model}")
        if self._class in transformers.WORDPIECE:
            self._bert_normalizer()
        elif self._class in transformers.ROBERTA_LIKE:
            self._prefix_space(default=False)
        elif self._class in transformers.UNIGRAM:
            self._prefix_space(default=True)
        elif self._class in transformers.GENERIC:
            self._prefix_space(default=False, may_change=False)
        else:
            known = ", ".join(sorted(_MODEL_OF))
            self._conflict("tokenizer_class", self._class, f"{known} and PreTrainedTokenizerFast are")
        self._special_tokens()
        self._tokens()

    def _conflict(self, name: str, value: Any, why: str, file: str = "tokenizer_config.json") -> None:
        self._found.conflicts.append(Conflict(file, name, value, why))

    def _side(self) -> None:
        side = self._config.get("truncation_side")
        if side in ("left", "right"):
            self._found.side = side
        elif side is not None:
            self._conflict("truncation_side", side, "expected left or right")

    def _bert_normalizer(self) -> None:
        """Case, accents and Chinese characters, stated or by default; None of accents follows the case."""
        normalizer = as_object(self._found.fields.get("normalizer"))
        wanted = {own: self._config.get(name, default) for name, own, default in _BERT_FIELDS}
        for name, own, default in _BERT_FIELDS:
            if not isinstance(wanted[own], bool | type(default)):
                return self._conflict(name, wanted[own], "expected true or false")
        if normalizer.get("type") != "BertNormalizer":
            return self._compare_normalizer(wanted)
        if not normalizer.get("clean_text", True):
            self._conflict(
                "normalizer.clean_text", False, "versions of transformers differ in it", file="tokenizer.json"
            )
        if _resolved(wanted) != _resolved(normalizer):
            self._found.fields["normalizer"] = {**normalizer, **wanted}
            self._found.changes["normalizer"] = wanted
        return None

    def _compare_normalizer(self, wanted: Mapping[str, Any]) -> None:
        """Of a normaliser of another kind, see whether it does what is stated."""
        normalize = _normalizer_of(self._found.fields)
        probes = {"lowercase": ("A", "a"), "strip_accents": ("é", "e"), "handle_chinese_chars": ("中", " 中 ")}
        for name, own, _ in _BERT_FIELDS:
            text, expected = probes[own]
            stated = self._config.get(name)
            if stated is not None and (normalize(text) == expected) != stated:
                self._conflict(name, wanted[own], "the normalizer of tokenizer.json does otherwise, and is not BERT's")

    def _prefix_space(self, *, default: bool, may_change: bool = True) -> None:
        stated = self._config.get("add_prefix_space")
        wanted = default if stated is None else stated
        pre = as_object(self._found.fields.get("pre_tokenizer"))
        in_bytes = pre.get("type") == "ByteLevel"
        if not isinstance(wanted, bool):
            self._conflict("add_prefix_space", wanted, "expected true or false")
        elif in_bytes and may_change and bool(pre.get("add_prefix_space")) != wanted:
            self._found.fields["pre_tokenizer"] = {**pre, "add_prefix_space": wanted}
            self._found.changes["add_prefix_space"] = wanted
        elif stated is not None and wanted != (bool(pre.get("add_prefix_space")) if in_bytes else default):
            self._conflict("add_prefix_space", wanted, "versions of transformers differ in it")

    def _special_tokens(self) -> None:
        """Keep to the tokens that tokenizer.json puts around a text; some transformers take those stated."""
        if self._class in transformers.GENERIC:
            return
        around = _around(self._found.fields.get("post_processor"))
        ends = ("bos_token", "eos_token") if self._class in transformers.UNIGRAM else ("cls_token", "sep_token")
        for name, present in zip(ends, around, strict=False):
            self._require_token(name, present)
        unknown = as_object(self._found.fields.get("model")).get("unk_token")
        if self._class in transformers.WORDPIECE and unknown is not None:
            self._require_token("unk_token", unknown)

    def _require_token(self, name: str, present: str) -> None:
        for file, stated in (("special_tokens_map.json", self._map), ("tokenizer_config.json", self._config)):
            token = content_of(stated.get(name))
            if token is not None:
                if token != present:
                    self._conflict(name, token, f"tokenizer.json has {present!r} there", file=file)
                return

    def _tokens(self) -> None:
        """Tokens that are found in a text before it is normalised: those of tokenizer.json and those stated."""
        fields = self._found.fields
        changed, unknown = missing_tokens(fields, stated_tokens(self._config, self._map, self._added))
        for item in unknown:
            self._conflict(item.name, item.token["content"], "tokenizer.json has no such token", file=item.file)
        if changed:
            fields["added_tokens"] = with_tokens(fields, changed)
            self._found.changes["added_tokens"] = sorted(changed, key=lambda token: str(token["content"]))


def _resolved(normalizer: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    lower, accents = bool(normalizer.get("lowercase", True)), normalizer.get("strip_accents")
    return lower, lower if accents is None else bool(accents), bool(normalizer.get("handle_chinese_chars", True))


def _around(processor: Any) -> list[str]:
    """Return the special tokens that a post-processor puts around a text, in their order; none of other kinds."""
    processor = as_object(processor)
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return [str(processor["cls"][0]), str(processor["sep"][0])]
    if processor.get("type") == "Sequence":
        return next((found for part in processor.get("processors", []) if (found := _around(part))), [])
    pieces = processor.get("single", []) if processor.get("type") == "TemplateProcessing" else []
    return [str(piece["SpecialToken"]["id"]) for piece in pieces if "SpecialToken" in piece]


def _normalizer_of(fields: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what the normaliser of a tokenizer.json makes of a text."""
    model = {"type": "WordLevel", "vocab": {}, "unk_token": ""}
    alone: dict[str, Any] = dict.fromkeys(("truncation", "padding", "pre_tokenizer", "post_processor", "decoder"))
    bare = {"version": "1.0", **alone, "added_tokens": [], "model": model, "normalizer": fields.get("normalizer")}
    normalizer = Tokenizer.from_str(json.dumps(bare)).normalizer
    return (lambda text: text) if normalizer is None else normalizer.normalize_str
