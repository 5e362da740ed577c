"""The plots of a report, as SVG that stands in the page: its colours are the page's own, for light and dark.

Each is drawn twice, for wide and for narrow pages, since text that is scaled down cannot be read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from html import escape
from io import StringIO
from types import MappingProxyType
from typing import Any

import numpy as np

from revector._optional import require
from revector.report.content import Figure
from revector.report.formatting import visible

WIDTHS = MappingProxyType({"wide": 920, "narrow": 360})
"""Of the page that a drawing is for, in pixels."""

# Stand-ins for the page's colours, which matplotlib knows nothing of.
_COLOURS = MappingProxyType(
    {
        "ink": "#010101",
        "muted": "#010102",
        "line": "#010103",
        "old": "#010104",
        "new": "#010105",
        "better": "#010106",
        "worse": "#010107",
        **{f"c{place}": f"#0102{place:02x}" for place in range(1, 7)},
    }
)
_STYLE = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "text.parse_math": False,
    "font.size": 13,
    "font.family": "DejaVu Sans",  # comes with matplotlib, and is wide: whatever the page uses instead fits
    "axes.edgecolor": _COLOURS["line"],
    "axes.labelcolor": _COLOURS["muted"],
    "axes.titlesize": 13,
    "axes.titlecolor": _COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _COLOURS["line"],
    "grid.linewidth": 0.6,
    "text.color": _COLOURS["ink"],
    "xtick.color": _COLOURS["line"],
    "ytick.color": _COLOURS["line"],
    "xtick.labelcolor": _COLOURS["muted"],
    "ytick.labelcolor": _COLOURS["muted"],
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
_PURPOSE = "plots of the report"
_NOT_SHOWN = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->|<defs>\s*</defs>", re.DOTALL)


def drawn(figure: Figure) -> dict[str, str]:
    """Draw a figure for each width; raise `MissingExtraError` without the extra ``report``."""
    return {name: _svg(figure, name, width) for name, width in WIDTHS.items()}


def _svg(figure: Figure, width_name: str, width: int) -> str:
    name = f"{figure.name}-{width_name}"
    with _canvas(name, width) as (canvas, out):
        DRAWING[figure.name](canvas, figure.data, width)
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(out.getvalue(), name, figure)


@contextmanager
def _canvas(name: str, width: int) -> Iterator[tuple[Any, StringIO]]:
    """Yield an empty drawing, whose unit is a pixel, in our style, whatever the user's is."""
    matplotlib = require("matplotlib", extra="report", purpose=_PURPOSE)
    made = require("matplotlib.figure", extra="report", purpose=_PURPOSE)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": name})
        yield made.Figure(figsize=(width / 72, 4), dpi=72), StringIO()


def _for_page(svg: str, name: str, figure: Figure) -> str:
    """Return an SVG as part of a page: with a name for those who cannot see it, the page's colours, and own ids."""
    body = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([^"]*)"', body)
    inner = body[body.index(">") + 1 :]
    inner = _NOT_SHOWN.sub("", inner)
    referred = set(re.findall(r'(?:url\(#|xlink:href="#)([\w.-]+)', inner))
    inner = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in referred else "", inner)
    inner = re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{name}-", inner).replace("xlink:href", "href")
    inner = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", inner)
    inner = re.sub(r"\s*\n\s*", "\n", inner)
    for colour, standing_in in _COLOURS.items():
        inner = inner.replace(standing_in, f"var(--{colour})")
    title, description = escape(visible(figure.title)), escape(visible(figure.description))
    labels = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    head = f'<svg class="{name.rpartition("-")[2]}" viewBox="{view[1] if view else ""}" {labels}>'
    return f'{head}<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>{inner}'


def _lift(canvas: Any, data: Mapping[str, Any], width: int) -> None:
    canvas.set_size_inches(width / 72, (300 if width > 500 else 240) / 72)
    axes, bars = canvas.subplots(), np.array(data["bars"])
    colours = [_COLOURS["better" if bar > 0 else "worse" if bar < 0 else "muted"] for bar in bars]
    axes.bar(np.arange(len(bars)), bars, width=0.85, color=colours, linewidth=0)
    axes.axhline(0, color=_COLOURS["muted"], linewidth=0.8)
    levels = {"mean": (data["mean"], "new", "-"), "asked for": (data["asked"], "muted", (0, (5, 3)))}
    for name, (value, colour, style) in levels.items():
        if value:
            text = f"{name} {value:+.3f}".replace("-", "−")
            axes.axhline(value, color=_COLOURS[colour], linewidth=1.4, linestyle=style, label=text)
    axes.legend(loc="upper right", fontsize=13)
    axes.set_xlim(-0.7, len(bars) - 0.3)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("queries, the greatest gain first")
    axes.set_ylabel("new − old")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.1f}".replace("-", "−") if value else "0")


