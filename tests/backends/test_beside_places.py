from __future__ import annotations

import pytest

from revector.backends.beside.places import place_of
from revector.errors import InvalidArgumentError


def test_a_place_is_the_store_the_collection_and_the_ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = place_of("qdrant://host:6333/below?vector=body#docs", "KEY")
    assert (found.store, found.name) == ("qdrant://host:6333/below?vector=body", "docs")
    assert found.ledger == tmp_path / "docs.qdrant.db"


@pytest.mark.parametrize(
    "url",
    [
        "qdrant://host:6333#docs",
        "qdrant+https://host#docs",
        "qdrant:///folder/below#docs",
        "qdrant://host?vector=body&ledger=a%20b/docs.db#docs",
    ],
)
def test_a_place_is_shown_as_it_was_given(url):
    found = place_of(url, "KEY")
    assert found.url == url
    assert place_of(found.url, "KEY") == found
    assert "ledger" not in found.store


@pytest.mark.parametrize(
    "url",
    [
        "qdrant://user:hunter2@host#docs",
        "qdrant://host?api_key=hunter2#docs",
        "qdrant://host?token=hunter2#docs",
        "qdrant://[hunter2#docs",
        "qdrant://host?ledger=hunter2&ledger=b#docs",
        "qdrant://host/hunter2",
        "qdrant://host#a/hunter2",
    ],
)
def test_a_url_that_is_refused_is_not_repeated(url):
    with pytest.raises(InvalidArgumentError) as caught:
        place_of(url, "KEY")
    assert "hunter2" not in str(caught.value)
