"""What all models of a service have in common: an address, a key that is never shown, and what was spent."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from revector.encoders.service.api import Endpoint
from revector.encoders.service.pacing import SpendMeter
from revector.errors import InvalidArgumentError

__all__ = ["Account"]


class Account:
    """A model of a service, and what it has cost so far. A constructor sets the three attributes below.

    Attributes
    ----------
    _model : str
        As the service calls it.
    _endpoint : Endpoint
    _meter : SpendMeter
    """

    _model: str
    _endpoint: Endpoint
    _meter: SpendMeter

    def __repr__(self) -> str:
        """Return model and address; never the key."""
        if "_endpoint" not in vars(self):  # a traceback with its locals, of a constructor that failed
            return object.__repr__(self)
        return f"{type(self).__name__}({self._model!r}, base_url={self._endpoint.address!r})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse: a pickle would hold the key.

        Raises
        ------
        InvalidArgumentError
            It says how to make the object again, where it is needed.
        """
        raise InvalidArgumentError(
            f"{type(self).__name__}: neither pickled nor copied, for that would write its key down; make it again "
            f"{self._again}, in the other process, with OPENAI_API_KEY in its environment; threads can share one"
        )

    @property
    def _again(self) -> str:
        """How to make the same object in another process."""
        return "with the same arguments"

    @property
    def tokens_used(self) -> int:
        """Tokens that were charged so far."""
        return self._meter.tokens

    @property
    def spent(self) -> float:
        """Money spent so far; 0 without a price."""
        return self._meter.spent

    @property
    def spend_cap(self) -> float | None:
        """The most that it may spend; ``None`` without a cap."""
        return self._meter.cap

    def close(self) -> None:
        """Close the connections. What is closed sends no more requests; closing it again does nothing."""
        self._endpoint.close()
