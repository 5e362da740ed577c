"""The tables as a page of the documentation: ``python -m revector.encoders.native.folder_fields.page``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from revector.encoders.native.folder_fields import sentence_transformers as pipelines
from revector.encoders.native.folder_fields import transformers
from revector.encoders.native.folder_fields.rules import Rule, Table, Use

__all__ = ["markdown"]

_HEAD = """# Fields of a model folder

Generated from the tables in `src/revector/encoders/native/folder_fields`; a test keeps the two in step.

Every field of every file is *obeyed*, *irrelevant* or *refused*. What is refused stops the loading with the name of
file and field and a way out: `sentence-transformers:FOLDER` runs what only torch can, and where it says "both", no
encoder does it and the file has to be edited. A refused field with one of the values that it accepts changes nothing,
like one that is null or absent.

A field that is on no table is refused in the files of modules. In the others, which grow with every version of the
libraries that write them, it is named in an `UnknownFieldWarning` and not heeded.

What decides a vector is in the fingerprint of its space, the same for both encoders. A folder whose files agree with
one another has the fingerprint of its weights, `config.json` and `tokenizer.json`.
"""


def markdown() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for title, table in _tables():
        yield f"## {title}\n\n| fields | use | what for, or why |\n|---|---|---|"
        rows: dict[Rule, list[str]] = {}
        for name, rule in table.items():
            rows.setdefault(Rule(rule.use, rule.why, tuple(map(_shown, rule.accepts)), rule.everywhere), []).append(
                name
            )
        for rule, names in sorted(rows.items(), key=lambda row: list(Use).index(row[0].use)):
            yield f"| {', '.join(f'`{name}`' for name in names)} | {_use(rule)} | {rule.why} |"
        yield ""


def _tables() -> Iterator[tuple[str, Table]]:
    yield "Files and folders", pipelines.FILES
    yield "modules.json: fields", pipelines.MODULES
    yield "modules.json: kinds of modules", pipelines.MODULE_TYPES
    for kind, table in pipelines.MODULE_CONFIGS.items():
        if table:
            yield f"config.json of a {kind} module", table
    yield "sentence_bert_config.json and its kin", pipelines.SENTENCE_CONFIG
    yield "config_sentence_transformers.json", pipelines.sentences_config(normalized=False)
    for family, table in transformers.CONFIG.items():
        yield f"config.json of {family}", table if family == "bert" else _beside(table, transformers.CONFIG["bert"])
    yield "config.json of a static model", transformers.STATIC_CONFIG
    yield "tokenizer.json", transformers.TOKENIZER
    yield "tokenizer_config.json and special_tokens_map.json", transformers.tokenizer_config("bert")


def _beside(table: Table, other: Table) -> Table:
    """Return the rows of a table that another does not have."""
    return {name: rule for name, rule in table.items() if other.get(name) != rule}


def _use(rule: Rule) -> str:
    said = f"{rule.use} by both" if rule.everywhere else str(rule.use)
    return f"{said}; accepts {', '.join(rule.accepts)}" if rule.accepts else said


def _shown(value: object) -> str:
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown(), end="")
