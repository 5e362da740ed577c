"""The report of a collection: what it holds, in three formats, whatever the collection is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from assessments import assessment, compared, verdict
from docs_blocks import blocks_of
from report_story import NEW, OLD, judged, story
from revector.collection import Collection
from revector.errors import InvalidArgumentError, MissingExtraError
from revector.report import Report
from revector.report import rendering as rendering_module
from revector.report.content import Span
from revector.report.formatting import bar, common_axis, shortened, shown_id
from revector.testing import HashEncoder

SECTIONS = [
    "worse",
    "alternatives",
    "lift",
    "slices",
    "migration",
    "quality",
    "progress",
    "cost",
    "spaces",
    "health",
    "rollout",
    "shadow",
    "events",
    "environment",
]
PLOTS = ["lift", "quality", "progress", "projection"]
VOID = {"meta", "link", "br", "img", "input", "hr", "path", "use"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "line\nfeed\r\nand \x00 nul \x1b[31m",
    "אבג \u202e reversed \u2066",
    "half \ud800 a pair",
    "$\\frac{1}{0}$ {{ 7 * 7 }} {% raw %}",
    "| a | table | `code` [link](http://example.org) # *bold*",
]


class Checked(HTMLParser):
    """Holds that elements are closed in their order, and gathers what is looked at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    docs = story(tmp_path_factory.mktemp("story") / "docs.db")
    yield docs
    docs.close()


@pytest.fixture(scope="module")
def whole(told: Collection) -> Report:
    return told.report()


@pytest.fixture(scope="module")
def page(whole: Report) -> str:
    return whole.html()


@pytest.fixture
def docs(tmp_path: Path) -> Iterator[Collection]:
    with Collection.open(tmp_path / "docs.db", HashEncoder(8)) as docs:
        yield docs


def _checked(page: str) -> Checked:
    found = Checked(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    links = [value for name, value in found.attributes if name in ("src", "href") and value]
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert {link[1:] for link in links if link.startswith("#")} <= set(found.ids)
    assert "@import" not in page
    assert {f"#{id_}" for id_ in found.ids} >= set(re.findall(r"url\(([^)]*)\)", page))
    return found


def _section(report: Report, name: str) -> Any:
    return next(each for each in report.to_json()["sections"] if each["name"] == name)


def test_a_report_of_a_rollout_has_all_parts(whole: Report) -> None:
    assert [section.name for section in whole.sections] == SECTIONS
    assert whole.left_out == ()
    assert [figure.name for section in whole.sections for figure in section.figures] == PLOTS


def test_it_opens_on_the_verdict_and_the_ten_queries_that_got_worse(page: str) -> None:
    begin = [
        page.index(text)
        for text in (
            "Verdict on <bdi>new</bdi>",
            "Migrate</h1>",
            "Lift +0.0600",
            "0.680 → 0.740",
            "Queries that got worse",
        )
    ]
    assert begin == sorted(begin)
    assert page.count("<article>") == 10
    first = page[page.index("<article>") : page.index("</article>")]
    for text in ("network drive at boot (0)", "old-0-0", "new-0-2", "grade 2", "not judged", "0.9000", "−0.8000"):
        assert text in first


def test_a_query_that_did_not_change_did_not_get_worse(docs: Collection) -> None:
    known = {**verdict(), "worse": [compared(0, 0.5, 0.4), compared(1, 1.0, 1.0)], "better": [compared(2, 0.0, 0.0)]}
    (worse, *_) = docs.report(assessment=known, check=False).sections
    assert [each.new for each in worse.compared] == [0.4]
    assert worse.tables == ()


def test_the_page_is_sound_and_loads_nothing(page: str) -> None:
    found = _checked(page)
    assert [tag for tag in found.tags if tag in ("h1", "header", "main", "nav", "footer")] == [
        "header",
        "main",
        "h1",
        "nav",
        "footer",
    ]
    assert ("lang", "en") in found.attributes


def test_every_plot_is_there_for_wide_and_for_narrow_pages_and_has_a_name(page: str) -> None:
    for name in PLOTS:
        for width in ("wide", "narrow"):
            assert page.count(f'<title id="{name}-{width}-title">') == 1
            assert page.count(f'<desc id="{name}-{width}-desc">') == 1
    assert not re.search(r"#0[12]0[12][0-9a-f]{2}", page), "a colour that is none of the page's"


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) < 500_000


