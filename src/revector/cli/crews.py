"""The options of `run` that let a cluster work: which one, how many workers, what each of them has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from revector.cli.common import open_encoder
from revector.errors import InvalidArgumentError
from revector.migration.filling.crew import Crew

if TYPE_CHECKING:
    from revector.distributed.ray import RayCrew

_RAY = "--ray"

RayAddress = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
    typer.Option(
        _RAY,
        metavar="[ADDRESS]",
        help="Let workers on the machines of a Ray cluster embed; without ADDRESS that of RAY_ADDRESS, or of this "
        "machine. The collection is in PostgreSQL.",
    ),
]
Workers = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(metavar="N", min=1, help="How many, with --ray; one on each machine, or as many as there are GPUs."),
]
NumGpus = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(metavar="F", min=0, help="GPUs of each worker, with --ray; 0.5 lets two share one."),
]


class RunCommand(TyperCommand):
    """Lets ``--ray`` stand alone, or before another option."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        """Read the arguments; an address that is left out is empty."""
        following = [*arguments[1:], "-"]
        spelled = [
            f"{_RAY}=" if argument == _RAY and after.startswith("-") else argument
            for argument, after in zip(arguments, following, strict=True)
        ]
        return super().parse_args(context, spelled)


def crew_for(
    collection: str,
    address: str | None,
    workers: int | None,
    num_gpus: float | None,
    *,
    encoders: Sequence[str] | None,
    niceness: int,
) -> AbstractContextManager[Crew | None]:
    """Return the crew that the options ask for; without ``--ray``, nobody.

    Raises
    ------
    InvalidArgumentError
        The others are given without it.
    MissingExtraError
        Ray is not installed.
    """
    if address is None:
        if workers is not None or num_gpus is not None:
            raise InvalidArgumentError(f"--workers and --num-gpus are about a cluster; name it with {_RAY}")
        return nullcontext()
    from revector.distributed.ray import RayCrew

    return _aside(
        RayCrew(
            collection,
            address=address or None,
            workers=workers,
            num_gpus=num_gpus or 0.0,
            encoders=[open_encoder(name) for name in encoders or ()],
            niceness=niceness,
        )
    )


@contextmanager
def _aside(crew: RayCrew) -> Iterator[Crew]:
    """Yield a crew. What its engine prints, of a machine that was lost, is kept from the command's own answer."""
    with redirect_stdout(sys.stderr), crew:
        yield crew
