"""A plan as a value: what a migration to another model takes, what that stands on, and what is recommended."""

from __future__ import annotations

import html
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from revector._arguments import number, shown, whole_number
from revector._display import shown_bytes, shown_seconds
from revector.errors import InvalidArgumentError
from revector.migration.planning import RETENTION_SECONDS
from revector.migration.schedule import Schedule
from revector.migration.strategies.background import RESCORING
from revector.planning.cost import Cost
from revector.planning.indexing import Indexed
from revector.planning.precisions import Offer
from revector.planning.prices import Price, Prices
from revector.planning.probe import Filled
from revector.planning.texts import COUNTED_ON, Texts

__all__ = ["Measured", "Plan", "PrecisionChoice", "Wanted"]

_DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Wanted:
    """What is asked of a plan.

    Parameters
    ----------
    workers : int
        That will run, each on a machine like this one.
    deadline : str, date or None
        When it has to be done, in ISO 8601.
    prices : Prices
    writes_per_day : float
        Documents that are written while both generations are kept.
    sla_ms : float or None
        What a search may take.
    retention_seconds : float
        How long the old generation is kept after the cut-over.
    """

    workers: int = 1
    deadline: Any = None
    prices: Prices = field(default_factory=Prices)
    writes_per_day: float = 0.0
    sla_ms: float | None = None
    retention_seconds: float = RETENTION_SECONDS

    def __post_init__(self) -> None:
        if not isinstance(self.prices, Prices):
            raise InvalidArgumentError(f"prices is {shown(self.prices)}, expected Prices; read_prices reads a file")
        checked: dict[str, Any] = {
            "workers": whole_number(self.workers, "workers", least=1),
            "writes_per_day": number(self.writes_per_day, "writes_per_day", least=0),
            "sla_ms": None if self.sla_ms is None else number(self.sla_ms, "sla_ms", above=0),
            "retention_seconds": number(self.retention_seconds, "retention_seconds", least=0),
        }
        if isinstance(self.deadline, date):
            checked["deadline"] = self.deadline.isoformat()
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Measured:
    """What a plan stands on.

    Attributes
    ----------
    encoder_per_second : float or None
        Documents that the encoder alone embeds; ``None`` in an empty collection.
    filled : Filled or None
        What a worker did with a sample, the store included; ``None`` where the store was not tried.
    indexed : Indexed or None
        What an index of the new dimension took; ``None`` where the store was not tried.
    rescoring_seconds : float
        What it takes to embed as many texts as a search re-scores.
    offers : tuple of Offer
        How fast the model is in each precision that it can have.
    notes : tuple of str
        What could not be measured, and why.
    """

    encoder_per_second: float | None
    filled: Filled | None = None
    indexed: Indexed | None = None
    rescoring_seconds: float = 0.0
    offers: tuple[Offer, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Measured:
        """Build it from what `Plan.to_json` keeps of it."""
        return cls(
            encoder_per_second=fields["encoder_per_second"],
            filled=_of(Filled, fields["filled"]),
            indexed=_of(Indexed, fields["indexed"]),
            rescoring_seconds=fields["rescoring_seconds"],
            offers=tuple(Offer(**each) for each in fields["offers"]),
            notes=tuple(fields["notes"]),
        )


@dataclass(frozen=True)
class PrecisionChoice:
    """What a migration takes with the model in a precision; `present` is the one that it has now.

    `source` is what ``--model`` takes for it, in plans since there is that.
    """

    precision: str
    documents_per_second: float
    seconds: float
    present: bool
    source: str = ""


@dataclass(frozen=True)
class Plan:
    """What a migration takes.

    Attributes
    ----------
    at : float
        When it was measured, in seconds since the epoch.
    source, target : str
        The spaces, as people read them.
    target_fingerprint : str
        Of the space to move to.
    cost : Cost
        Time of the embedding, and storage.
    texts : Texts
        What there is to embed.
    measured : Measured
        What it stands on.
    index_seconds : float or None
        What the index of the new generation takes; ``None`` where that was not measured.
    map_bytes : int
        What the maps between the spaces take at most, until the migration is over.
    prices : tuple of Price
        What the embedding costs, each way that has a price; both of a service.
    both_live_seconds : float
        How long both generations are kept up to date: until the old one may be retired.
    write_seconds : float
        What the second embedding of what is written in that time takes.
    write_prices : tuple of Price
        What it costs.
    precisions : tuple of PrecisionChoice
    schedule : Schedule or None
        What it takes to be done by the date.
    strategy, reason : str
        What is recommended.
    command : str
        How it is begun.
    notes : tuple of str
        What it could not see.
    wanted : Wanted
        What was asked.
    """

    at: float
    source: str
    target: str
    target_fingerprint: str
    cost: Cost
    texts: Texts
    measured: Measured
    index_seconds: float | None
    map_bytes: int
    prices: tuple[Price, ...]
    both_live_seconds: float
    write_seconds: float
    write_prices: tuple[Price, ...]
    precisions: tuple[PrecisionChoice, ...]
    schedule: Schedule | None
    strategy: str
    reason: str
    command: str
    notes: tuple[str, ...]
    wanted: Wanted

    @property
    def seconds(self) -> float:
        """Time of the embedding, and of the index as far as it is known."""
        return self.cost.seconds + (self.index_seconds or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and the time in all, as plain JSON types."""
        return {**asdict(self), "seconds": self.seconds}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Plan:
        """Build a plan from what `to_json` returned."""
        return cls(
            **{
                **{name: value for name, value in fields.items() if name != "seconds"},
                "cost": Cost(**fields["cost"]),
                "texts": Texts(**fields["texts"]),
                "measured": Measured.from_json(fields["measured"]),
                "prices": tuple(Price(**each) for each in fields["prices"]),
                "write_prices": tuple(Price(**each) for each in fields["write_prices"]),
                "precisions": tuple(PrecisionChoice(**each) for each in fields["precisions"]),
                "schedule": _of(Schedule, fields["schedule"]),
                "notes": tuple(fields["notes"]),
                "wanted": Wanted(**{**fields["wanted"], "prices": Prices(**fields["wanted"]["prices"])}),
            }
        )

    def rows(self) -> dict[str, str]:
        """Return it as people read it, by subject."""
        found = {
            "move": f"{self.cost.documents:,} documents from {self.source} to {self.target}",
            "texts": self._shown_texts(),
            "rate": self._shown_rate(),
            "time": self._shown_time(),
            "storage": self._shown_storage(),
            "money": self._shown_prices(self.prices),
            "writes": self._shown_writes(),
            "searches": self._shown_searches(),
            "precision": "\n".join(map(self._shown_precision, self.precisions)),
            "deadline": "" if self.schedule is None else str(self.schedule),
            "strategy": f"{self.strategy}: {self.reason}",
            "begin with": self.command,
            "not in it": "\n".join(self.notes),
        }
        return {name: line for name, line in found.items() if line}

    def __str__(self) -> str:
        """Return it in lines."""
        return "\n".join(f"{name:12}{line}" for name, lines in self.rows().items() for line in lines.split("\n"))

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it."""
        cells = [(html.escape(name), html.escape(line)) for name, line in self.rows().items()]
        return f"<table>{''.join(f'<tr><th>{name}</th><td>{line}</td></tr>' for name, line in cells)}</table>"

    def _shown_texts(self) -> str:
        texts = self.texts
        sample = f"counted by {texts.counted_by} on {min(COUNTED_ON, texts.documents):,}"
        return f"{texts.different:,} different ones, each embedded once; about {texts.tokens:,} tokens ({sample})"

    def _shown_rate(self) -> str:
        alone, filled = self.measured.encoder_per_second, self.measured.filled
        if alone is None:
            return ""
        if filled is None:
            return f"{alone:,.3g} documents/s, the encoder alone"
        tried = f"{filled.documents:,} documents in {shown_seconds(filled.seconds)}"
        rate = self.cost.documents_per_second or 0.0
        return f"{rate:,.4g} documents/s of a worker here, reading and writing included ({tried})"

    def _shown_time(self) -> str:
        workers = f"{self.wanted.workers} worker" + "s" * (self.wanted.workers > 1)
        time = f"{shown_seconds(self.cost.seconds)} to embed them with {workers}"
        return time + (f", {shown_seconds(self.index_seconds)} for the index" if self.index_seconds else "")

    def _shown_storage(self) -> str:
        more, both = shown_bytes(self.cost.target_bytes), shown_bytes(self.cost.peak_bytes)
        kept = f"{both} while both generations are kept, {shown_seconds(self.both_live_seconds)}"
        return f"at most {more} more, and {shown_bytes(self.map_bytes)} for maps; {kept}"

    def _shown_prices(self, prices: tuple[Price, ...]) -> str:
        show = self.wanted.prices.shown
        return "; ".join(f"{price.name} {show(price.amount)} ({price.how})" for price in prices)

    def _shown_writes(self) -> str:
        if not self.wanted.writes_per_day:
            return ""
        days = self.both_live_seconds / _DAY_SECONDS
        line = f"{self.wanted.writes_per_day:,.0f} a day are embedded twice for {days:.1f} days: "
        money = self._shown_prices(self.write_prices)
        return line + shown_seconds(self.write_seconds) + (f"; {money}" if money else "")

    def _shown_searches(self) -> str:
        seconds = self.measured.rescoring_seconds
        if not seconds:
            return ""
        budget, texts = RESCORING.milliseconds or 0.0, RESCORING.texts
        fit = min(texts, int(texts * budget / (1000 * seconds)))
        return (
            f"while documents move, the best {texts} of a query are embedded on the spot, each once: "
            f"{1000 * seconds:,.3g} ms; a budget of {budget:g} ms is enough for {fit}"
        )

    def _shown_precision(self, choice: PrecisionChoice) -> str:
        line = f"{choice.precision}: {choice.documents_per_second:,.4g} documents/s, {shown_seconds(choice.seconds)}"
        if choice.present:
            return f"{line} (as it is)"
        return f"{line} (the same space, --model {shlex.quote(choice.source)}; what it costs in quality, assess says)"


def _of(kind: Any, fields: Mapping[str, Any] | None) -> Any:
    return None if fields is None else kind(**fields)