def test_the_alternatives_have_their_figures(whole: Report) -> None:
    candidates, alternatives, metrics = _section(whole, "alternatives")["tables"]
    assert [row["candidate"] for row in candidates["rows"]] == ["new", "other"]
    assert [row["alternative"] for row in alternatives["rows"]] == [
        "stay",
        "map",
        "map + re-score",
        "re-embed",
        "keep both",
    ]
    assert alternatives["rows"][3]["nDCG@10, 95 % interval"] == {"value": 0.74, "low": 0.71, "high": 0.77}
    assert metrics["rows"][0]["MRR"] == pytest.approx(0.73)


def test_the_lift_of_every_query_is_drawn_sorted(whole: Report) -> None:
    (figure,) = _section(whole, "lift")["figures"]
    bars = figure["data"]["bars"]
    assert len(bars) == 120
    assert bars == sorted(bars, reverse=True)
    assert "of 120 queries got better" in figure["description"]


def test_queries_beyond_a_few_share_a_bar(docs: Collection) -> None:
    made = docs.report(assessment=verdict(n_queries=5_000), check=False)
    (figure,) = _section(made, "lift")["figures"]
    assert len(figure["data"]["bars"]) == 160
    assert "mean of about 31 queries" in figure["description"]


def test_slices_that_are_worse_come_first(whole: Report) -> None:
    section = _section(whole, "slices")
    assert section["sentences"] == ["1 of 4 slices are worse: their whole interval is below zero."]
    assert [row["so far"] for row in section["tables"][0]["rows"]] == ["worse", "not clear", "better", "better"]
    assert section["tables"][0]["rows"][0]["slice"] == "language: עברית"


def test_quality_is_kept_over_the_share_that_has_moved(whole: Report) -> None:
    (figure,) = _section(whole, "quality")["figures"]
    points = figure["data"]["points"]
    assert [point["phase"] for point in points] == ["before", "filling", "proving"]
    assert points[0]["share"] == 0
    assert 0.4 < points[1]["share"] < 1
    assert points[2]["share"] == 1
    for point in points:
        assert point["low"] <= point["value"] <= point["high"]
        assert point["old"] == pytest.approx(points[0]["value"])


def test_queries_of_another_kind_begin_another_curve(told: Collection) -> None:
    before = told._backend.ledger.notes.get("quality:1")
    try:
        queries, qrels = judged(10)
        made = told.report(queries=queries, qrels=qrels, check=False)
        (figure,) = _section(made, "quality")["figures"]
        assert [point["queries"] for point in figure["data"]["points"]] == [10]
    finally:
        told._backend.ledger.notes.keep("quality:1", before)


def test_progress_tells_of_runs_and_of_what_held_them(whole: Report) -> None:
    section = _section(whole, "progress")
    (table,), (figure,) = section["tables"], section["figures"]
    assert "held to …/s by rate" in [row["reason"] for row in table["rows"]]
    assert sum(row["of the time"] for row in table["rows"]) == pytest.approx(1)
    shares = [point[1] for run in figure["data"]["runs"] for point in run]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_cost_is_held_against_what_was_expected(whole: Report) -> None:
    (table,) = _section(whole, "cost")["tables"]
    rate = next(row for row in table["rows"] if row["what"] == "documents a second")
    assert rate["expected"] == "400/s"
    assert 0 < rate["seen / expected"] < 3


def test_both_spaces_are_projected_and_compared(whole: Report) -> None:
    section = _section(whole, "spaces")
    (figure,) = section["figures"]
    assert [len(panel["x"]) for panel in figure["data"]["panels"]] == [300, 300]
    assert section["tables"][0]["rows"][0]["found"]["value"] < 0.5


def test_the_rollout_shows_intervals_that_hold_at_all_times(whole: Report) -> None:
    section = _section(whole, "rollout")
    assert "25% of the readers" in section["sentences"][0]
    findings, arms = section["tables"]
    assert {row["so far"] for row in findings["rows"]} <= {"nothing seen", "not settled", "nothing speaks against it"}
    assert sum(row["searches"] for row in arms["rows"]) > 100


def test_three_formats_hold_the_same_content(whole: Report, page: str) -> None:
    text, data = whole.markdown(), json.dumps(whole.to_json(), ensure_ascii=False)
    for section in whole.sections:
        for rendered in (page, text, data):
            assert section.title in rendered
    for said in ("Migrate", "old-9-0", "re-embed", "held to …/s by rate", "verify"):
        for rendered in (page, text, data):
            assert said in rendered


