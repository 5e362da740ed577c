"""An ONNX graph with its constants computed, and the ways in which data moves through it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.errors import EncoderError

__all__ = ["KNOWN", "Array", "Graph", "Node"]

Array = NDArray[Any]

# Operators that hand on what they get, and at which inputs: all of them, or the first (the others say how).
_ALL = -1
_HANDED_ON: dict[str, int] = {
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Where", "Concat", "Max", "Min", "Sum", "Mod"], _ALL),
    **dict.fromkeys(["And", "Or", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Pow"], _ALL),
    **dict.fromkeys(["Reshape", "Transpose", "Cast", "CastLike", "Unsqueeze", "Squeeze", "Identity", "Dropout"], 1),
    **dict.fromkeys(["Slice", "Expand", "Clip", "Softmax", "Erf", "Tanh", "Sqrt", "Reciprocal", "Neg", "Not"], 1),
    **dict.fromkeys(["Split", "Flatten", "Abs", "Relu", "Gelu", "IsNaN", "Sign", "Exp", "ReduceMean", "ReduceSum"], 1),
    **dict.fromkeys(["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Gather", "GatherND"], 1),
    **dict.fromkeys(["ReduceMax", "ReduceL2", "LpNormalization", "CumSum", "ReduceSumSquare", "Tile"], 1),
    **dict.fromkeys(["FastGelu", "BiasGelu", "GatherElements"], 1),
}
# These make shapes and masks; nothing that is learned comes through them.
_DEAD_ENDS = frozenset({"Shape", "Size", "ConstantOfShape", "Range", "NonZero", "Constant", "EyeLike", "Trilu"})


@dataclass(eq=False)
class Node:
    """An operator. `inputs` are names, empty where an optional one is left out."""

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    proto: Any = None

    def __str__(self) -> str:
        """Return how messages name it."""
        return f"node {self.name!r} ({self.op})"

    def input(self, place: int) -> str:
        """Return the name of an input, empty if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""


KNOWN = frozenset(_HANDED_ON) | _DEAD_ENDS


class Graph:
    """A graph whose constants are computed: what does not depend on the graph's inputs is an array.

    Parameters
    ----------
    path : Path
        The ONNX file.

    Raises
    ------
    EncoderError
        It is not an ONNX file, or its graph cannot be read.
    ImportError
        The extra ``onnx`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        for module in ("onnx.inliner", "onnx.reference"):  # which makes them attributes of onnx, too
            require(module, extra="onnx", purpose="importing an ONNX model")
        onnx = require("onnx", extra="onnx", purpose="importing an ONNX model")
        try:
            model = onnx.load(str(path))
            self.constants: dict[str, Array] = {
                tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
            }
        except Exception as error:  # protobuf's errors, missing external data, unknown types
            raise EncoderError(f"{path} cannot be read as an ONNX model: {type(error).__name__}: {error}") from error
        self.path = path
        self.initialisers = frozenset(self.constants)
        self._origins = {name: frozenset([name]) for name in self.initialisers}
        self.inputs = [i.name for i in model.graph.input if i.name not in self.initialisers]
        self.outputs = [o.name for o in model.graph.output]
        self._opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 17)
        self._inlined = onnx.inliner.inline_local_functions(model).graph.node if model.functions else model.graph.node
        self.nodes = [node for node in map(_node, self._inlined) if not self._folded(onnx, node)]
        self.producers = {output: node for node in self.nodes for output in node.outputs}
        self.consumers: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    self.consumers[name].append(node)

    def _folded(self, onnx: Any, node: Node) -> bool:
        """Compute a node whose inputs are all constants; return whether it is one."""
        standard = node.proto.domain in ("", "ai.onnx")
        if not standard or any(name and name not in self.constants for name in node.inputs):
            return False
        if any(isinstance(value, onnx.GraphProto) for value in node.attributes.values()):
            return False
        values = [self.constants[name] if name else None for name in node.inputs]
        try:
            evaluator = onnx.reference.ReferenceEvaluator(node.proto, opsets={"": self._opset})
            results = evaluator.run(None, {n: v for n, v in zip(node.inputs, values, strict=True) if n})
        except Exception as error:  # the evaluator's own errors are of many kinds
            raise EncoderError(f"{self.path}: {node} cannot be computed: {error}") from error
        self.constants.update(zip(node.outputs, map(np.asarray, results), strict=False))
        origin = frozenset().union(*(self._origins.get(name, frozenset()) for name in node.inputs))
        self._origins.update(dict.fromkeys(node.outputs, origin))
        return True

    def constant(self, name: str) -> Array | None:
        """Return the value of a name if it is a constant."""
        return self.constants.get(name) if name else None

    def origins(self, name: str) -> frozenset[str]:
        """Return the initialisers that a constant is computed from."""
        return self._origins.get(name, frozenset())

    def named(self, name: str) -> str:
        """Return how messages name a constant: by the largest initialiser it is computed from."""
        origins = sorted(self._origins.get(name, ()), key=lambda origin: self.constants[origin].size)
        return f"initialiser {origins[-1] if origins else name!r}"

    def scalar(self, name: str) -> float | None:
        """Return the value of a name if it is a constant of one element."""
        value = self.constant(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def data_inputs(self, node: Node) -> list[str]:
        """Return the inputs of an operator that its result is made of.

        Raises
        ------
        EncoderError
            The operator is not known.
        """
        if node.op in _DEAD_ENDS:
            return []
        count = _HANDED_ON.get(node.op)
        if count is None:
            raise EncoderError(f"{self.path}: {node} is of an operator that is not supported")
        chosen = node.inputs if count == _ALL else node.inputs[:count]
        return [name for name in chosen if name and name not in self.constants]

    def feeds(self, name: str) -> Iterator[Node]:
        """Yield the operators whose result is made of a value."""
        for node in self.consumers[name]:
            if node.op not in _DEAD_ENDS and (node.op not in _HANDED_ON or name in self.data_inputs(node)):
                yield node


def _node(proto: Any) -> Node:
    from onnx.helper import get_attribute_value

    attributes = {attribute.name: get_attribute_value(attribute) for attribute in proto.attribute}
    name = proto.name or (proto.output[0] if proto.output else "")
    return Node(name, proto.op_type, list(proto.input), list(proto.output), attributes, proto)
