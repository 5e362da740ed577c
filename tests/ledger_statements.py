"""What the queue says to a database, for tests of how that understands it."""

from __future__ import annotations

from revector.ledger.statements import COUNT, NEXT_DUE, SUSPECT, WAITING, Statements

_NUMBERS = ("of_generation", "now", "longest", "most", "until", "new_priority", "least", "after")
VALUES = {"keys": "[1]", "hashes": '{"1": ""}', "owner": "me:1:1:1", **dict.fromkeys(_NUMBERS, 1)}
"""Parameters for each of them."""


def statements(dialect):
    """Return the statements of a queue by their names."""
    fixed = {"suspect": SUSPECT, "count": COUNT, "next_due": NEXT_DUE, "waiting": WAITING}
    return {"next": dialect.next, "leased": dialect.leased, **fixed, **vars(Statements(dialect))}