def test_a_report_is_saved_as_what_its_name_says(whole: Report, tmp_path: Path) -> None:
    assert whole.save(tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert whole.save(tmp_path / "a.md").read_text(encoding="utf-8").startswith("# ")
    assert json.loads(whole.save(tmp_path / "a.json").read_text(encoding="utf-8")) == whole.to_json()
    assert whole.save(tmp_path / "a.txt", "md").read_text(encoding="utf-8").startswith("# ")
    with pytest.raises(InvalidArgumentError, match="expected one of 'html', 'md', 'json'"):
        whole.save(tmp_path / "a.html", "pdf")


def test_an_empty_collection_has_a_report(docs: Collection) -> None:
    made = docs.report()
    _checked(made.html())
    assert made.headline.title == "No verdict yet"
    assert [section.name for section in made.sections] == ["health", "environment"]
    assert "The space that serves" in [each.title for each in made.left_out]
    assert made.markdown()


def test_a_collection_without_a_migration_shows_the_space_that_serves(docs: Collection) -> None:
    docs.upsert([f"d{at}" for at in range(50)], [f"text number {at}" for at in range(50)])
    made = docs.report()
    _checked(made.html())
    assert [section.name for section in made.sections] == ["spaces", "health", "environment"]
    assert "the collection has never been migrated" in [each.why for each in made.left_out]


def test_texts_that_are_all_the_same_have_no_projection(docs: Collection) -> None:
    docs.upsert([f"d{at}" for at in range(50)], ["the same text"] * 50)
    docs.migrate(HashEncoder(12)).start()
    docs.migration.run()
    made = docs.report()
    _checked(made.html())
    assert "all rows are equal" in next(each.why for each in made.left_out if each.title == "The two spaces")


def test_a_migration_that_is_over_is_still_told_of(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert([f"d{at}" for at in range(30)], [f"text number {at}" for at in range(30)])
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        migration.verify(sample=5)
        migration.cutover()
        migration.retire(confirm=True, force=True)
        made = docs.report()
    _checked(made.html())
    (table,) = _section(made, "migration")["tables"]
    state = {row["what"]: row["state"] for row in table["rows"]}
    assert state["phase"] == "retired"
    assert state["from"] == "a model whose vectors are gone"


def test_a_collection_that_can_only_be_read_has_a_report(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        docs.upsert([f"d{at}" for at in range(30)], [f"text number {at}" for at in range(30)])
        docs.migrate(NEW).start()
    queries, qrels = {"a": "text number 1", "b": "text number 2"}, {"a": {"d1": 1}, "b": {"d2": 1}}
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW], read_only=True) as docs:
        assert docs.report(queries=queries, qrels=qrels).html()


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_of_users_are_shown_and_not_obeyed(docs: Collection, hostile: str) -> None:
    known = verdict(model=hostile)
    known["reason"] = known["metric"] = known["ground_truth"] = hostile
    known["notes"] = [hostile]
    known["rows"][0]["name"] = hostile
    known["slices"][0].update(by=hostile, value=hostile)
    known["worse"] = [compared(0, 0.9, 0.1, hostile)]
    known["worse"][0]["by_old"][0].update(id=hostile, text=hostile)
    made = docs.report(assessment=assessment(known), check=False)
    page, text = made.html(), made.markdown()
    _checked(page)
    for rendered in (page, text):
        rendered.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", rendered)
        assert "<img" not in rendered
        assert "<script" not in rendered
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "49" not in page[page.index("Verdict") : page.index("</h1>")]
    json.dumps(made.to_json(), allow_nan=False)


def test_huge_texts_are_shortened(docs: Collection) -> None:
    known = verdict()
    known["worse"][0]["by_old"][0].update(id="i" * 10_000_000, text="word " * 2_000_000)
    known["worse"][1]["text"] = "q" * 10_000_000
    made = docs.report(assessment=known, check=False)
    assert len(made.html()) < 300_000
    assert len(made.markdown()) < 100_000


def test_hostile_documents_are_events_and_ids_like_any_other(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "docs.db", HashEncoder(8, name="<b>old</b>")) as docs:
        ids = [text for text in HOSTILE if "\ud800" not in text and "\x00" not in text]
        docs.upsert(ids, [f"{id_} {'x' * 1_000_000}" for id_ in ids])
        migration = docs.migrate(HashEncoder(12, name="<i>new</i>\n"))
        migration.start()
        migration.note("<u>event</u>", {"<a>": "\u202e" * 10_000})
        page = docs.report().html()
    _checked(page)
    assert not set(re.findall(r"<(?:b|i|u|a)>", page))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "text",
        7,
        {},
        {"decision": ""},
        {"verdicts": {}},
        {"verdicts": [1]},
        {**verdict(), "rows": "rows"},
        {**verdict(), "queries": [["a", "b"]]},
        {**verdict(), "lift": 0.5},
        {**verdict(), "min_lift": "much"},
        {**verdict(), "reason": {"why": 1}},
    ],
    ids=range(12),
)
def test_what_is_no_assessment_is_refused(docs: Collection, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="an assessment is what 'revector assess --json' prints"):
        docs.report(assessment=wrong, check=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"lift": {}, "queries": [], "slices": [], "worse": [], "better": [], "rows": [], "cost": {}},
        {"lift": {"value": math.nan, "low": -math.inf, "high": math.inf}},
        {"lift": {"value": 10**400}},
        {"decision": "something new"},
        {"min_lift": None, "metric": None, "model": None},
        {"worse": [{}], "slices": [{}], "rows": [{}], "queries": [{}]},
        {"queries": [{"id": 7, "text": None, "old": 0.5, "new": 0.5}]},
    ],
    ids=range(7),
)
def test_what_an_assessment_lacks_is_left_out(docs: Collection, changes: dict[str, Any]) -> None:
    made = docs.report(assessment=assessment({**verdict(), **changes}), check=False)
    _checked(made.html())
    assert made.markdown()
    json.dumps(made.to_json(), allow_nan=False)


