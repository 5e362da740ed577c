"""Move a live vector collection to another embedding model.

Importing this package loads numpy and the native core, nothing else; everything beyond the numeric faces is loaded when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from revector import errors
from revector._core import (
    __version__,
    active_isa,
    available_isas,
    cuda_available,
    num_threads,
    num_threads_reason,
)
from revector.index import HnswHealth, HnswIndex, HnswSnapshot
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, ResidualMLP, RidgeMap, ScoreMap, load_map
from revector.similarity import ExactIndex, cosine_range, cosine_topk, normalize
from revector.threads import set_num_threads

if TYPE_CHECKING:
    from revector.collection import Collection, Hit
    from revector.encoders.asymmetric import Asymmetric
    from revector.encoders.importing.folder import import_model
    from revector.encoders.native.encoder import Encoder
    from revector.encoders.sentence_transformers import SentenceTransformersEncoder
    from revector.encoders.service.chat import ChatModel
    from revector.encoders.service.openai import OpenAIEncoder
    from revector.encoders.shortened import Shortened
    from revector.encoders.templated import Templated
    from revector.evaluation.best_map import MapReport, fit_best
    from revector.evaluation.grading import JudgeBudget
    from revector.evaluation.same_space import same_space
    from revector.evaluation.verdict import Verdict
    from revector.formats.judgements import Judgements, load_judgements
    from revector.migration.migration import Migration
    from revector.migration.strategies.background import Background
    from revector.migration.strategies.dual_index import DualIndex
    from revector.migration.strategies.on_read import OnRead
    from revector.migration.strategies.representation import Representation
    from revector.migration.strategies.rollout import Rollout
    from revector.migration.strategies.shadow import Shadow
    from revector.migration.throttle import Throttle
    from revector.planning.plan import Plan
    from revector.planning.prices import Prices, read_prices
    from revector.rerank.base import RerankBudget
    from revector.rerank.cross import CrossEncoder
    from revector.rerank.llm import LlmReranker
    from revector.rollout import Margins, Ramp
    from revector.search.thresholds import Threshold
    from revector.spaces import EmbeddingSpace, Template

_LAZY = {
    "Background": "revector.migration.strategies.background",
    "DualIndex": "revector.migration.strategies.dual_index",
    "OnRead": "revector.migration.strategies.on_read",
    "Asymmetric": "revector.encoders.asymmetric",
    "ChatModel": "revector.encoders.service.chat",
    "Collection": "revector.collection",
    "CrossEncoder": "revector.rerank.cross",
    "EmbeddingSpace": "revector.spaces",
    "Encoder": "revector.encoders.native.encoder",
    "Hit": "revector.collection",
    "JudgeBudget": "revector.evaluation.grading",
    "Judgements": "revector.formats.judgements",
    "LlmReranker": "revector.rerank.llm",
    "MapReport": "revector.evaluation.best_map",
    "Margins": "revector.rollout",
    "Migration": "revector.migration.migration",
    "Plan": "revector.planning.plan",
    "Prices": "revector.planning.prices",
    "Ramp": "revector.rollout",
    "Representation": "revector.migration.strategies.representation",
    "Rollout": "revector.migration.strategies.rollout",
    "Shadow": "revector.migration.strategies.shadow",
    "Shortened": "revector.encoders.shortened",
    "OpenAIEncoder": "revector.encoders.service.openai",
    "RerankBudget": "revector.rerank.base",
    "SentenceTransformersEncoder": "revector.encoders.sentence_transformers",
    "Template": "revector.spaces",
    "Templated": "revector.encoders.templated",
    "Threshold": "revector.search.thresholds",
    "Throttle": "revector.migration.throttle",
    "Verdict": "revector.evaluation.verdict",
    "fit_best": "revector.evaluation.best_map",
    "load_judgements": "revector.formats.judgements",
    "same_space": "revector.evaluation.same_space",
    "import_model": "revector.encoders.importing.folder",
    "read_prices": "revector.planning.prices",
}

__all__ = [
    "Asymmetric",
    "Background",
    "ChatModel",
    "Collection",
    "CrossEncoder",
    "DualIndex",
    "EmbeddingSpace",
    "Encoder",
    "ExactIndex",
    "Hit",
    "HnswHealth",
    "HnswIndex",
    "HnswSnapshot",
    "JudgeBudget",
    "Judgements",
    "LlmReranker",
    "LocalResidualMap",
    "LowRankMap",
    "MapReport",
    "Margins",
    "Migration",
    "OnRead",
    "OpenAIEncoder",
    "Plan",
    "Prices",
    "Procrustes",
    "Ramp",
    "Representation",
    "RerankBudget",
    "ResidualMLP",
    "RidgeMap",
    "Rollout",
    "ScoreMap",
    "SentenceTransformersEncoder",
    "Shadow",
    "Shortened",
    "Template",
    "Templated",
    "Threshold",
    "Throttle",
    "Verdict",
    "__version__",
    "active_isa",
    "available_isas",
    "cosine_range",
    "cosine_topk",
    "cuda_available",
    "errors",
    "fit_best",
    "import_model",
    "load_judgements",
    "load_map",
    "normalize",
    "num_threads",
    "num_threads_reason",
    "read_prices",
    "same_space",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
