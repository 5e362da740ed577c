"""What every way to build a graph asks for, and how a build is watched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import function
from revector._arrays import as_labels, as_queries
from revector.errors import ShapeError

DEFAULT_SEED = 100
_PROGRESS_SECONDS = 0.2

Built = TypeVar("Built")


def rows_and_labels(vectors: Any, ids: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors and their ids as the core takes them; a single one of each may stand alone."""
    rows, labels = as_queries(vectors, "vectors"), as_labels(ids, "ids")
    if len(labels) != len(rows):
        raise ShapeError(f"number of ids: got {len(labels)}, expected {len(rows)}, one for each vector")
    return rows, labels


def watched(build: Callable[[_core.BuildWatch], Built], progress: Callable[[float], object] | None) -> Built:
    """Build on another thread, so that this one hears Ctrl-C and can tell how far it is."""
    watch = _core.BuildWatch()
    if progress is not None:
        function(progress, "progress")
    with ThreadPoolExecutor(1, "revector-build") as executor:
        built = executor.submit(build, watch)
        try:
            while not wait([built], _PROGRESS_SECONDS).done:
                if progress is not None:
                    progress(watch.share)
        except BaseException:
            watch.cancel()
            raise
    return built.result()
