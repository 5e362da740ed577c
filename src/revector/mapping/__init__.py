"""Maps between embedding spaces, and between the scores of two models."""

from revector.mapping.base import SpaceMap, load_map
from revector.mapping.local import LocalResidualMap, Neighbourhood
from revector.mapping.lowrank import LowRankMap
from revector.mapping.mlp import ResidualMLP
from revector.mapping.procrustes import Procrustes, ProcrustesDiagnostics
from revector.mapping.ridge import RidgeMap
from revector.mapping.thresholds import ScoreMap

__all__ = [
    "LocalResidualMap",
    "LowRankMap",
    "Neighbourhood",
    "Procrustes",
    "ProcrustesDiagnostics",
    "ResidualMLP",
    "RidgeMap",
    "ScoreMap",
    "SpaceMap",
    "load_map",
]
