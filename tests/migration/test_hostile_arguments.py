"""Wrong arguments of public functions: an error of ours that names them, nothing embedded, nothing written."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from revector.collection import Collection
from revector.encoders.shortened import Shortened
from revector.errors import InvalidArgumentError, MissingExtraError, RevectorError, ServiceError
from revector.evaluation.best_map import fit_best
from revector.evaluation.drift import model_drift, snapshot_drift
from revector.evaluation.metrics import MAX_GRADE, per_query
from revector.evaluation.mixture import detect_mixture
from revector.evaluation.significance import mean_interval, paired_lift, queries_to_settle
from revector.evaluation.verify import verify
from revector.migration.filling.worker import Worker
from revector.migration.strategies import Background, DualIndex, OnRead, Rollout, Shadow
from revector.planning.probe import encoder_rate
from revector.rerank.base import RerankBudget
from revector.rerank.llm import LlmReranker
from revector.rollout import Margins, Ramp
from revector.search.answered import query_id_of
from revector.search.thresholds import Threshold
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder


class Counting(HashEncoder):
    """Counts the texts it is asked for."""

    sent = 0

    def encode(self, texts, *, kind="document"):
        self.sent += len(texts)
        return super().encode(texts, kind=kind)


def _nested(depth, leaf):
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def _refused(times):
    where = {"a": 1}
    for _ in range(times):
        where = {"not": where}
    return where


NAN, HALF, HUGE, DEEP = float("nan"), "cut \ud83d", 10**5000, _nested(100_000, [])
QUERIES = {"q1": "text 1", "q2": "text 2"}
QRELS = {"q1": {"d1": 1}, "q2": {"d2": 1}}
ROWS = np.random.default_rng(0).standard_normal((200, 8), dtype=np.float32)

NOT_TEXTS = [None, 7, NAN, "texts", b"texts", {"a": "b"}, {"a", "b"}, [None, "b"], ["a", NAN], ["a", 7], ["a", b"b"]]
NOT_TEXTS += [["a", HALF], [["a"], ["b"]], DEEP, np.array("a")]
NOT_WHOLE = [None, 0, -1, 2.0, NAN, "2", b"2", True, HUGE, -HUGE, [2], np.float32(2), np.zeros(2), DEEP]
NOT_A_BATCH = [value for value in NOT_WHOLE if value is not None]
NOT_A_SEED = [value for value in NOT_WHOLE if not isinstance(value, int) or isinstance(value, bool) or value]
NOT_REAL = ["2", NAN, float("inf"), True, HUGE, [2.0], {}, 2j]
NOT_A_FLAG = ["no", 0, None, [], NAN]
NOT_A_FUNCTION = [7, "f", []]
NOT_AN_ENCODER = [None, 7, "model", HashEncoder, object(), [HashEncoder()]]
NOT_QRELS = [None, 7, "q", [], {"q1": None}, {"q1": ["d1"]}, {"q1": "d1"}, {7: {"d1": 1}}, {"q1": {7: 1}}]
NOT_QRELS += [{"q1": {"d1": grade}, "q2": {"d2": 1}} for grade in (None, 1.0, NAN, True, "1", HUGE, MAX_GRADE + 1, [1])]
NOT_METADATA = [7, "m", {"a": 1}, [None], [7, None], [{"x": {1}}, None], [{"x": NAN}, None], [{1: "x"}, None]]
NOT_METADATA += [
    [{"x": DEEP}, None],
    [{"x": HUGE}, None],
    [{"x": HALF}, None],
    [{HALF: 1}, None],
    [{"x": [{2: 3}]}, None],
]
NOT_A_FILTER = [7, "tenant=a", ["a"], {7: 1}, {HALF: 1}, {None: 1}, {"": 1}, {"a..b": 1}, {".": 1}, {"a\\": {}}]
NOT_A_FILTER += [{"a": value} for value in (NAN, float("inf"), HUGE, -HUGE, 2**63, HALF, "a\0b", DEEP, ["a"], {1})]
NOT_A_FILTER += [{"a": {operator: 1}} for operator in ("$gt", "=", 1, HALF)]
NOT_A_FILTER += [{"a": {"in": values}} for values in ("abc", [[1]], DEEP, {"b": 1}, [NAN])]
NOT_A_FILTER += [{"a": {"exists": 1}}, {"a": {"<": None}}, {"a": {">": True}}, {"a": {}}, {"a": 1j}, {"a": b"a"}]
NOT_A_FILTER += [{"or": {"a": 1}}, {"or": ["a"]}, {"not": [{"a": 1}]}, {"and": 7}, {"not": _refused(100_000)}]
NOT_A_FILTER += [{"a.a.a.a.a.a.a.a.a": 1}, {f"a{i}": i for i in range(101)}, {"or": [{"a": 1, "b": 1}] * 51}]


def _table(of, good, **wrong):
    return [(of, good, name, value) for name, values in wrong.items() for value in values]


COLLECTION = [
    *_table(
        "upsert", {"ids": ["a", "b"], "texts": ["x", "y"]}, ids=[*NOT_TEXTS, ["a", "a"], ["a"], ["", "b"], ["\0", "b"]]
    ),
    *_table("upsert", {"ids": ["a", "b"], "texts": ["x", "y"]}, texts=[*NOT_TEXTS, ["a"]], metadata=NOT_METADATA),
    *_table("delete", {}, ids=[value for value in NOT_TEXTS if not isinstance(value, set)]),
    *_table("documents", {}, ids=NOT_TEXTS),
    *_table("info", {}, ids=NOT_TEXTS),
    *_table("search", {}, query=[value for value in [*NOT_TEXTS, HALF] if value != "texts"]),
    *_table("search", {"query": "x"}, k=NOT_WHOLE, rescore=NOT_WHOLE[2:]),
    *_table("search", {"query": "x"}, where=NOT_A_FILTER),
    *_table("search", {"query": "x"}, explain=NOT_A_FLAG, threshold=NOT_REAL),
    *_table("search", {"query": "x"}, merge=[7, "", "borda", b"rrf", ["rrf"], DEEP]),
    *_table("search", {"query": "x"}, rerank=[7, "model", object(), []], rerank_budget=[7, "1s", {}, RerankBudget]),
    *_table("search", {"query": "x"}, key=[7, "", NAN, HALF, ["a"], b"a", DEEP]),
    *_table(
        "record_feedback",
        {"document_id": "d1"},
        query_id=[None, 7, "", "abc", "=" * 8, HALF, "A" * 40, "A" * 100_000, b"abc", HUGE],
    ),
    *_table(
        "record_feedback",
        {"query_id": query_id_of(0, None, "", [("d1", 0)]), "document_id": "d1"},
        kind=[None, 7, "", "love", b"click", ["click"]],
    ),
    *_table(
        "record_feedback",
        {"query_id": query_id_of(0, None, "", [("d1", 0)])},
        document_id=[None, 7, "", "ghost", HALF, b"d1", ["d1"]],
    ),
    *_table(
        "record_feedback",
        {"query_id": query_id_of(0, None, "", [("d1", 0)]), "document_id": "d1", "kind": "rating"},
        value=[*NOT_REAL, None, 0, 5.5],
    ),
    *_table(
        "record_feedback",
        {"query_id": query_id_of(0, None, "", [("d1", 0)]), "kind": "answer", "value": True},
        document_id=[None, 7, "", "ghost", HALF, b"d1", [], ["ghost"], {"d1"}, [7], DEEP],
    ),
    *_table("known", {}, ids=NOT_TEXTS),
    *_table("matching", {}, where=NOT_A_FILTER),
    *_table("embed", {}, texts=[*NOT_TEXTS, [HALF]]),
    *_table("embed", {"texts": ["x"]}, kind=[None, 7, "", "answer", ["query"]]),
    *_table("vectors", {"space": HashEncoder(16).space}, ids=NOT_TEXTS),
    *_table("vectors", {"ids": ["d1"]}, space=[None, "space", HashEncoder(16), HashEncoder(8).space]),
    *_table("search_vector", {"vector": [1.0] * 16, "space": HashEncoder(16).space}, where=NOT_A_FILTER),
    *_table("search", {"query": "x"}, write_through=[value for value in NOT_A_FLAG if value is not None]),
    *_table(
        "search_vector",
        {"space": HashEncoder(16).space},
        vector=[None, "v", 7, NAN, ROWS, [[1.0] * 16], [1.0], ["a"] * 16],
    ),
    *_table("search_vector", {"space": HashEncoder(16).space}, vector=[[NAN] * 16, [1.0, [2.0]], DEEP, {"a": 1}]),
    *_table("search_vector", {"vector": [1.0] * 16}, space=[None, "space", HashEncoder(16), HashEncoder(8).space]),
    *_table("search_vector", {"vector": [1.0] * 16, "space": HashEncoder(16).space}, k=NOT_WHOLE),
    *_table("embed", {"texts": ["x"]}, texts=NOT_TEXTS, kind=[7, "passage", []], generation=[7, "live", ROWS]),
    *_table("migrate", {}, new_encoder=NOT_AN_ENCODER),
    *_table(
        "migrate",
        {"new_encoder": HashEncoder(8)},
        strategy=[7, "background", {}, Background, [], [7], [Background(), None]],
    ),
    *_table("migrate", {"new_encoder": HashEncoder(8)}, retention_seconds=[*NOT_REAL, -1.0]),
    *_table(
        "assess",
        {"queries": QUERIES, "qrels": QRELS},
        new_encoder=[*(each for each in NOT_AN_ENCODER if not isinstance(each, list)), [], [7], [HashEncoder(), None]],
    ),
    *_table(
        "assess",
        {"new_encoder": HashEncoder(8), "qrels": QRELS},
        queries=[None, [], "q", {7: "x"}, {"q1": None}, {"q1": HALF}, {}],
    ),
    *_table(
        "assess",
        {"new_encoder": HashEncoder(8), "queries": QUERIES},
        qrels=[*NOT_QRELS, {}, {"q1": {"ghost": 1}}, {"q1": {"d1": 1}}],
    ),
    *_table("assess", {"new_encoder": HashEncoder(8), "queries": QUERIES, "qrels": QRELS}, min_lift=[None, *NOT_REAL]),
    *_table(
        "assess",
        {"new_encoder": HashEncoder(8), "queries": QUERIES, "qrels": QRELS},
        relative=NOT_A_FLAG,
        max_documents=NOT_WHOLE,
        seed=NOT_A_SEED,
    ),
    *_table(
        "assess",
        {"new_encoder": HashEncoder(8), "queries": QUERIES, "qrels": QRELS},
        metric=[None, 7, "map@10", "nDCG", "nDCG@0", "nDCG@" + "9" * 5000, b"MRR"],
    ),
]


def _named(case):
    if not isinstance(case, tuple):
        return type(case).__name__
    of, _, name, value = case
    return f"{of if isinstance(of, str) else of.__name__}-{name}-{type(value).__name__}"


@pytest.fixture
def model():
    return Counting(16)


@pytest.fixture
def docs(places, model):
    with Collection.open(places / "docs.db", model) as collection:
        collection.upsert([f"d{i}" for i in range(12)], [f"text {i}" for i in range(12)])
        model.sent = 0
        yield collection


@pytest.mark.parametrize("case", COLLECTION, ids=_named)
def test_a_wrong_argument_of_a_collection_is_named_and_costs_nothing(docs, model, case):
    verb, good, name, value = case
    before = docs.documents(docs.ids())
    with pytest.raises(RevectorError) as caught:
        getattr(docs, verb)(**{**good, name: value})
    if isinstance(caught.value, InvalidArgumentError):
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    assert model.sent == 0
    assert docs.documents(docs.ids()) == before
    assert docs.migration is None


@pytest.mark.parametrize("value", [None, 7, b"docs.db", "", "a\0b", [], object(), HALF])
def test_a_path_that_is_none_is_refused(value):
    with pytest.raises(InvalidArgumentError, match="path"):
        Collection.open(value)


@pytest.mark.parametrize("encoder", [value for value in NOT_AN_ENCODER if value is not None])
def test_what_is_not_an_encoder_is_refused_before_a_file_is_made(tmp_path, encoder):
    with pytest.raises(InvalidArgumentError, match="encoder"):
        Collection.open(tmp_path / "new.db", encoder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoders", [7, None, "model", HashEncoder(), [None], [HashEncoder], ["model"]])
def test_encoders_that_are_not_a_list_of_encoders_are_refused(tmp_path, encoders):
    with pytest.raises(InvalidArgumentError, match="encoders"):
        Collection.open(tmp_path / "new.db", HashEncoder(), encoders=encoders)
    assert not list(tmp_path.iterdir())


class Half:
    """An encoder that somebody began to write."""

    def __init__(self, **members):
        vars(self).update(members)

    def encode(self, texts, *, kind="document"):
        raise AssertionError


@pytest.mark.parametrize(
    "members", [{}, {"space": HashEncoder(2).space}, {"source": None}, {"source": None, "space": "cosine"}], ids=len
)
def test_an_encoder_without_its_members_makes_no_collection(tmp_path, docs, members):
    for call in (lambda: Collection.open(tmp_path / "new.db", Half(**members)), lambda: docs.migrate(Half(**members))):
        with pytest.raises(InvalidArgumentError, match="encoder"):
            call()
    assert not (tmp_path / "new.db").exists()


def test_a_space_with_another_metric_is_refused(tmp_path):
    odd = EmbeddingSpace(model="m", dimension=2, revision="1", metric="cosin")
    with pytest.raises(InvalidArgumentError, match="cosine or dot"):
        Collection.open(tmp_path / "new.db", Half(space=odd, source=None))


def test_a_failing_service_leaves_no_file_behind(tmp_path):
    class Down(HashEncoder):
        source = None

        def __init__(self):
            pass

        @property
        def space(self):
            raise ServiceError("down")

    with pytest.raises(ServiceError):
        Collection.open(tmp_path / "new.db", Down())
    assert not list(tmp_path.iterdir())


MIGRATION = [
    *_table("run", {}, on_progress=NOT_A_FUNCTION, stop=[7, "stop", True]),
    *_table("verify", {}, sample=[value for value in NOT_WHOLE if value is not NOT_WHOLE[1]], seed=NOT_A_SEED),
    *_table("cutover", {}, accept_failed=NOT_A_FLAG),
    *_table("roll_out", {}, to=[0, -1, 1.1, *NOT_REAL]),
    *_table("rollback", {}, accept_failed=NOT_A_FLAG),
    *_table("retire", {"force": True}, confirm=NOT_A_FLAG),
    *_table("retire", {"confirm": True}, force=NOT_A_FLAG),
]


@pytest.mark.parametrize("case", MIGRATION, ids=_named)
def test_a_wrong_argument_of_a_migration_is_named_and_changes_nothing(docs, model, case):
    verb, good, name, value = case
    new = Counting(8)
    migration = docs.migrate(new)
    migration.start()
    if verb != "run":
        migration.run()
    new.sent, before = 0, migration.record
    with pytest.raises(InvalidArgumentError, match=name):
        getattr(migration, verb)(**{**good, name: value})
    assert (new.sent, model.sent, migration.record) == (0, 0, before)


FUNCTIONS = [
    *_table(
        Background,
        {},
        batch=NOT_A_BATCH,
        lease_seconds=[None, 0, -1, *NOT_REAL],
        seed=NOT_A_SEED,
        priority=NOT_A_FUNCTION,
    ),
    *_table(OnRead, {}, hits=NOT_A_BATCH, tail_share=[0, -1, 1.5, None, *NOT_REAL], seed=NOT_A_SEED),
    *_table(DualIndex, {}, depth=NOT_A_BATCH, weight_of_old=[-1, 1.5, None, *NOT_REAL], after_cutover=NOT_A_FLAG),
    *_table(Rollout, {}, ramp=[7, "ramp", (0.1, 1.0)], margins=[7, "m", 0.1], interleaved=[-1, 1.5, None, *NOT_REAL]),
    *_table(Shadow, {}, share=[0, -1, 1.5, None, *NOT_REAL], least=[-1, None, *NOT_REAL]),
    *_table(Ramp, {}, shares=[7, "s", [], [0.5, 0.5], [0.5, 0.1], [0], [1.1], [None], [NAN]], min_events=NOT_A_BATCH),
    *_table(Margins, {}, preference=[-1, *NOT_REAL], p99=[-1, *NOT_REAL]),
    *_table(Shortened, {"encoder": HashEncoder(8)}, dimension=[8, 9, *NOT_WHOLE]),
    *_table(Shortened, {"dimension": 2}, encoder=NOT_AN_ENCODER),
    *_table(EmbeddingSpace, {"model": "m", "revision": "1"}, dimension=NOT_WHOLE),
    *_table(
        EmbeddingSpace, {"model": "m", "revision": "1", "dimension": 2}, max_length=NOT_WHOLE[1:], normalized=NOT_A_FLAG
    ),
    *_table(
        EmbeddingSpace,
        {"model": "m", "dimension": 2, "revision": "1"},
        model=[None, 7],
        query_prefix=[None],
        metric=[None, 7],
    ),
    *_table(EmbeddingSpace, {"dimension": 2, "model": "m"}, revision=[None, "", 7]),
    *_table(EmbeddingSpace.from_json, {}, fields=[None, 7, "f", [], DEEP, {}, {HUGE: 1}, {"model": "m"}]),
    *_table(Background.from_json, {}, fields=[None, 7, "f", [], DEEP, {}, {"name": HUGE}, {"name": "background"}]),
    *_table(per_query, {"run": {"q1": ["d1"]}, "metric": "MRR"}, qrels=NOT_QRELS),
    *_table(
        per_query,
        {"qrels": QRELS, "metric": "MRR"},
        run=[None, [], "q", {"q1": "d1"}, {"q1": {"d1", "d2"}}, {"q1": [7]}],
    ),
    *_table(
        per_query,
        {"qrels": QRELS, "metric": "MRR"},
        run=[{"q1": {"d1": NAN}}, {"q1": {"d1": None}}, {"q1": {7: 1.0}}, {"q1": 7}],
    ),
    *_table(per_query, {"qrels": QRELS, "run": {}}, metric=[None, 7, "map"]),
    *_table(mean_interval, {"values": np.ones(9)}, confidence=[0, 1, *NOT_REAL], seed=NOT_A_SEED),
    *_table(
        mean_interval, {}, values=[None, "v", 7, [], [1.0], ["a", "b"], [1.0, NAN], np.ones((2, 2)), [1.0, [2.0]], HUGE]
    ),
    *_table(paired_lift, {"old": np.ones(9)}, new=[None, "v", np.ones(8), [NAN] * 9]),
    *_table(paired_lift, {"old": np.ones(9), "new": np.ones(9)}, relative=NOT_A_FLAG, seed=NOT_A_SEED),
    *_table(model_drift, {"old": ROWS, "new": ROWS}, k=[*NOT_WHOLE, 200], queries=[1, *NOT_WHOLE], seed=NOT_A_SEED),
    *_table(snapshot_drift, {"before": ROWS, "after": ROWS}, false_alarms=[0, 1, *NOT_REAL], seed=NOT_A_SEED),
    *_table(detect_mixture, {"vectors": ROWS}, seed=NOT_A_SEED),
    *_table(
        fit_best,
        {"old": ROWS, "new": ROWS},
        serves=[None, 7, "all", []],
        candidates=[7, [], {}, {"a": 7}],
        seed=NOT_A_SEED,
    ),
    *_table(
        fit_best, {"old": ROWS, "new": ROWS}, old_space=[7, "s"], judgements=[7, [], {0: 7}, {0: {1: 1}}, {0: {1: 1.5}}]
    ),
    *_table(
        fit_best,
        {"old": ROWS, "new": ROWS, "queries": ROWS[:2]},
        judgements=[{0: {1: NAN}}, {0: {"1": 1}}, {"0": {1: 1}}],
    ),
    *_table(HashEncoder, {}, dimension=NOT_WHOLE),
    *_table(RerankBudget, {}, documents=NOT_WHOLE, milliseconds=[-1, *NOT_REAL], money=[-1, *NOT_REAL]),
    *_table(Threshold, {"space": HashEncoder().space}, value=[None, *NOT_REAL]),
    *_table(Threshold, {"value": 0.5}, space=[None, 7, "new", HashEncoder()]),
    *_table(
        LlmReranker,
        {"model": "m", "base_url": "http://127.0.0.1:1/v1"},
        model=[None, 7, ""],
        base_url=[7, "", "ftp://host", "http://key@host"],
        fields=[7, "f", [1], {"a": NAN}],
        headers=[7, "h", {"a b": "c"}],
        most_characters=NOT_WHOLE,
        concurrency=NOT_WHOLE,
        timeout_seconds=[0, *NOT_REAL],
        price_per_million_tokens=[-1, *NOT_REAL],
        retries=[7, "often"],
        pacer=[7, "slow"],
    ),
    *_table(
        HashEncoder().encode,
        {},
        texts=[None, "text", [7], {"a": 1}],
    ),
    *_table(HashEncoder().encode, {"texts": []}, kind=["passage", None]),
]


@pytest.mark.parametrize("case", FUNCTIONS, ids=_named)
def test_a_wrong_argument_of_a_function_is_an_error_of_ours(case):
    function, good, name, value = case
    with pytest.raises(RevectorError):
        function(**{**good, name: value})


@pytest.mark.parametrize("distance", [None, *NOT_REAL], ids=_named)
def test_a_distance_that_is_no_number_is_refused(distance):
    with pytest.raises(InvalidArgumentError, match="distance"):
        queries_to_settle(mean_interval(np.arange(9.0)), distance)


@pytest.mark.parametrize(
    "case",
    _table(encoder_rate, {}, sample=NOT_WHOLE, seed=NOT_A_SEED, encoder=NOT_AN_ENCODER),
    ids=_named,
)
def test_a_wrong_argument_of_a_rate_costs_nothing(docs, model, case):
    _, _, name, value = case
    with pytest.raises(InvalidArgumentError, match=name):
        encoder_rate(docs._backend, **{"encoder": model, name: value})
    assert model.sent == 0


WORKER = {"encoder": HashEncoder(16), "generation": 1}
VERIFY = {"source_generation": 1, "target_generation": 1, "encoder": HashEncoder(16)}
NO_GENERATION = [0, 2, 2**63, HUGE, HALF]


@pytest.mark.parametrize(
    "case",
    [
        *_table(Worker, WORKER, encoder=NOT_AN_ENCODER, generation=[*NOT_WHOLE, *NO_GENERATION], batch=NOT_A_BATCH),
        *_table(Worker, WORKER, lease_seconds=[None, 0, -1, *NOT_REAL], on_progress=NOT_A_FUNCTION),
        *_table(Worker, WORKER, may_run=NOT_A_FUNCTION, on_landed=NOT_A_FUNCTION),
        *_table(
            verify, VERIFY, encoder=NOT_AN_ENCODER, target_generation=NO_GENERATION, source_generation=NO_GENERATION
        ),
        *_table(verify, VERIFY, sample=NOT_A_SEED, known_failures=NOT_A_SEED, seed=NOT_A_SEED),
    ],
    ids=_named,
)
def test_a_wrong_argument_of_a_worker_or_a_verification_is_an_error_of_ours(docs, case):
    function, good, name, value = case
    with pytest.raises(RevectorError):
        function(docs._backend, **{**good, name: value})


@pytest.mark.parametrize(
    "wrong", [None, 7, "encoders", b"e", [None], [HashEncoder], np.array("a"), {"a": 1}], ids=_named
)
def test_encoders_that_are_none_are_refused(tmp_path, wrong):
    with pytest.raises(InvalidArgumentError, match="encoder"):
        Collection.open(tmp_path / "new.db", HashEncoder(8), encoders=wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, 0, -1, 1.5, NAN, "high", True, HUGE, []], ids=_named)
def test_a_priority_rule_that_returns_garbage_is_refused_and_nothing_starts(docs, value):
    migration = docs.migrate(HashEncoder(8), strategy=Background(priority=lambda facts: value))
    with pytest.raises(InvalidArgumentError, match="'d0'"):
        migration.start()
    assert migration.status().target_generation is None


def test_integers_and_grades_of_numpy_are_taken(docs):
    strategy = Background(
        batch=np.int64(4), lease_seconds=np.float32(60), seed=np.uint8(1), priority=lambda _: np.int64(2)
    )
    grades = {query: {document: np.int64(1) for document in found} for query, found in QRELS.items()}
    docs.assess(HashEncoder(8), QUERIES, grades, max_documents=np.int32(12), seed=np.int64(0))
    docs.migrate(HashEncoder(8), strategy=strategy).start()
    assert docs.search("text 3", k=np.int64(1))[0].id == "d3"


@pytest.mark.parametrize("missing", ["ir_measures", "scipy.stats"])
def test_a_missing_extra_is_said_before_anything_is_embedded(docs, model, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    new = Counting(8)
    with pytest.raises(MissingExtraError, match=r"pip install 'revector\[eval\]'"):
        docs.assess(new, QUERIES, QRELS)
    assert (new.sent, model.sent) == (0, 0)


def test_a_progress_function_that_raises_loses_nothing(docs):
    migration = docs.migrate(HashEncoder(8), strategy=Background(batch=4))
    migration.start()

    def fails(progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migration.run(on_progress=fails)
    migration.run()
    assert migration.status().share == 1.0
