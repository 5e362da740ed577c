"""What notebooks and terminals are shown of values: all of it escaped, none of it lost."""

from __future__ import annotations

import pytest

from revector._display import fields_as_html, fields_as_text, table_as_html
from revector.collection import Collection
from revector.testing import HashEncoder

HOSTILE = "<script>alert('x')</script> & \"quoted\""


@pytest.mark.parametrize(
    "shown",
    [
        fields_as_html({HOSTILE: HOSTILE}, HOSTILE),
        table_as_html([HOSTILE], [[HOSTILE]], HOSTILE, [HOSTILE]),
    ],
)
def test_no_value_is_taken_for_html(shown):
    assert "<script" not in shown
    assert '"quoted"' not in shown
    assert shown.count("&lt;script&gt;alert(&#x27;x&#x27;)") >= 3


def test_lines_of_a_value_stay_lines():
    assert "<td>a<br>b</td>" in fields_as_html({"x": "a\nb"})
    assert fields_as_text({"x": "a\nb", "long": "c"}) == "x     a\n      b\nlong  c"


def test_nothing_is_nothing():
    assert fields_as_text({}) == ""
    assert fields_as_html({}) == "<table></table>"


def test_a_status_and_a_look_at_a_collection_show_themselves(tmp_path):
    with Collection.open(tmp_path / "docs.db", HashEncoder(8, seed=1, name="<old>")) as docs:
        docs.upsert(["a"], ["text"])
        migration = docs.migrate(HashEncoder(8, seed=2, name="<b>new</b>"))
        migration.start()
        for shown in (migration.status(), docs.check(), docs.checklist()):
            assert "<b>new" not in shown._repr_html_()
            assert shown._repr_html_().startswith("<table>")
            assert "\n" in str(shown)
        assert "phase" in str(migration.status())
