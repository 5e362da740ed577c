"""The encoders at hand, by the space they produce; what is missing is loaded from where the generation says."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from revector._forks import renew_in_child
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.sources import load_encoder, missing, places, remembered
from revector.encoders.templated import templated
from revector.errors import EncoderError, RevectorError
from revector.spaces import EmbeddingSpace

Loader = Callable[[str], TextEncoder]


class Sourced(Protocol):
    """A generation, as far as its model goes: its space, and where the model was loaded from."""

    @property
    def space(self) -> EmbeddingSpace:
        """What the model produces."""
        ...

    @property
    def encoder_source(self) -> str | None:
        """A path, an id or a service; ``None`` for a model that was given in memory."""
        ...


class EncoderSet:
    """Finds the encoder of a generation. Safe to share between threads.

    Parameters
    ----------
    encoders : iterable of TextEncoder
        Encoders that are loaded already.
    loader : callable, optional
        Loads an encoder from the source that a generation names; the default is
        `revector.encoders.sources.load_encoder`.
    folder : Path, optional
        Where the collection is, if it is a file: models near it are found again when both are moved.
    place : str
        The collection as users say it, for messages.
    """

    def __init__(
        self,
        encoders: Iterable[TextEncoder] = (),
        *,
        loader: Loader | None = None,
        folder: Path | None = None,
        place: str = "",
    ) -> None:
        self._folder, self._place = folder, place
        self._loader = loader or load_encoder
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self._by_space: dict[str, TextEncoder] = {}
        self._problems: dict[str, str] = {}
        self.similarities: dict[tuple[int, float], float] = {}  # see `revector.migration.canaries`
        for encoder in encoders:
            self.add(encoder)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()
        self._loading: set[str] = set()  # by threads, which a forked child has not

    def add(self, encoder: TextEncoder) -> None:
        """Put an encoder at hand."""
        self._by_space[space_of(encoder, "encoder").fingerprint] = encoder

    @property
    def loaded(self) -> list[TextEncoder]:
        """The encoders that are at hand already."""
        with self._lock:
            return list(self._by_space.values())

    def find(self, generation: Sourced) -> TextEncoder | None:
        """Return the encoder of a generation's space, or ``None``; `require` says why it is not at hand.

        The source is tried once; a model that appears later is found by a new set.
        """
        wanted = generation.space.fingerprint
        if (loaded := self._by_space.get(wanted)) is not None:
            return loaded
        with self._lock:
            if wanted not in self._by_space and wanted not in self._problems:
                model = self._by_space.get(generation.space.plain.fingerprint)
                if model is None:
                    self._load(generation)
                else:
                    self._by_space[wanted] = templated(model, generation.space.template)
            return self._by_space.get(wanted)

    def find_behind(self, generation: Sourced) -> TextEncoder | None:
        """Return the encoder of a generation's space if it is loaded; otherwise load it in a thread, for the next time.

        For whoever has an answer without it, and must not wait for one that takes a while to load.
        """
        wanted = generation.space.fingerprint
        if generation.space.plain.fingerprint in self._by_space:
            return self.find(generation)
        loaded = self._by_space.get(wanted)
        if loaded is None and wanted not in self._problems and wanted not in self._loading:
            self._loading.add(wanted)
            # Not a daemon: the end of the interpreter would tear it out of the core, which ends in a signal.
            threading.Thread(target=self.find, args=(generation,), name="revector-load").start()
        return loaded

    def require(self, generation: Sourced, *, purpose: str) -> TextEncoder:
        """Return the encoder of a generation's space.

        Raises
        ------
        EncoderError
            It is not at hand and cannot be loaded; the message names the model.
        """
        encoder = self.find(generation)
        mend = f", or say where it is: revector model {shlex.quote(self._place)} --set PATH"
        if encoder is None:
            raise EncoderError(
                f"{purpose} needs the model of {generation.space}, which is not at hand: "
                f"{self._problems[generation.space.fingerprint]}; pass its encoder when you open the collection"
                + (mend if self._place else "")
            )
        return encoder

    def written(self, encoder: TextEncoder) -> str | None:
        """Return how the collection writes down where an encoder can be loaded from again."""
        source = encoder.source
        return source if source is None or self._folder is None else remembered(source, self._folder)

    def is_lost(self, generation: Sourced) -> bool:
        """Whether the model of a generation was in a folder that is there no longer."""
        return generation.encoder_source is not None and all(map(missing, self._places(generation.encoder_source)))

    def _places(self, written: str) -> list[str]:
        return [written] if self._folder is None else places(written, self._folder)

    def _load(self, generation: Sourced) -> None:
        wanted, written = generation.space.fingerprint, generation.encoder_source
        if written is None:
            self._problems[wanted] = "it was given in memory, so it cannot be loaded again"
            return
        for source in self._places(written):
            if self._load_from(source, generation.space):
                self._problems.pop(wanted, None)
                return

    def _load_from(self, source: str, space_wanted: EmbeddingSpace) -> bool:
        """Load a model if it is the one that is wanted; note why it is not."""
        wanted = space_wanted.fingerprint
        try:
            encoder = templated(self._loader(source), space_wanted.template)
            space = encoder.space  # a service may have to be asked for it
        except (RevectorError, OSError, ImportError) as error:
            self._problems[wanted] = f"loading {source!r} failed ({error})"
            return False
        if space.fingerprint != wanted:
            self._problems[wanted] = f"{source!r} holds {space} by now"
            return False
        self._by_space[wanted] = encoder
        return True
