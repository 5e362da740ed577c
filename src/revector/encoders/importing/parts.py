"""What is learned in a graph, whatever operators it is written with: tables, products, norms, attention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from revector.encoders.importing.graph import KNOWN, Array, Graph, Node
from revector.errors import EncoderError

__all__ = ["Attention", "Linear", "Norm", "Part", "Parts", "Product", "Table"]

Floats = NDArray[np.float32]

_LINEAR = frozenset(
    ["MatMul", "FusedMatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"]
)
_ATTENTION = frozenset(["Attention", "QAttention", "MultiHeadAttention"])
_EMBED = frozenset(["EmbedLayerNormalization", "QEmbedLayerNormalization"])
_NORM = frozenset(["LayerNormalization", "SkipLayerNormalization"]) | _EMBED


@dataclass(eq=False)
class Part:
    """Some operators that together do one thing; `inputs` and `output` are names of values."""

    node: Node
    inputs: list[str]
    output: str

    def __str__(self) -> str:
        return str(self.node)


@dataclass(eq=False)
class Linear(Part):
    """A product with a constant weight, and its bias.

    Attributes
    ----------
    weight : ndarray of float32, shape (in, out)
    bias : ndarray of float32, shape (out,), or None
    """

    weight: Floats
    bias: Floats | None = None


@dataclass(eq=False)
class Norm(Part):
    """A layer norm over what its inputs add up to; the fused embeddings of onnxruntime have their tables with them."""

    gamma: Floats
    beta: Floats
    epsilon: float
    tables: dict[str, Floats] = field(default_factory=dict)


@dataclass(eq=False)
class Table(Part):
    """Rows that are looked up. `inputs` are the indices, none if rows are taken from the beginning on."""

    rows: Floats


@dataclass(eq=False)
class Product(Part):
    """A product of two activations."""


@dataclass(eq=False)
class Attention(Part):
    """Fused attention: of one input with packed weights, or of query, key and value."""

    heads: int
    weight: Floats | None
    bias: Floats | None


P = TypeVar("P", bound=Part)


class Parts:
    """Finds the parts of a graph, and the way from one to the next.

    Raises
    ------
    EncoderError
        An operator is not known, or is used in a way that is not; the message names the node.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.all: list[Part] = []
        self.used_constants: set[str] = set()
        self._part_of: dict[Node, Part] = {}
        self._find_norms()
        for node in graph.nodes:
            self._find(node)
        self._hand_out_fused_biases()
        self._require_known_operators()

    def above(self, names: Iterable[str]) -> list[Part]:
        """Return the nearest parts that values are made by."""
        found: dict[Part, None] = {}
        stack, seen = list(names), set()
        while stack:
            name = stack.pop()
            node = self.graph.producers.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            part = self._part_of.get(node)
            if part is None:
                stack.extend(self.graph.data_inputs(node))
            else:
                found[part] = None
        return list(found)

    def below(self, name: str) -> list[Part]:
        """Return the nearest parts that are made of a value."""
        found: dict[Part, None] = {}
        stack, seen = [name], set()
        while stack:
            value = stack.pop()
            if value in seen:
                continue
            seen.add(value)
            for node in self.graph.feeds(value):
                part = self._part_of.get(node)
                if part is None:
                    stack.extend(node.outputs)
                else:
                    found[part] = None
        return list(found)

    def between(self, above: Part, below: Part) -> list[Node]:
        """Return the operators on the way from one part to another."""
        found: dict[Node, None] = {}
        stack = list(below.inputs)
        while stack:
            node = self.graph.producers.get(stack.pop())
            if node is not None and node not in found and node not in self._part_of:
                found[node] = None
                stack.extend(self.graph.data_inputs(node))
        return list(found)

    def of(self, kind: type[P]) -> list[P]:
        """Return the parts of a kind in the order of the graph."""
        return [part for part in self.all if isinstance(part, kind)]

    # --- recognising

    def _add(self, part: Part, nodes: Iterable[Node]) -> None:
        self.all.append(part)
        for node in nodes:
            self._part_of[node] = part

    def _find(self, node: Node) -> None:
        if node in self._part_of:
            return
        if node.op in _LINEAR:
            self._find_product(node)
        elif node.op in _ATTENTION:
            self._add(self._attention(node), [node])
        elif node.op in _NORM:
            self._add(self._norm(node), [node])
        elif node.op in ("Gather", "Slice"):
            self._find_table(node)

    def _find_table(self, node: Node) -> None:
        stored = self.graph.constant(node.input(0))
        if stored is None or stored.ndim < 2:
            return
        nodes = [node]
        if stored.dtype.kind in "iu":  # looked up as integers, and scaled afterwards
            scaled = self._only_consumer(node.outputs[0], "DequantizeLinear")
            if scaled is None:
                return
            nodes.append(scaled)
        rows = self._floats(node.input(0))
        if len(nodes) > 1:
            rows = self._dequantised(rows, nodes[-1])
        indices = [node.input(1)] if node.op == "Gather" else []
        self._add(Table(node, indices, nodes[-1].outputs[0], rows.reshape(-1, rows.shape[-1])), nodes)

    def _dequantised(self, rows: Floats, node: Node) -> Floats:
        if node.input(2):
            rows = rows - self._floats(node.input(2))
        return rows * self._floats(node.input(1))

    def _find_product(self, node: Node) -> None:
        left, right = node.input(0), node.input(3) if node.op == "QLinearMatMul" else node.input(1)
        if self.graph.constant(left) is not None:
            raise self._refusal(node, "has its weight on the left")
        nodes, output, scale = [node], node.outputs[0], None
        if node.op == "MatMulInteger":
            nodes, output, scale = self._scaled(node)
        if self.graph.constant(right) is None:
            self._add(Product(node, [left, right], output), nodes)
            return
        weight = self._weight(node, right, scale)
        linear = Linear(node, [left], output, weight, self._own_bias(node))
        self._add(linear, nodes)
        if linear.bias is None:
            self._take_bias(linear)

    def _scaled(self, node: Node) -> tuple[list[Node], str, str]:
        """Follow a product of integers to where it is scaled: Cast, then Mul with the product of both scales."""
        cast = self._only_consumer(node.outputs[0], "Cast")
        scaled = None if cast is None else self._only_consumer(cast.outputs[0], "Mul")
        if cast is None or scaled is None:
            raise self._refusal(node, "is not followed by Cast and Mul with its scale")
        scale = next(name for name in scaled.inputs if name != cast.outputs[0])
        scales = self.graph.producers.get(scale)
        if scales is None or scales.op != "Mul":
            raise self._refusal(node, "is scaled by something else than the product of two scales")
        own = next((name for name in scales.inputs if self.graph.constant(name) is not None), "")
        return [node, cast, scaled, scales], scaled.outputs[0], own

    def _weight(self, node: Node, name: str, scale: str | None) -> Floats:
        stored = self.graph.constant(name)
        if stored is None or stored.ndim != 2:
            raise self._refusal(node, f"has a weight of {0 if stored is None else stored.ndim} dimensions, expected 2")
        weight = self._floats(name)
        places = {"MatMulInteger": (None, 3), "QLinearMatMul": (4, 5), "MatMulIntegerToFloat": (3, 5)}
        scale_at, zero_at = {**places, "DynamicQuantizeMatMul": (2, 3)}.get(node.op, (None, None))
        if zero_at is not None and self.graph.constant(node.input(zero_at)) is not None:
            weight = weight - self._floats(node.input(zero_at))
        scale = node.input(scale_at) if scale_at is not None else scale
        if stored.dtype.kind in "iu":
            if scale is None or self.graph.constant(scale) is None:
                raise self._refusal(node, f"has integer weights ({self.graph.named(name)}) without a constant scale")
            weight = weight * self._floats(scale)
        if node.attributes.get("transA") or node.attributes.get("transBatchA"):
            raise self._refusal(node, "is transposed")
        factor = float(node.attributes.get("alpha", 1.0))
        return np.ascontiguousarray((weight.T if node.attributes.get("transB") else weight) * np.float32(factor))

    def _own_bias(self, node: Node) -> Floats | None:
        place = {"Gemm": 2, "MatMulIntegerToFloat": 6, "DynamicQuantizeMatMul": 4}.get(node.op)
        name = "" if place is None else node.input(place)
        return self._floats(name).reshape(-1) * float(node.attributes.get("beta", 1.0)) if name else None

    def _take_bias(self, linear: Linear) -> None:
        """Make the Add of a constant row that follows a product a part of it."""
        output, passed = linear.output, []
        while (following := self._only_consumer(output)) is not None:
            passed.append(following)
            if following.op == "Add":
                name = next((n for n in following.inputs if self.graph.constant(n) is not None), "")
                if name and self.graph.constants[name].size == linear.weight.shape[1] > 1:
                    linear.bias, linear.output = self._floats(name).reshape(-1), following.outputs[0]
                    self._part_of.update(dict.fromkeys(passed, linear))
                return
            if following.op not in ("Cast", "QuantizeLinear", "DequantizeLinear"):
                return
            output = following.outputs[0]

    def _norm(self, node: Node) -> Norm:
        epsilon = float(node.attributes.get("epsilon", 1e-12 if node.op != "LayerNormalization" else 1e-5))
        if node.op in _EMBED:
            word, position, kind, gamma, beta = (self._perhaps_quantised(node, place) for place in range(2, 7))
            named = {"word": word, "position": position, "type": kind}
            tables = {role: rows for role, rows in named.items() if rows is not None}
            return Norm(node, [node.input(0)], node.outputs[0], gamma, beta, epsilon, tables)
        inputs, first = ([node.input(0)], 1) if node.op == "LayerNormalization" else (node.inputs[:2], 2)
        gamma = self._floats(node.input(first)).reshape(-1)
        beta = self._floats(node.input(first + 1)).reshape(-1) if node.input(first + 1) else np.zeros_like(gamma)
        return Norm(node, inputs, node.outputs[0], gamma, beta, epsilon)

    def _perhaps_quantised(self, node: Node, place: int) -> Any:
        """Return an input of fused embeddings; the quantised ones have scales six places on, and zero points eleven."""
        if not node.input(place):
            return None
        value = self._floats(node.input(place))
        if node.op == "QEmbedLayerNormalization":
            value = (value - self._floats(node.input(place + 11))) * self._floats(node.input(place + 6))
        return value

    def _find_norms(self) -> None:
        """Find norms that are written out: (x - mean) / sqrt(variance + epsilon) · gamma + beta."""
        for node in self.graph.nodes:
            if node.op != "Div":
                continue
            centred, root = (self._before(name) for name in node.inputs[:2])
            if centred is not None and root is not None and (centred.op, root.op) == ("Sub", "Sqrt"):
                self._add_written_norm(node, centred, root)

    def _add_written_norm(self, div: Node, centred: Node, root: Node) -> None:
        added = self._before(root.input(0))
        epsilon = None if added is None else next(filter(None, map(self.graph.scalar, added.inputs)), None)
        scaled = self._only_consumer(div.outputs[0], "Mul")
        shifted = None if scaled is None else self._only_consumer(scaled.outputs[0], "Add")
        if epsilon is None or scaled is None or shifted is None:
            raise self._refusal(div, "looks like a layer norm, and has no epsilon, factor or summand")
        gamma, beta = (self._only_constant(node) for node in (scaled, shifted))
        source = centred.input(0)
        nodes, stack = {div, scaled, shifted}, [*div.inputs]
        while stack:
            name = stack.pop()
            if name != source and (node := self.graph.producers.get(name)) is not None and node not in nodes:
                nodes.add(node)
                stack.extend(self.graph.data_inputs(node))
        self._add(Norm(div, [source], shifted.outputs[0], gamma, beta, epsilon), nodes)

    def _attention(self, node: Node) -> Attention:
        heads = int(node.attributes.get("num_heads") or node.attributes.get("q_num_heads") or 0)
        if node.op == "MultiHeadAttention" or (node.op == "Attention" and self.graph.constant(node.input(1)) is None):
            fused = node.op == "MultiHeadAttention" and node.input(3)
            bias = self._floats(node.input(3)) if fused else None
            return Attention(node, node.inputs[:3], node.outputs[0], heads, None, bias)
        weight, bias = self._floats(node.input(1)), self._floats(node.input(2)) if node.input(2) else None
        if node.op == "QAttention":
            if node.input(7):
                weight = weight - self._floats(node.input(7))
            weight = weight * self._floats(node.input(4))
        sizes = node.attributes.get("qkv_hidden_sizes")
        if weight.shape[1] % 3 or (sizes and len(set(sizes)) > 1) or node.attributes.get("unidirectional"):
            raise self._refusal(node, "has queries, keys and values of unequal size, or looks one way only")
        return Attention(node, [node.input(0)], node.outputs[0], heads, weight, bias)

    def _hand_out_fused_biases(self) -> None:
        """Give biases that onnxruntime moved into the next operator back to the products they belong to."""
        for node in self.graph.nodes:
            place = {"SkipLayerNormalization": 4, "BiasGelu": 1, "FastGelu": 1}.get(node.op)
            if place is None or not node.input(place):
                continue
            owners = [part for part in self.above(node.inputs[:2]) if isinstance(part, Linear) and part.bias is None]
            if len(owners) != 1:
                raise self._refusal(node, f"has a bias for {len(owners)} products, expected one")
            owners[0].bias = self._floats(node.input(place)).reshape(-1)

    def _require_known_operators(self) -> None:
        for node in self.graph.nodes:
            if node not in self._part_of and node.op not in KNOWN:
                raise self._refusal(node, "is of an operator that is not supported")

    # --- small things

    def _floats(self, name: str) -> Floats:
        value: Array | None = self.graph.constant(name)
        if value is None:
            raise EncoderError(f"{self.graph.path}: {name!r} is computed by the model, expected a constant")
        self.used_constants.add(name)
        return np.asarray(value, dtype=np.float32)

    def _only_constant(self, node: Node) -> Floats:
        name = next((name for name in node.inputs if self.graph.constant(name) is not None), "")
        if not name:
            raise self._refusal(node, "has no constant, expected the factor or summand of a layer norm")
        return self._floats(name).reshape(-1)

    def _before(self, name: str) -> Node | None:
        """Return the operator that makes a value, seen through casts."""
        node = self.graph.producers.get(name)
        while node is not None and node.op == "Cast":
            node = self.graph.producers.get(node.input(0))
        return node

    def _only_consumer(self, name: str, op: str | None = None) -> Node | None:
        """Return the one operator that uses a value; of a kind, seen through casts, if one is given."""
        consumers = list(self.graph.feeds(name))
        if len(consumers) != 1:
            return None
        if op in (None, consumers[0].op):
            return consumers[0]
        return self._only_consumer(consumers[0].outputs[0], op) if consumers[0].op == "Cast" else None

    def _refusal(self, node: Node, why: str) -> EncoderError:
        return EncoderError(f"{self.graph.path}: {node} {why}")
