"""The report of a collection: one page on the verdict, the migration and the health of what serves, to be shown around.

`build` gathers what there is; `Report` renders it as HTML (one file that loads nothing), Markdown or JSON.
"""

from __future__ import annotations

from revector.report.build import build
from revector.report.content import Report

__all__ = ["Report", "build"]