def test_an_assessment_without_verdicts_is_none(docs: Collection) -> None:
    assert docs.report(assessment={"verdicts": [], "best": None}, check=False).headline.decision == ""


def test_the_verdict_on_the_model_that_is_moved_to_is_shown(told: Collection) -> None:
    both = assessment(verdict("other", "stay"), verdict("new", "migrate"), best=0)
    assert told.report(assessment=both, check=False).headline.candidate == "new"


def test_queries_without_judgements_are_refused(docs: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="give both, Judgements, or neither"):
        docs.report(queries={"a": "text"})
    with pytest.raises(InvalidArgumentError, match="0 of the queries have a relevant document"):
        docs.report(queries={}, qrels={})


def test_a_missing_extra_is_named(whole: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *, extra: str, purpose: str) -> Any:
        raise MissingExtraError(module, extra, purpose)

    monkeypatch.setattr(rendering_module, "require", missing)
    with pytest.raises(MissingExtraError, match=r"revector\[report\]"):
        whole.markdown()
    assert whole.to_json()


def test_text_is_cut_at_a_word_and_ids_show_what_they_hold() -> None:
    assert shortened("a  b\n\tc") == "a b c"
    assert shortened("word " * 100, 20) == "word word word word…"
    assert len(shortened("x" * 10**7)) == 160
    assert shown_id("a\nb\x00") == "a\\nb\\x00"
    assert len(shown_id("i" * 500)) == 80


def test_a_bar_stays_on_its_axis() -> None:
    assert bar(Span(0.5, -math.inf, math.inf, (0, 1), (0.25, 3.0))) == {
        "low": 0.0,
        "high": 100.0,
        "value": 50.0,
        "marks": [25.0],
    }
    assert bar(Span(math.nan, 0, 1)) is None
    assert common_axis([math.inf]) == (0.0, 1.0)


def test_the_page_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Collection.open("docs.db", HashEncoder(8)) as docs:
        docs.upsert(["a", "b"], ["one text", "another text"])
        exec(blocks_of("report.md")["save"], {"docs": docs, "queries": None, "qrels": None})
    assert {path.name for path in tmp_path.glob("report.*")} == {"report.html", "report.md", "report.json"}


def test_cost_is_held_against_the_plan_for_this_model(tmp_path):
    with Collection.open(tmp_path / "docs.db", HashEncoder(8, name="old")) as docs:
        docs.upsert([f"d{n}" for n in range(60)], [f"document {n} about {n % 7}" for n in range(60)])
        plan = docs.plan(HashEncoder(16, name="new"))
        docs.migrate(HashEncoder(16, name="new")).start()
        docs.migration.run()
        section = next(each for each in docs.report(check=False).sections if each.name == "cost")
    assert section.sentences[0].startswith("Expected by the plan of ")
    assert section.tables[0].rows[0][:3] == ("documents", f"{plan.cost.documents}", "60")
