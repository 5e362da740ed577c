"""Clicks as judgements: what the rules give on logs whose truth is known."""

from __future__ import annotations

import numpy as np

from revector.formats.clicks import LEAST_IMPRESSIONS, Reaction, grades_of_clicks


def shown(query: str, document: str, position: int | None, times: int, clicks: int = 0) -> list[Reaction]:
    return [
        Reaction(query, document, position, ("impression", "click") if n < clicks else ("impression",))
        for n in range(times)
    ]


def test_clicks_are_compared_with_what_is_expected_at_the_place() -> None:
    """At place 1 half of the impressions are clicked, at place 5 one in ten."""
    log = [
        *shown("q", "usual at the top", 1, 100, 50),
        *shown("q", "better than its place", 5, 100, 18),
        *shown("q", "as its place", 5, 100, 2),
    ]
    qrels, notes = grades_of_clicks(log)
    assert qrels == {"q": {"usual at the top": 1, "better than its place": 1, "as its place": 0}}
    assert "Zhang and Jones, 2007" in notes[0]


def test_twice_the_expected_clicks_are_the_higher_grade() -> None:
    log = [*shown("q", "a", 3, 100, 30), *shown("q", "b", 3, 300, 10)]
    assert grades_of_clicks(log)[0] == {"q": {"a": 2, "b": 0}}


def test_what_was_hardly_shown_is_not_judged_and_counted() -> None:
    log = [*shown("q", "a", 1, LEAST_IMPRESSIONS, 5), *shown("q", "b", 1, LEAST_IMPRESSIONS - 1, 5)]
    qrels, notes = grades_of_clicks(log)
    assert list(qrels["q"]) == ["a"]
    assert "1 of 2 pairs of query and document shown fewer than 10 times" in notes[0]


def test_one_click_is_no_judgement() -> None:
    assert grades_of_clicks([*shown("q", "a", 9, 10, 1), *shown("q", "b", 9, 10)])[0] == {"q": {"a": 0, "b": 0}}


def test_clicks_in_rows_of_their_own_count_at_the_place_where_the_document_was_shown() -> None:
    clicks = [Reaction("q", "a", None, ("click",))] * 6 + [Reaction("q", "b", 99, ("click",))] * 2
    log = [*shown("q", "a", 2, 20), *shown("q", "b", 2, 20), *clicks]
    assert grades_of_clicks(log)[0] == {"q": {"a": 1, "b": 0}}


def test_a_log_without_places_has_one_place() -> None:
    assert grades_of_clicks([*shown("q", "a", None, 20, 9), *shown("q", "b", None, 20)])[0] == {"q": {"a": 2, "b": 0}}


def test_without_impressions_what_was_clicked_is_relevant() -> None:
    qrels, notes = grades_of_clicks([Reaction("q", "a", 1, ("click",)), Reaction("q", "b", 2, ("bad",))])
    assert qrels == {"q": {"a": 1, "b": 0}}
    assert notes[0].startswith("judged by plain clicks")


def test_words_weigh_more_than_clicks_and_the_majority_counts() -> None:
    words = [Reaction("q", "a", 1, (kind,)) for kind in ("bad", "bad", "good")]
    log = [*shown("q", "a", 1, 50, 40), *shown("q", "b", 1, 50, 40), *words]
    assert grades_of_clicks(log)[0] == {"q": {"a": 0, "b": 1}}


def test_an_empty_log_judges_nothing() -> None:
    assert grades_of_clicks([])[0] == {}


def test_relevance_is_found_under_position_bias() -> None:
    """Readers look at place p with a chance of 1/p; the rule finds what is relevant at whatever place it was shown."""
    rng = np.random.default_rng(0)
    truth = {f"d{n}": 0.8 if n % 3 == 0 else 0.1 for n in range(30)}
    log = []
    for _ in range(3_000):
        places = rng.permutation(30)[:10]
        for position, n in enumerate(places.tolist(), 1):
            clicked = rng.random() < truth[f"d{n}"] / position
            log.append(Reaction("q", f"d{n}", position, ("impression", "click") if clicked else ("impression",)))
    qrels, _ = grades_of_clicks(log)
    assert {document: grade > 0 for document, grade in qrels["q"].items()} == {d: p > 0.5 for d, p in truth.items()}
