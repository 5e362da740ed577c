"""Deciding whether a new model is worth it, proving what a migration did, and telling what has become of vectors."""

from revector.evaluation.mixture import Mixture, detect_mixture

__all__ = ["Mixture", "detect_mixture"]
