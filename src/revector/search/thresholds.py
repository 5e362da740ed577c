"""Thresholds of similarity that mean the same before and after a cut-over.

A number is in the scale of one space: the scores that its model gives. It stays in that scale through migrations, until
somebody says otherwise, and is translated to the space that answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from revector._arguments import number, shown
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import InvalidArgumentError
from revector.mapping import ScoreMap
from revector.migration.scales import fitted_scale, noted_scale, scale_between
from revector.migration.serving import Serving
from revector.spaces import EmbeddingSpace


@dataclass(frozen=True)
class Threshold:
    """A similarity below which a document is not a hit.

    Parameters
    ----------
    value : float
    space : EmbeddingSpace
        In whose scores it was chosen, such as ``collection.serving_space``.
    """

    value: float
    space: EmbeddingSpace

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", number(self.value, "threshold"))
        if not isinstance(self.space, EmbeddingSpace):
            raise InvalidArgumentError(f"space is {shown(self.space)}, expected the EmbeddingSpace of the threshold")


@dataclass(frozen=True)
class Least:
    """A score below which a document is not a hit, by the new model or by the old one."""

    score: float
    by_new: bool


class Thresholds:
    """Reads the thresholds of searches. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        Keeps in which scale they are, and what one scale is in another.
    encoders : EncoderSet
        The models at hand.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet) -> None:
        self._backend, self._encoders = backend, encoders
        self._fitted: dict[tuple[int, int], ScoreMap | None] = {}

    def space(self, serving: Serving) -> EmbeddingSpace:
        """Return the space in whose scores numbers are: what is noted, or that before the migration under way."""
        before = serving.other if serving.moved and serving.other is not None else serving.serving
        return noted_scale(self._backend) or before.space

    def least(self, given: float | Threshold | None, generation: Generation, serving: Serving) -> float | None:
        """Return what a threshold is in the scores of a generation; ``None`` if there is none.

        Raises
        ------
        InvalidArgumentError
            Nothing says what scores of its space are there; the message says what to do.
        """
        return None if given is None else self._translated(self._of(given, serving), generation, serving)

    def least_of_both(
        self, given: float | Threshold | None, old: Generation, new: Generation, serving: Serving
    ) -> Least | None:
        """Return a threshold in the scores of the old model, or of the new one if it was given in those."""
        if given is None:
            return None
        threshold = self._of(given, serving)
        by_new = threshold.space.fingerprint == new.space.fingerprint
        return Least(self._translated(threshold, new if by_new else old, serving), by_new)

    def _of(self, given: float | Threshold, serving: Serving) -> Threshold:
        return given if isinstance(given, Threshold) else Threshold(given, self.space(serving))

    def _translated(self, threshold: Threshold, generation: Generation, serving: Serving) -> float:
        if threshold.space.fingerprint == generation.space.fingerprint:
            return threshold.value
        found = scale_between(self._backend, threshold.space, generation.space)
        if found is None:
            live = next((each for each in serving.live if each.space.fingerprint == threshold.space.fingerprint), None)
            found = None if live is None else self._fit(live, generation)
        if found is None:
            raise InvalidArgumentError(
                f"threshold is in the scale of {threshold.space}, and nothing says what that is in {generation.space}; "
                "give Threshold(value, collection.serving_space), or call thresholds_in_serving_space()"
            )
        return found.threshold(threshold.value)

    def _fit(self, source: Generation, target: Generation) -> ScoreMap | None:
        """Fit what no verification has fitted yet, once in this process."""
        pair = (source.id, target.id)
        if self._fitted.get(pair) is None:
            self._fitted[pair] = fitted_scale(self._backend, self._encoders, source, target)
        return self._fitted[pair]