def _quality(canvas: Any, data: Mapping[str, Any], width: int) -> None:
    canvas.set_size_inches(width / 72, (300 if width > 500 else 260) / 72)
    axes = canvas.subplots()
    points = sorted(data["points"], key=lambda point: (point["share"], point["at"]))
    share, value, low, high = (
        np.array([point[name] for point in points]) for name in ("share", "value", "low", "high")
    )
    axes.fill_between(share, low, high, color=_COLOURS["new"], alpha=0.15, linewidth=0)
    axes.vlines(share, low, high, color=_COLOURS["new"], linewidth=1.2)
    axes.plot(share, value, color=_COLOURS["new"], linewidth=2, marker="o", markersize=6, label="what readers get")
    alone = [(point["share"], point["old"]) for point in points if point["old"] is not None]
    if alone:
        style = {"linestyle": (0, (5, 3)), "linewidth": 1.6, "marker": "s", "markersize": 4}
        axes.plot(*zip(*alone, strict=True), color=_COLOURS["old"], label="the old model alone", **style)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(lambda place, _: f"{place:.0%}")
    axes.set_xlabel("documents that have moved")
    axes.set_ylabel(data["metric"])
    axes.legend(loc="best", fontsize=13)


def _progress(canvas: Any, data: Mapping[str, Any], width: int) -> None:
    canvas.set_size_inches(width / 72, (420 if width > 500 else 380) / 72)
    above, below = canvas.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    places, ticks = _places(data["runs"], 7 if width > 500 else 3)
    colours = {reason: _COLOURS[f"c{min(at, 6)}"] for at, reason in enumerate(data["reasons"], 1)}
    for run, at in zip(data["runs"], places, strict=True):
        above.plot(at, [point[1] for point in run], color=_COLOURS["new"], linewidth=2.2)
        above.fill_between(at, [point[1] for point in run], color=_COLOURS["new"], alpha=0.12, linewidth=0)
        rates = np.array([np.nan if point[2] is None else point[2] for point in run])
        below.plot(at, np.where(np.isnan(rates), 0, rates), color=_COLOURS["ink"], linewidth=1.4)
        for (begins, ends), point in zip(itertools.pairwise(at), run[1:], strict=True):
            below.axvspan(begins, ends, color=colours[point[3]], alpha=0.35, linewidth=0)
    for before, after in itertools.pairwise(places):
        for axes in (above, below):
            axes.axvspan(before[-1], after[0], facecolor="none", edgecolor=_COLOURS["line"], hatch="////", linewidth=0)
    above.set_ylim(0, 1.04)
    above.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    above.set_title("share of the documents that are done", loc="left")
    below.set_ylim(bottom=0)
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 or not value else f"{value:.2g}")
    below.set_title("documents a second, and what held the rate", loc="left")
    below.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    below.margins(x=0.01)


_PAUSE = 0.03
"""Width of a pause between two runs, as a part of the whole time that was worked: pauses may be days."""


def _places(runs: Sequence[Sequence[Sequence[Any]]], n_ticks: int) -> tuple[list[Any], list[tuple[float, str]]]:
    """Return where the moments of each run lie on an axis that cuts the pauses short, and its labels."""
    times = [np.array([point[0] for point in run]) for run in runs]
    worked = sum(float(time[-1] - time[0]) for time in times) or 1.0
    places, ticks, begins = [], [], 0.0
    pattern = "%H:%M:%S" if worked < 600 else "%H:%M" if times[-1][-1] - times[0][0] < 86_400 else "%d %b %H:%M"
    for time in times:
        length = float(time[-1] - time[0])
        places.append(begins + (time - time[0]))
        wanted = max(1, round(n_ticks * length / worked)) if length * n_ticks * 2 > worked else 0
        for place in np.linspace(0, length, wanted + 1)[:-1] + length / max(1, 2 * wanted):
            if wanted:
                ticks.append((begins + place, datetime.fromtimestamp(time[0] + place).strftime(pattern)))
        begins += length + _PAUSE * worked
    return places, ticks


def _projection(canvas: Any, data: Mapping[str, Any], width: int) -> None:
    panels, groups = data["panels"], np.array(data["groups"])
    is_wide = width > 500
    side = width / 2 if is_wide else width
    rows = 1 if is_wide else len(panels)
    canvas.set_size_inches(width / 72, rows * (side * 0.8 + 30) / 72)
    grid = canvas.subplots(rows, len(panels) if is_wide else 1, squeeze=False)
    for axes, panel, when in zip(grid.ravel(), panels, ("old", "new") if len(panels) > 1 else ("",), strict=True):
        x, y = np.array(panel["x"]), np.array(panel["y"])
        for group in range(int(groups.max()) + 1):
            _dots(axes, x[groups == group], y[groups == group], _COLOURS[f"c{group + 1}"])
        axes.set_xlim(-1.08, 1.08)
        axes.set_ylim(min(y.min(), -0.5) - 0.08, max(y.max(), 0.5) + 0.08)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(True)
        axes.set_title(f"{when} space" if when else "the space that serves", loc="left")


def _dots(axes: Any, x: Any, y: Any, colour: str) -> None:
    """Draw points as strokes without a length: one path for all of them, a tenth of the size."""
    paths = require("matplotlib.path", extra="report", purpose=_PURPOSE)
    patches = require("matplotlib.patches", extra="report", purpose=_PURPOSE)
    ends = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = paths.Path(ends, [paths.Path.MOVETO, paths.Path.LINETO] * len(x))
    axes.add_patch(patches.PathPatch(path, fill=False, edgecolor=colour, linewidth=5, capstyle="round", alpha=0.75))


DRAWING: Mapping[str, Callable[[Any, Mapping[str, Any], int], None]] = MappingProxyType(
    {"lift": _lift, "quality": _quality, "progress": _progress, "projection": _projection}
)
"""What draws a figure, by its name."""
