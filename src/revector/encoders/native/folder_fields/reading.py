"""A folder held against the tables."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open

from revector.encoders.native.folder_fields import sentence_transformers as pipelines
from revector.encoders.native.folder_fields import transformers
from revector.encoders.native.folder_fields.files import as_object, read_config
from revector.encoders.native.folder_fields.rules import Rule, Table, Use
from revector.encoders.native.folder_fields.tokenizer import Definition, read_definition
from revector.errors import EncoderError

__all__ = ["FolderFields", "Refusal", "UnknownFieldWarning", "read_fields"]

WAY_OUT = "use the sentence-transformers encoder for this model ('sentence-transformers:{folder}')"

# Files whose writers add fields that describe: one that is not known is named in a warning. In all others it is
# refused.
_GROWING = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "config_sentence_transformers.json")
# Of these files the identity of a model holds nothing else.
_UNHASHED = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


_PICKLED = (
    "model.safetensors is; a call of SentenceTransformer(FOLDER).save_pretrained(NEW_FOLDER) writes the weights so"
)


class UnknownFieldWarning(UserWarning):
    """A file of a model has a field that revector does not know, and so does not heed."""


@dataclass(frozen=True)
class Refusal:
    """A field that is not done as it says."""

    path: Path
    name: str
    """Empty where the file itself is what is refused."""
    value: Any
    why: str
    everywhere: bool = False
    """Whether the torch encoder refuses it as well."""

    def message(self, folder: Path) -> str:
        """Return what was found, why it is refused, and what to do."""
        said = f"{self.path}: {self.name} is {_shown(self.value)}" if self.name else f"{self.path} is there"
        way_out = "edit the file" if self.everywhere else WAY_OUT.format(folder=folder)
        return f"{said}, which is not supported ({self.why}); {way_out}"


@dataclass
class FolderFields:
    """What a folder says beyond its weights.

    Attributes
    ----------
    folder, transformer : Path
        Of the model; of config.json and tokenizer.json.
    modules : list of dict
        What modules.json lists.
    kinds : list of str
        The last word of each module's type.
    refusals : list of Refusal
    unknown : list of (Path, str)
        Fields that are on no table.
    tokenizer : Definition
        How texts become tokens.
    truncate_dim : int or None
        How many of the first numbers of each vector are kept.
    pools_prompt : bool
        Whether the tokens of a prompt are pooled.
    lower_case : bool
        Whether texts are lower-cased before they are tokenised.
    static_limit : int or None
        Tokens that a StaticEmbedding of sentence-transformers takes of a text, for which tokenizer.json alone counts.
    """

    folder: Path
    transformer: Path
    tokenizer: Definition
    modules: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unknown: list[tuple[Path, str]] = field(default_factory=list)
    truncate_dim: int | None = None
    pools_prompt: bool = True
    lower_case: bool = False
    static_limit: int | None = None

    @property
    def is_token_table(self) -> bool:
        """Whether sentence-transformers reads the folder as the native encoder does: a table of tokens and its mean.

        A table of model2vec is another space there: tokens that are not known count.
        """
        weights = self.transformer / "model.safetensors"
        if self.kinds[:1] != ["StaticEmbedding"] or not weights.is_file():
            return False
        with safe_open(weights, framework="np") as tensors:
            return "embedding.weight" in tensors.keys()  # noqa: SIM118 - not a dictionary

    def require_native(self) -> None:
        """Raise `EncoderError` for the first field that the native encoder does not do; warn of unknown ones."""
        for refusal in self.refusals:
            raise EncoderError(refusal.message(self.folder))
        for path, name in self.unknown:
            text = f"{path}: revector does not know {name} and does not heed it"
            warnings.warn(UnknownFieldWarning(text), stacklevel=4)

    def require_anywhere(self) -> None:
        """Raise `EncoderError` for the first field that no encoder does."""
        for refusal in self.refusals:
            if refusal.everywhere:
                raise EncoderError(refusal.message(self.folder))

    @cached_property
    def deviations(self) -> dict[str, Any]:
        """What decides vectors and is in no other part of a model's identity; empty for most folders."""
        others = [item for item in self.refusals if item.path.name != "config.json"]
        found = {f"{item.path.name}:{item.name}": item.value for item in others}
        found.update({f"tokenizer.json:{place}": value for place, value in self.tokenizer.changes.items()})
        if not self.pools_prompt:
            found["include_prompt"] = False
        return found

    @property
    def tokenizer_deviations(self) -> dict[str, Any]:
        """Those of `deviations` that come from the files of the tokeniser."""
        ours = ("tokenizer.json", *_UNHASHED)
        return {name: value for name, value in self.deviations.items() if name.startswith(ours)}


