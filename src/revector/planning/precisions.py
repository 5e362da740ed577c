"""Precisions as a choice: how fast a model embeds in each that this CPU has, in the same space.

None is chosen here. What one costs in quality is measured on queries (`Collection.assess`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from revector.encoders.base import Precision, TextEncoder
from revector.encoders.isolation import encode_each
from revector.errors import RevectorError
from revector.planning.probe import rate_of
from revector.planning.texts import model_of

if TYPE_CHECKING:
    from revector.encoders.native.encoder import Encoder

OFFERED: tuple[Precision, ...] = ("float32", "int8")
"""Beside the one that the model has."""
_SECONDS = 1.5
_FEW = 16


@dataclass(frozen=True)
class Offer:
    """How fast a model embeds in a precision.

    Attributes
    ----------
    precision : str
    documents_per_second : float
        Of the encoder alone.
    present : bool
        Whether the model has this precision now.
    source : str
        What ``--model`` takes for it.
    """

    precision: str
    documents_per_second: float
    present: bool
    source: str = ""


def offers(encoder: TextEncoder, texts: Sequence[str]) -> tuple[Offer, ...]:
    """Measure a model in the precisions that it can have; none for a model without products, or that is not ours.

    Parameters
    ----------
    encoder : TextEncoder
    texts : sequence of str
        What it is measured on, as many as fit into a moment.
    """
    from revector.encoders.native.encoder import Encoder

    model = model_of(encoder)
    if not isinstance(model, Encoder) or len(texts) < _FEW:
        return ()
    others = [_in_precision(model, precision) for precision in OFFERED if precision != model.precision]
    models = [model, *(other for other in others if other is not None)]
    if len(models) < 2:
        return ()
    some = _as_many_as_fit(model, texts)
    return tuple(Offer(each.precision, rate_of(each, some), each is model, str(each.source)) for each in models)


def _in_precision(model: Encoder, precision: Precision) -> Encoder | None:
    """Return a model in another precision; ``None`` where it has none, or is no longer where it was."""
    from revector.encoders.native.encoder import Encoder

    try:
        other = Encoder.from_pretrained(model.source, precision=precision)
    except RevectorError:
        return None
    return other if other.precision == precision and other.space.fingerprint == model.space.fingerprint else None


def _as_many_as_fit(model: Encoder, texts: Sequence[str]) -> Sequence[str]:
    encode_each(model, texts[:_FEW])
    return texts[: max(_FEW, int(_SECONDS * rate_of(model, texts[:_FEW])))]
