"""Which part of a graph is which parameter of BERT: found by the way the data takes, and checked against the names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from revector.encoders.importing.graph import Graph, Node
from revector.encoders.importing.parts import Attention, Floats, Linear, Norm, Part, Parts, Product, Table
from revector.errors import EncoderError

__all__ = ["Bert", "read_bert"]

T = TypeVar("T")
P = TypeVar("P", bound=Part)

_FEW_ROWS = 16  # a table of token types has two rows; one of positions has many more
_LAYER = "encoder.layer.{}."
_NAME = re.compile(r"(?:^|\.)((?:embeddings|encoder\.layer\.\d+|pooler)\.[\w.]*(?:weight|bias))$")
# RoBERTa counts positions from the padding token's id on; what lies before is never looked up.
_COUNTED = frozenset({"CumSum"})


@dataclass(frozen=True)
class Bert:
    """A BERT as Hugging Face lays it out.

    Attributes
    ----------
    tensors : dict of str to ndarray of float32
        Parameters by name; weights are (out, in).
    config : dict
        What ``config.json`` has to say.
    """

    tensors: dict[str, Floats]
    config: dict[str, Any]


@dataclass(frozen=True)
class _Block:
    """Attention, however it is written."""

    source: list[Part]
    query: tuple[Floats, Floats | None]
    key: tuple[Floats, Floats | None]
    value: tuple[Floats, Floats | None]
    parts: list[Part]
    output: str
    heads: int | None


def read_bert(graph: Graph, config: Mapping[str, Any]) -> Bert:
    """Read the parameters of a BERT out of a graph.

    Parameters
    ----------
    graph : Graph
    config : mapping
        The model's ``config.json``, empty if there is none; what it says must be so.

    Raises
    ------
    EncoderError
        The graph is not a BERT's, something in it is left over, or it is another one than the configuration says; the
        message names the node or initialiser.
    """
    return _Reader(graph, config).read()


class _Reader:
    def __init__(self, graph: Graph, config: Mapping[str, Any]) -> None:
        self._graph, self._config = graph, config
        self._parts = Parts(graph)
        self._tensors: dict[str, Floats] = {}
        self._taken: dict[Part, str] = {}
        self._epsilons: set[float] = set()
        self._heads: dict[int, _Block] = {}
        self._activations: set[str] = set()

    def read(self) -> Bert:
        norm = self._read_embeddings()
        blocks = list(self._blocks())
        layer = 0
        while (found := [block for block in blocks if block.source == [norm]]) and layer < len(blocks):
            norm = self._read_layer(_LAYER.format(layer), self._only(found, f"attention after {norm}"), norm)
            layer += 1
        self._read_pooler(norm)
        self._require_nothing_left()
        self._require_names()
        return Bert(self._tensors, self._checked_config(layer))

    # --- embeddings

    def _read_embeddings(self) -> Norm:
        norms = [n for n in self._parts.of(Norm) if n.tables or self._comes_from_tables(n)]
        norm = self._only(norms, "layer norm over embeddings")
        tables = norm.tables or self._tables_of([t for t in self._parts.above(norm.inputs) if isinstance(t, Table)])
        hidden = tables["word"].shape[1]
        types = tables.get("type", np.zeros((2, hidden), np.float32))  # DistilBERT has none, which is as good as zeros
        for name, rows in (("word", tables["word"]), ("position", tables["position"]), ("token_type", types)):
            self._put(f"embeddings.{name}_embeddings.weight", rows, (len(rows), hidden), norm)
        self._put_norm("embeddings.LayerNorm", norm, hidden)
        return norm

    def _comes_from_tables(self, norm: Norm) -> bool:
        above = self._parts.above(norm.inputs)
        return bool(above) and all(isinstance(part, Table) for part in above)

    def _tables_of(self, tables: list[Table]) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for table in tables:
            role = self._role_of(table, tables)
            if role in found:
                raise self._refusal(f"{table} is a second table of {role} embeddings")
            counted = role == "position" and self._is_counted(table)
            first = int(self._config.get("pad_token_id", 1)) + 1 if counted else 0
            found[role] = table.rows[first:]
            self._take(table, f"embeddings.{role}_embeddings")
        for role in ("word", "position"):
            if role not in found:
                raise self._refusal(f"there is no table of {role} embeddings before the first layer norm")
        return found

    def _role_of(self, table: Table, tables: list[Table]) -> str:
        reached = self._reached(table.inputs)
        if any("type" in name or "segment" in name for name in reached):
            return "type"
        if reached and not self._is_counted(table):
            return "position" if any("position" in name for name in reached) else "word"
        others = [len(t.rows) for t in tables if t is not table and not self._reached(t.inputs)]
        few = len(table.rows) <= _FEW_ROWS and (not others or len(table.rows) < max(others))
        return "type" if few else "position"

    def _reached(self, names: Iterable[str]) -> set[str]:
        """Return the inputs of the graph that values are made of."""
        found, stack, seen = set(), list(names), set()
        while stack:
            name = stack.pop()
            if name in self._graph.inputs:
                found.add(name)
            elif name not in seen and (node := self._graph.producers.get(name)) is not None:
                seen.add(name)
                stack.extend(self._graph.data_inputs(node))
        return found

    def _is_counted(self, table: Table) -> bool:
        stack, seen = list(table.inputs), set()
        while stack:
            node = self._graph.producers.get(stack.pop())
            if node is None or node in seen:
                continue
            if node.op in _COUNTED:
                return True
            seen.add(node)
            stack.extend(self._graph.data_inputs(node))
        return False

    # --- layers

    def _blocks(self) -> Iterator[_Block]:
        for node in self._graph.nodes:
            if node.op == "Softmax":
                yield self._written_block(node)
        for attention in self._parts.of(Attention):
            yield self._packed_block(attention) if attention.weight is not None else self._unpacked_block(attention)

    def _written_block(self, softmax: Node) -> _Block:
        scores = self._only_of(Product, self._parts.above(softmax.inputs[:1]), f"product before {softmax}")
        context = self._only_of(Product, self._parts.below(softmax.outputs[0]), f"product after {softmax}")
        query, key = (self._linear_above(name, scores) for name in scores.inputs)
        value = self._linear_above(context.inputs[1], context)
        return self._block([query, key, value], [scores, context], context.output, self._heads_of(query, scores))

    def _unpacked_block(self, attention: Attention) -> _Block:
        linears = [self._linear_above(name, attention) for name in attention.inputs]
        if attention.bias is not None:
            for linear, bias in zip(linears, np.split(attention.bias, 3), strict=True):
                linear.bias = bias
        heads = attention.heads or self._heads_of(linears[0], attention)
        return self._block(linears, [attention], attention.output, heads)

    def _packed_block(self, attention: Attention) -> _Block:
        assert attention.weight is not None
        weights = np.split(attention.weight, 3, axis=1)
        biases = [None] * 3 if attention.bias is None else np.split(attention.bias, 3)
        query, key, value = zip(weights, biases, strict=True)
        source = self._parts.above(attention.inputs)
        return _Block(source, query, key, value, [attention], attention.output, attention.heads)

    def _block(self, linears: list[Linear], others: list[Part], output: str, heads: int | None) -> _Block:
        sources = {part: None for linear in linears for part in self._parts.above(linear.inputs)}
        query, key, value = ((linear.weight, linear.bias) for linear in linears)
        return _Block(list(sources), query, key, value, [*linears, *others], output, heads)

    def _read_layer(self, prefix: str, block: _Block, before: Norm) -> Norm:
        hidden = len(before.gamma)
        for part in block.parts:
            self._take(part, prefix + "attention.self")
        for name, (weight, bias) in (("query", block.query), ("key", block.key), ("value", block.value)):
            self._put_linear(f"{prefix}attention.self.{name}", weight, bias, (hidden, hidden), block.parts[0])
        if block.heads:
            self._heads[block.heads] = block
        projected = self._only_of(Linear, self._parts.below(block.output), f"product after {block.parts[-1]}")
        attended = self._norm_after(projected, before)
        widened = self._only(
            [part for part in self._parts.below(attended.output) if isinstance(part, Linear)],
            f"product after {attended}",
        )
        narrowed = self._only_of(Linear, self._parts.below(widened.output), f"product after {widened}")
        finished = self._norm_after(narrowed, attended)
        wide = widened.weight.shape[1]
        self._put_part(f"{prefix}attention.output.dense", projected, (hidden, hidden))
        self._put_norm(f"{prefix}attention.output.LayerNorm", attended, hidden)
        self._put_part(f"{prefix}intermediate.dense", widened, (hidden, wide))
        self._put_part(f"{prefix}output.dense", narrowed, (wide, hidden))
        self._put_norm(f"{prefix}output.LayerNorm", finished, hidden)
        self._activations.add(self._activation(widened, narrowed))
        return finished

    def _norm_after(self, linear: Linear, residual: Norm) -> Norm:
        """Return the norm over what a product gives and what it is added to."""
        norm = self._only_of(Norm, self._parts.below(linear.output), f"layer norm after {linear}")
        if set(self._parts.above(norm.inputs)) != {linear, residual}:
            raise self._refusal(f"{norm} is not over the sum of {linear} and {residual}")
        return norm

    def _read_pooler(self, last: Norm) -> None:
        """Take the pooler, if it was exported too; the embedding is not made of it."""
        for part in self._parts.below(last.output):
            if isinstance(part, Linear) and any(n.op == "Tanh" for n in self._graph.feeds(part.output)):
                hidden = len(last.gamma)
                self._put_part("pooler.dense", part, (hidden, hidden))

    def _linear_above(self, name: str, part: Part) -> Linear:
        return self._only_of(Linear, self._parts.above([name]), f"product before {part}")

    def _heads_of(self, query: Linear, product: Part) -> int | None:
        """Return into how many heads queries are cut: what they are reshaped to says it."""
        hidden: int = query.weight.shape[1]
        for node in self._parts.between(query, _only_input(product)):
            sizes = self._reshaped(node) if node.op == "Reshape" else []
            if len(sizes) < 4:
                continue
            heads, size = sizes[-2:]
            if size and size > 0 and hidden % size == 0:
                return hidden // size
            if heads and heads > 0 and hidden % heads == 0:
                return heads
        return None

    def _reshaped(self, node: Node) -> list[int | None]:
        shape = self._graph.constant(node.input(1))
        if shape is not None:
            return [int(size) for size in shape.reshape(-1)]
        made = self._graph.producers.get(node.input(1))
        if made is None or made.op != "Concat":
            return []
        sizes = [self._graph.constant(name) for name in made.inputs]
        return [int(size.reshape(-1)[0]) if size is not None and size.size == 1 else None for size in sizes]

    def _activation(self, widened: Linear, narrowed: Linear) -> str:
        for node in self._parts.between(widened, narrowed):
            tanh = node.op in ("FastGelu", "Tanh") or node.attributes.get("approximate") == b"tanh"
            if tanh:
                return "gelu_pytorch_tanh"
            if node.op in ("Gelu", "BiasGelu", "Erf"):
                return "gelu"
            if node.op == "Relu":
                return "relu"
        raise self._refusal(f"no activation that is known between {widened} and {narrowed}")

    # --- putting down

    def _put_part(self, name: str, linear: Linear, shape: tuple[int, int]) -> None:
        self._take(linear, name)
        self._put_linear(name, linear.weight, linear.bias, shape, linear)

    def _put_linear(self, name: str, weight: Floats, bias: Floats | None, shape: tuple[int, int], part: Part) -> None:
        self._put(name + ".weight", weight, shape, part)
        self._tensors[name + ".weight"] = np.ascontiguousarray(weight.T)
        self._put(name + ".bias", np.zeros(shape[1], np.float32) if bias is None else bias, (shape[1],), part)

    def _put_norm(self, name: str, norm: Norm, hidden: int) -> None:
        self._take(norm, name)
        self._put(name + ".weight", norm.gamma, (hidden,), norm)
        self._put(name + ".bias", norm.beta, (hidden,), norm)
        self._epsilons.add(float(str(np.float32(norm.epsilon))))  # 1e-12, not what float32 makes of it

    def _put(self, name: str, value: Floats, shape: tuple[int, ...], part: Part) -> None:
        if value.shape != shape:
            raise self._refusal(f"{part} gives {name} the shape {value.shape}, expected {shape}")
        if not np.isfinite(value).all():
            raise self._refusal(f"{part}: {name} has NaN or infinity")
        if name in self._tensors:
            raise self._refusal(f"{part} is {name}, which was found before")
        self._tensors[name] = np.ascontiguousarray(value)

    def _take(self, part: Part, name: str) -> None:
        if part in self._taken:
            raise self._refusal(f"{part} is both {self._taken[part]} and {name}")
        self._taken[part] = name

    # --- checking

    def _require_nothing_left(self) -> None:
        for part in self._parts.all:
            if part not in self._taken and not isinstance(part, Product):
                raise self._refusal(
                    f"{part} is no part of a BERT that gives embeddings (a head, or another architecture)"
                )
        used = {o for name in self._parts.used_constants for o in self._graph.origins(name)}
        hidden = len(self._tensors["embeddings.LayerNorm.weight"])
        for node in self._graph.nodes:
            for name in node.inputs:
                value = self._graph.constant(name)
                learned = value is not None and value.dtype.kind == "f" and value.size >= hidden
                if learned and name not in self._parts.used_constants and not self._graph.origins(name) <= used:
                    raise self._refusal(f"{self._graph.named(name)} at {node} is no parameter of a BERT")

    def _require_names(self) -> None:
        """Compare with the names that exporters keep: what the data's way says must be what they say."""
        for name in sorted(self._parts.used_constants & self._graph.initialisers):
            kept = _NAME.search(name)
            value = self._graph.constants[name]
            if kept is None or value.dtype.kind != "f":
                continue
            found = self._tensors.get(kept.group(1))
            if found is None or not any(_same(value, form) for form in (found, found.T)):
                raise self._refusal(f"initialiser {name!r} is used as something else than its name says")

    def _checked_config(self, layers: int) -> dict[str, Any]:
        tensors = self._tensors
        rows, hidden = tensors["embeddings.word_embeddings.weight"].shape
        if layers == 0:
            raise self._refusal("there is no layer of attention after the embeddings")
        found = {
            "vocab_size": rows,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "intermediate_size": len(tensors["encoder.layer.0.intermediate.dense.bias"]),
            "max_position_embeddings": len(tensors["embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(tensors["embeddings.token_type_embeddings.weight"]),
        }
        self._require_config({**found, **({"num_attention_heads": next(iter(self._heads))} if self._heads else {})})
        heads = next(iter(self._heads), None) or self._config.get("num_attention_heads")
        if not heads or len(self._heads) > 1 or hidden % heads:
            raise self._refusal(f"the number of heads is {sorted(self._heads) or heads}; say it in config.json")
        fixed = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": self._common("activation")}
        return {**fixed, **found, "num_attention_heads": int(heads), "layer_norm_eps": self._common("epsilon")}

    def _common(self, what: str) -> Any:
        values = self._activations if what == "activation" else self._epsilons
        if len(values) != 1:
            raise self._refusal(f"layers differ in their {what}: {sorted(values)}")
        return next(iter(values))

    def _require_config(self, found: Mapping[str, int]) -> None:
        counted = any(self._is_counted(table) for table in self._parts.of(Table))
        renamed = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
        renamed["intermediate_size"] = "hidden_dim"
        for name, value in found.items():
            said = self._config.get(name, self._config.get(renamed.get(name, "")))
            adapted = name in ("max_position_embeddings", "type_vocab_size") and (counted or "dim" in self._config)
            if said is not None and said != value and not adapted:
                raise self._refusal(f"config.json says {name} is {said}, and the graph has {value}")

    def _only(self, found: list[T], what: str) -> T:
        if len(found) != 1:
            listed = ", ".join(str(part) for part in found[:3]) or "none"
            raise self._refusal(f"{what}: expected one, found {listed}")
        return found[0]

    def _only_of(self, kind: type[P], parts: list[Part], what: str) -> P:
        part = self._only(parts, what)
        if not isinstance(part, kind):
            raise self._refusal(f"{what}: expected a {kind.__name__}, found {part}")
        return part

    def _refusal(self, message: str) -> EncoderError:
        return EncoderError(f"{self._graph.path}: {message}")


def _only_input(part: Part) -> Part:
    """Return a part with its first input alone, for the way queries take."""
    return Part(part.node, part.inputs[:1], part.output)


def _same(value: Any, other: Any) -> bool:
    if value.shape == other.shape:
        return bool(np.array_equal(np.asarray(value, np.float32), other))
    return value.ndim == 2 and value.shape[1:] == other.shape[1:] and len(value) > len(other)  # RoBERTa's positions
