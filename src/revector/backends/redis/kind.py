"""What opens collections in Redis by a URL."""

from __future__ import annotations

from typing import ClassVar

from revector.backends.beside.kind import BesideKind
from revector.backends.redis.places import PASSWORD, VECTOR_OPTION, password, place_of
from revector.backends.redis.store import RedisStore

__all__ = ["RedisKind"]


class RedisKind(BesideKind):
    """Opens collections in Redis: ``redis://HOST:PORT/0#NAME``."""

    secrets: ClassVar[str] = PASSWORD
    vector_option: ClassVar[str | None] = VECTOR_OPTION

    @classmethod
    def connect(cls, url: str) -> RedisStore:
        """Connect to the server of a URL; the password is that of the environment."""
        return RedisStore(place_of(url), password())
