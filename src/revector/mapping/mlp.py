"""A small network on top of an affine map. Fitting it needs torch; applying it does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from revector._optional import require
from revector.errors import InvalidArgumentError, NumericalError
from revector.mapping import files
from revector.mapping.affine import LEAST_PAIRS
from revector.mapping.base import MapPrecision, Rows, SpaceMap, Weights, check_columns, check_pairs, describe, rebuild
from revector.mapping.ridge import RidgeMap
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

_BATCH = 256
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2
_DROPOUT = 0.1


class ResidualMLP(SpaceMap):
    """Ridge map plus a network with one hidden layer, ``base(x) + relu(x A + a) B + b``, fitted for cosine.

    B begins at zero, so fitting begins at the ridge map. AdamW (I. Loshchilov and F. Hutter, ICLR 2019) with a learning
    rate that falls along a cosine. All pairs are kept until the map is fitted: it does not stream in constant memory.

    Parameters
    ----------
    hidden : int
        Width of the hidden layer.
    epochs : int
        Passes over the pairs.
    seed : int
        Of the initial weights and of the order of pairs.
    source, target : EmbeddingSpace, optional
        The spaces of the old and the new rows.
    """

    format = "revector.mlp.1"

    def __init__(
        self,
        hidden: int = 1024,
        epochs: int = 20,
        seed: int = 0,
        *,
        source: EmbeddingSpace | None = None,
        target: EmbeddingSpace | None = None,
    ) -> None:
        super().__init__(source=source, target=target)
        self.hidden = hidden
        self.epochs = epochs
        self.seed = seed
        self._forget()

    @property
    def n_parameters(self) -> int:
        """Numbers of base and network."""
        base, layers = self._fitted()
        return base.n_parameters + sum(layer.size for layer in layers.values())

    def _forget(self) -> None:
        self._pairs: list[tuple[Rows, Rows]] = []
        self._found: tuple[SpaceMap, files.Tensors] | None = None

    def _learn(self, x: Rows, y: Rows, weights: Weights | None) -> None:
        if weights is not None:
            raise InvalidArgumentError("ResidualMLP takes no weights; repeat pairs, or use RidgeMap")
        check_pairs(x, y)
        if self._found is not None and not self._pairs:
            raise InvalidArgumentError("a map from a file does not hold its pairs; call fit with all of them")
        if self._pairs:
            check_columns((x, y), self._pairs[0])
        self._pairs.append((x, y))
        self._found = None

    def _fitted(self) -> tuple[SpaceMap, files.Tensors]:
        if self._found is None:
            if not self._pairs:
                raise self._never_fitted()
            x, y = (np.concatenate(side) for side in zip(*self._pairs, strict=True))
            if len(x) < LEAST_PAIRS:
                raise InvalidArgumentError(f"ResidualMLP has {len(x)} pair(s), expected at least {LEAST_PAIRS}")
            base = RidgeMap().fit(x, y)
            self._found = base, self._train(x, y, base.transform(x, renormalize=False))
        return self._found

    def _train(self, x: Rows, y: Rows, mapped: Rows) -> files.Tensors:
        torch: Any = require("torch", extra="sentence-transformers", purpose="fitting a ResidualMLP")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            first, second = torch.nn.Linear(x.shape[1], self.hidden), torch.nn.Linear(self.hidden, y.shape[1])
            torch.nn.init.zeros_(second.weight)
            torch.nn.init.zeros_(second.bias)
            network = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Dropout(_DROPOUT), second)
            _descend(torch, network, [torch.tensor(side) for side in (x, mapped, y)], self.epochs)
        with torch.no_grad():
            return {
                "first": first.weight.T.contiguous().numpy(),
                "first_bias": first.bias.numpy(),
                "second": second.weight.T.contiguous().numpy(),
                "second_bias": second.bias.numpy(),
            }

    def _apply(self, x: Rows, renormalize: bool, precision: MapPrecision) -> Rows:
        base, layers = self._fitted()
        hidden = np.maximum(x @ layers["first"] + layers["first_bias"], 0)
        mapped = base.transform(x, renormalize=False, precision=precision)
        mapped += hidden @ layers["second"] + layers["second_bias"]
        return normalize(mapped, out=mapped) if renormalize else mapped

    def _state(self) -> files.State:
        base, layers = self._fitted()
        tensors, description = describe(base)
        params = {name: value for name, value in self.get_params().items() if name not in ("source", "target")}
        return {**layers, **files.nested("base", tensors)}, {"params": params, "base": description}

    @classmethod
    def _restore(cls, state: files.State) -> ResidualMLP:
        tensors, description = state
        found = cls(**description["params"])
        base = rebuild((files.part("base", tensors), description["base"]))
        found._found = base, {name: tensors[name] for name in ("first", "first_bias", "second", "second_bias")}
        return found


def _descend(torch: Any, network: Any, pairs: list[Any], epochs: int) -> None:
    """Bring ``mapped + network(x)`` closer to y in cosine."""
    x, mapped, y = pairs
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(_BATCH):
            loss = 1 - torch.nn.functional.cosine_similarity(mapped[rows] + network(x[rows]), y[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    if not torch.isfinite(loss):
        raise NumericalError("fitting the network did not converge; give more pairs or fewer hidden units")
    network.eval()
