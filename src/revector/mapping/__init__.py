"""Maps between embedding spaces."""

from revector.mapping.base import SpaceMap, load_map
from revector.mapping.local import LocalResidualMap, Neighbourhood
from revector.mapping.lowrank import LowRankMap
from revector.mapping.mlp import ResidualMLP
from revector.mapping.procrustes import Procrustes, ProcrustesDiagnostics
from revector.mapping.ridge import RidgeMap

__all__ = [
    "LocalResidualMap",
    "LowRankMap",
    "Neighbourhood",
    "Procrustes",
    "ProcrustesDiagnostics",
    "ResidualMLP",
    "RidgeMap",
    "SpaceMap",
    "load_map",
]