def read_fields(folder: Path) -> FolderFields:
    """Hold the files of a folder against the tables.

    Malformed files are left to those who read them, but for small ones that nobody else does.

    Raises
    ------
    EncoderError
        A file that only this reader knows is malformed.
    """
    return _Reader(folder).read()


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules = _modules_of(folder)
        self._kinds = [str(module.get("type", "")).rpartition(".")[2] for module in self._modules]
        embeds = self._kinds[:1] in (["Transformer"], ["StaticEmbedding"])
        self._transformer = folder / str(self._modules[0].get("path", "")) if embeds else folder
        self._config = _readable(self._transformer / "config.json")
        self._model_type = str(self._config.get("model_type") or "static")
        if self._kinds[:1] == ["StaticEmbedding"] and self._model_type != "model2vec":
            self._model_type = "static"
        self._is_static = self._model_type in ("static", "model2vec")

    def read(self) -> FolderFields:
        definition = read_definition(self._transformer, self._model_type)
        found = self._found = FolderFields(self._folder, self._transformer, definition, self._modules, self._kinds)
        if self._kinds[:1] == ["StaticEmbedding"] and self._model_type == "static":
            found.static_limit = definition.limit
        self._read_modules()
        self._read_model()
        if self._model_type in transformers.CONFIG:
            self._read_tokenizer()
        if not self._is_static:
            self._read_limits()
        self._read_use()
        return found

    def _hold(self, path: Path, fields: Mapping[str, Any], table: Table) -> None:
        """Hold the fields of one file against its table; one that is null counts as absent."""
        for name, value in fields.items():
            rule = table.get(name)
            if value is None:
                continue
            if rule is None and path.name in _GROWING and path.parent in (self._folder, self._transformer):
                self._found.unknown.append((path, name))
            elif rule is None:
                self._refuse(path, name, value, "no such field is known")
            elif rule.use is Use.REFUSED and not _accepts(rule, value):
                self._refuse(path, name, value, rule.why, everywhere=rule.everywhere)

    def _refuse(self, path: Path, name: str, value: Any, why: str, *, everywhere: bool = False) -> None:
        self._found.refusals.append(Refusal(path, name, value, why, everywhere))

    def _read_modules(self) -> None:
        path = self._folder / "modules.json"
        for module, kind in zip(self._modules, self._kinds, strict=True):
            rule = pipelines.MODULE_TYPES.get(kind)
            if rule is None or rule.use is Use.REFUSED:
                why = "is a module that the core does not have" if rule is None else rule.why
                self._refuse(path, "type", module.get("type"), why)
            self._hold(path, module, pipelines.MODULES)
            config = self._folder / str(module.get("path", "")) / "config.json"
            if kind in pipelines.MODULE_CONFIGS and config != self._transformer / "config.json":
                self._hold(config, _readable(config), pipelines.MODULE_CONFIGS[kind])
                if kind == "Pooling" and _readable(config).get("include_prompt") is False:
                    self._found.pools_prompt = False

    def _read_model(self) -> None:
        table = transformers.STATIC_CONFIG if self._is_static else transformers.CONFIG.get(self._model_type)
        path = self._transformer / "config.json"
        if table is not None:
            self._hold(path, self._config, table)
        elif self._config:
            self._refuse(path, "model_type", self._model_type, f"{', '.join(transformers.CONFIG)} and static are")
        adapter = self._transformer / "adapter_config.json"
        if adapter.exists():
            self._refuse(adapter, "", None, pipelines.FILES[adapter.name].why)
        dense = [m for m, kind in zip(self._modules, self._kinds, strict=True) if kind == "Dense"]
        for place in (self._transformer, *(self._folder / str(module.get("path", "")) for module in dense)):
            weights = place / "pytorch_model.bin"
            if weights.exists() and not any(place.glob("model.safetensors*")):
                self._refuse(weights, "", None, _PICKLED)

    def _read_tokenizer(self) -> None:
        definition = self._found.tokenizer
        self._hold(definition.path, definition.fields, transformers.TOKENIZER)
        path = self._transformer / "tokenizer_config.json"
        table = transformers.tokenizer_config(self._model_type)
        fields = read_config(path)
        padding = (definition.fields.get("padding") or {}).get("direction", "right")
        known = {name: value for name, value in fields.items() if name in table or not name.endswith("_token")}
        self._hold(path, {"padding_side": str(padding).lower(), **known}, table)
        for file, name, value, why in definition.conflicts:
            self._refuse(self._transformer / file, name, value, why)

    def _read_limits(self) -> None:
        for name in pipelines.LIMITS_NAMES:
            path = self._transformer / name
            if path.exists():
                fields = read_config(path)
                self._hold(path, fields, pipelines.SENTENCE_CONFIG)
                self._found.lower_case = bool(fields.get("do_lower_case", False))
                return

    def _read_use(self) -> None:
        path = self._folder / "config_sentence_transformers.json"
        fields = read_config(path)
        unit_rows = [kind for kind in self._kinds if kind != "Dropout"][-1:] == ["Normalize"]
        self._hold(path, fields, pipelines.sentences_config(normalized=unit_rows))
        if not any(as_object(fields.get("prompts")).values()):
            self._found.pools_prompt = True  # there is none to leave out
        length = fields.get("truncate_dim")
        if isinstance(length, bool) or not isinstance(length, int | None) or (length is not None and length < 1):
            self._refuse(path, "truncate_dim", length, "expected a whole number of at least 1", everywhere=True)
        else:
            self._found.truncate_dim = length


def _accepts(rule: Rule, value: Any) -> bool:
    """Whether a value of a refused field changes nothing; of a list of names the order does not count."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = sorted(value)
    return any(value == accepted and isinstance(value, type(accepted)) for accepted in rule.accepts)


def _modules_of(folder: Path) -> list[dict[str, Any]]:
    """Return the modules of a folder; none where modules.json is missing or malformed, which the core tells."""
    modules = _parsed(folder / "modules.json")
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        return []
    return modules


def _readable(path: Path) -> dict[str, Any]:
    return as_object(_parsed(path))


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:200] + "…"
