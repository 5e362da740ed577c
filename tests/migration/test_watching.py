"""What happens to a migration is followed from other processes."""

from __future__ import annotations

import threading

from revector.collection import Collection
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


def test_a_watcher_sees_what_others_do_in_its_order(places):
    stop = threading.Event()
    with Collection.open(places / "docs.db", OLD) as docs, Collection.open(places / "docs.db", OLD) as other:
        migration = docs.migrate(NEW)
        seen = other.watch(every=0.01, stop=stop)
        migration.start()
        migration.pause()
        assert [next(seen).name, next(seen).name] == ["start", "pause"]
        stop.set()
        assert list(seen) == []


def test_a_watcher_goes_on_after_the_last_event_that_it_knew(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.migrate(NEW).start()
        (plan, start) = docs.events()
        assert next(docs.watch(after=plan.id, every=0.01)) == start
        assert next(docs.watch(after=0, every=0.01)) == plan
