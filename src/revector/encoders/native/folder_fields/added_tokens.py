"""The tokens that are found in a text before it is normalised, as all files of a folder together have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Stated", "content_of", "missing_tokens", "stated_tokens", "with_tokens"]

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class Stated(NamedTuple):
    """A token that a file beside tokenizer.json states."""

    file: str
    name: str
    token: dict[str, Any]
    """As tokenizer.json would have it, but for its id."""
    goes_first: bool
    """Whether its flags count more than those in tokenizer.json."""


def content_of(token: Any) -> str | None:
    """Return the string of a token that is written as a string or as an object; ``None`` if it is neither."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def stated_tokens(
    config: Mapping[str, Any], special_map: Mapping[str, Any], added: Mapping[str, Any]
) -> Iterator[Stated]:
    """Yield what tokenizer_config.json, special_tokens_map.json and added_tokens.json state."""
    decoder = config.get("added_tokens_decoder")
    for number, token in decoder.items() if isinstance(decoder, dict) else ():
        if isinstance(token, dict) and content_of(token) is not None:
            yield Stated("tokenizer_config.json", f"added_tokens_decoder.{number}", _flagged(token), True)
    names = {**_named("tokenizer_config.json", config), **_named("special_tokens_map.json", special_map)}
    special = {content for _, _, token in names.values() if (content := content_of(token)) is not None}
    for content in added:
        token = {"content": content, "normalized": content not in special, "special": content in special}
        yield Stated("added_tokens.json", content, _flagged(token), False)
    for file, name, token in names.values():
        flags = token if isinstance(token, dict) else {}
        if (content := content_of(token)) is not None:
            whole = {"normalized": False, **flags, "content": content, "special": True}
            yield Stated(file, name, _flagged(whole), False)


def missing_tokens(tokenizer: Mapping[str, Any], stated: Iterator[Stated]) -> tuple[list[dict[str, Any]], list[Stated]]:
    """Hold what is stated against a tokenizer.json.

    Returns
    -------
    changed : list of dict
        Tokens of its vocabulary that are not among its added tokens, or not so.
    unknown : list of Stated
        Those that are not in its vocabulary, though they have a number.
    """
    present = {token.get("content"): _flagged(token) for token in tokenizer.get("added_tokens") or []}
    vocabulary = _numbers_of(tokenizer)
    changed: dict[str, dict[str, Any]] = {}
    unknown = []
    for item in stated:
        content = item.token["content"]
        if content in present:
            if item.goes_first and present[content] != item.token:
                changed[content] = item.token
        elif content in vocabulary:
            changed.setdefault(content, item.token)
        elif item.goes_first or item.file == "added_tokens.json":
            unknown.append(item)
    return list(changed.values()), unknown


def with_tokens(tokenizer: Mapping[str, Any], changed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the added tokens of a tokenizer.json, those in `changed` as they are there."""
    numbers = _numbers_of(tokenizer)
    present = {token["content"]: dict(token) for token in tokenizer.get("added_tokens") or []}
    numbers.update({content: token["id"] for content, token in present.items()})
    present.update({token["content"]: {"id": numbers[token["content"]], **token} for token in changed})
    return sorted(present.values(), key=lambda token: int(token["id"]))


def _named(file: str, fields: Mapping[str, Any]) -> dict[str, tuple[str, str, Any]]:
    """Return the special tokens of a file by a name for each: file, field, token."""
    found = {name: (file, name, value) for name, value in fields.items() if name.endswith("_token")}
    for name in ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"):
        value = fields.get(name)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        found.update({f"{name}.{place}": (file, name, token) for place, token in enumerate(items)})
    return found


def _flagged(token: Mapping[str, Any]) -> dict[str, Any]:
    flags = {flag: bool(token.get(flag, False)) for flag in _FLAGS}
    return {"content": token.get("content"), **flags}


def _numbers_of(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the id of each token of the vocabulary, which is an object or, of Unigram, a list."""
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        return dict(vocabulary)
    return {entry[0]: number for number, entry in enumerate(vocabulary or ())}
