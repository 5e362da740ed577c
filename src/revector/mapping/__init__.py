"""Maps between embedding spaces."""

from revector.mapping.base import SpaceMap, load_map
from revector.mapping.procrustes import Procrustes, ProcrustesDiagnostics

__all__ = ["Procrustes", "ProcrustesDiagnostics", "SpaceMap", "load_map"]
