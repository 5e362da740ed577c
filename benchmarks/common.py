"""What every benchmark shares: the command line, interleaved timing, ratios, and the record of the machine.

A benchmark asserts its answers first; then ours and the peers' take turns, so that a change of the machine's mood
hits all of them. Medians of wall and CPU seconds are reported, and the ratio peer / revector of the CPU seconds
(above 1: revector is cheaper).
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from revector import _core

OURS = "revector"


@dataclass(frozen=True)
class Timing:
    """Medians over the rounds, in seconds."""

    wall_seconds: float
    cpu_seconds: float
    rounds: int


@dataclass
class Report:
    """Collects the contests of one benchmark, prints them, and writes them as JSON on request.

    The file is written anew after every contest, so that a run that is cut short leaves what it has measured.
    """

    subject: str
    smoke: bool
    json_path: Path | None
    rounds: int
    parts: tuple[str, ...] = ()
    options: argparse.Namespace = field(default_factory=argparse.Namespace)
    contests: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_arguments(
        cls,
        subject: str,
        *,
        rounds: int = 7,
        parts: Sequence[str] = (),
        default_parts: Sequence[str] = (),
        more: Callable[[argparse.ArgumentParser], None] | None = None,
    ) -> Report:
        """Read ``--smoke`` (small inputs, one round), ``--json PATH``, ``--rounds N`` and, if any, ``--parts``.

        Options that `more` adds are found in `options`.
        """
        parser = argparse.ArgumentParser(description=f"Benchmark of {subject}, beside the peers that are installed.")
        parser.add_argument("--smoke", action="store_true", help="small inputs, one round: only the answers count")
        parser.add_argument("--json", type=Path, help="write the figures to this file")
        parser.add_argument("--rounds", type=int, default=rounds)
        parser.add_argument(
            "--parts", nargs="+", choices=parts or None, default=list(default_parts), help="what to run"
        )
        if more is not None:
            more(parser)
        given = parser.parse_args()
        return cls(subject, given.smoke, given.json, 1 if given.smoke else given.rounds, tuple(given.parts), given)

    def contest(
        self,
        title: str,
        contestants: Mapping[str, Callable[[], Any]],
        *,
        work: float | None = None,
        unit: str = "",
        warm_up: bool = True,
    ) -> dict[str, Timing]:
        """Time the contestants in turn and print medians and ratios.

        Parameters
        ----------
        title : str
            What is measured, with its sizes.
        contestants : mapping of str to callable
            ``"revector"`` and its peers; each call does the whole work once.
        work, unit : float, str
            Work of one call, printed per wall second (``2e9, "FLOP"``).
        warm_up : bool
            Whether everybody runs once before the rounds; calls of many seconds need not.
        """
        timings = interleaved(contestants, self.rounds, warm_up=warm_up)
        ours = timings[OURS]
        print(f"\n{title}")
        for name, timing in timings.items():
            rate = f"{work / timing.wall_seconds:12.4g} {unit}/s" if work else ""
            ratio = timing.cpu_seconds / ours.cpu_seconds if ours.cpu_seconds else float("nan")
            print(
                f"  {name:28}{timing.wall_seconds * 1e3:11.2f} ms{timing.cpu_seconds * 1e3:11.2f} CPU-ms"
                f"{ratio:8.2f} x{rate}"
            )
        self._keep({"title": title, "timings": {name: asdict(timing) for name, timing in timings.items()}})
        return timings

    def note(self, title: str, **figures: Any) -> None:
        """Print and record figures that are no timings."""
        print(f"\n{title}\n  " + "  ".join(f"{name}={_show(value)}" for name, value in figures.items()))
        self._keep({"title": title, "figures": figures})

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print and record rows of figures that all have the same names; what is printed is Markdown."""
        print(f"\n{title}\n\n{markdown(rows)}")
        self._keep({"title": title, "rows": list(rows)})

    def finish(self) -> None:
        """Print the machine."""
        print("\n" + "  ".join(f"{name}={value}" for name, value in machine().items()))

    def _keep(self, contest: dict[str, Any]) -> None:
        self.contests.append(contest)
        if self.json_path is not None:
            record = {"subject": self.subject, "machine": machine(), "smoke": self.smoke, "contests": self.contests}
            self.json_path.parent.mkdir(parents=True, exist_ok=True)
            self.json_path.write_text(json.dumps(record, indent=1) + "\n")


def interleaved(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, *, warm_up: bool = True
) -> dict[str, Timing]:
    """Run everybody once to warm up, then in turn; return medians."""
    for run in contestants.values() if warm_up else ():
        run()
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            seen[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Timing(*(statistics.median(column) for column in zip(*times, strict=True)), len(times))
        for name, times in seen.items()
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table; text is aligned to the left, figures to the right."""
    names = list(rows[0])
    rule = ["---" if isinstance(rows[0][name], str) else "---:" for name in names]
    lines = [names, rule, *([_show(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peer(name: str) -> ModuleType | None:
    """Import a peer, or say that it is not installed and return ``None``."""
    if find_spec(name.partition(".")[0]) is None:
        print(f"({name} is not installed: `make bench` installs the peers)")
        return None
    return import_module(name)


def machine() -> dict[str, str | int]:
    """Describe where the figures come from."""
    return {
        "cpu": _cpu_name(),
        "isa": _core.active_isa(),
        "threads": _core.num_threads(),
        "python": platform.python_version(),
        "commit": _commit(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _show(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
