"""Deciding whether a new model is worth it, proving what a migration did, and telling what has become of vectors."""

from revector.evaluation.drift import ModelDrift, SnapshotDrift, model_drift, snapshot_drift
from revector.evaluation.mixture import Mixture, detect_mixture

__all__ = ["Mixture", "ModelDrift", "SnapshotDrift", "detect_mixture", "model_drift", "snapshot_drift"]
