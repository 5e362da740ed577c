"""A rollout in numbers: who sees the new arm, what was seen of both, and what follows; no backend, no clock, no I/O."""

from __future__ import annotations

from revector.rollout.decision import Decision, Finding, Margins, Outcome, decide
from revector.rollout.evidence import Arm, Evidence
from revector.rollout.interleaving import Interleaved, preference, team_draft
from revector.rollout.sequential import Counts, Estimate, Histogram, Moments
from revector.rollout.splitting import Ramp, Step, in_new_arm

__all__ = [
    "Arm",
    "Counts",
    "Decision",
    "Estimate",
    "Evidence",
    "Finding",
    "Histogram",
    "Interleaved",
    "Margins",
    "Moments",
    "Outcome",
    "Ramp",
    "Step",
    "decide",
    "in_new_arm",
    "preference",
    "team_draft",
]
