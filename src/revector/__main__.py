"""``python -m revector``: where the C++ library lies, for build systems; anything else is the command line.

    cmake -Drevector_ROOT=$(python -m revector --cmakedir) …
    c++ -I$(python -m revector --includedir) app.cpp $(python -m revector --libs)

The paths are printed without loading the command line, so they work in a build environment that has nothing of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import revector


def _installed(folder: str) -> str:
    """Return a folder of the installed package (an editable install has several roots)."""
    for root in revector.__path__:
        if Path(root, folder).is_dir():
            return str(Path(root, folder).resolve())
    raise SystemExit(
        f"revector: no folder {folder!r} in {', '.join(revector.__path__)}; "
        "this installation has no C++ library, install the package with pip"
    )


def _libs() -> str:
    folder = _installed("lib")
    return f"-L{folder} -Wl,-rpath,{folder} -lrevector"


PATHS: dict[str, Callable[[], str]] = {
    "--cmakedir": lambda: _installed("lib/cmake/revector"),
    "--includedir": lambda: _installed("include"),
    "--libs": _libs,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each path that is asked for, or run the command line."""
    asked = sys.argv[1:] if arguments is None else list(arguments)
    if asked and set(asked) <= PATHS.keys():
        print("\n".join(PATHS[flag]() for flag in asked))
        return
    from revector.cli import main as run_cli

    run_cli(asked)


if __name__ == "__main__":
    main()
