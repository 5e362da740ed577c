"""The encoders at hand, by the space they produce; what is missing is loaded from where the generation says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from revector._forks import renew_in_child
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.sources import load_encoder
from revector.errors import EncoderError, RevectorError
from revector.stores.base import Generation

Loader = Callable[[str], TextEncoder]


class EncoderSet:
    """Finds the encoder of a generation. Safe to share between threads.

    Parameters
    ----------
    encoders : iterable of TextEncoder
        Encoders that are loaded already.
    loader : callable, optional
        Loads an encoder from the source that a generation names; the default is
        `revector.encoders.sources.load_encoder`.
    """

    def __init__(self, encoders: Iterable[TextEncoder] = (), *, loader: Loader | None = None) -> None:
        self._loader = loader or load_encoder
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self._by_space: dict[str, TextEncoder] = {}
        self._problems: dict[str, str] = {}
        for encoder in encoders:
            self.add(encoder)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def add(self, encoder: TextEncoder) -> None:
        """Put an encoder at hand."""
        self._by_space[space_of(encoder, "encoder").fingerprint] = encoder

    def find(self, generation: Generation) -> TextEncoder | None:
        """Return the encoder of a generation's space, or ``None``; `require` says why it is not at hand.

        The source is tried once; a model that appears later is found by a new set.
        """
        wanted = generation.space.fingerprint
        with self._lock:
            if wanted not in self._by_space and wanted not in self._problems:
                self._load(generation)
            return self._by_space.get(wanted)

    def require(self, generation: Generation, *, purpose: str) -> TextEncoder:
        """Return the encoder of a generation's space.

        Raises
        ------
        EncoderError
            It is not at hand and can not be loaded; the message names the model.
        """
        encoder = self.find(generation)
        if encoder is None:
            raise EncoderError(
                f"{purpose} needs the model of {generation.space}, which is not at hand: "
                f"{self._problems[generation.space.fingerprint]}; pass its encoder when you open the collection"
            )
        return encoder

    def _load(self, generation: Generation) -> None:
        wanted, source = generation.space.fingerprint, generation.encoder_source
        if source is None:
            self._problems[wanted] = "it was given in memory, so it can not be loaded again"
            return
        try:
            encoder = self._loader(source)
            space = encoder.space  # a service may have to be asked for it
        except (RevectorError, OSError, ImportError) as error:
            self._problems[wanted] = f"loading {source!r} failed ({error})"
            return
        if space.fingerprint != wanted:
            self._problems[wanted] = f"{source!r} holds {space} by now"
            return
        self._by_space[wanted] = encoder
