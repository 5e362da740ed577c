"""Collections in Redis with RediSearch."""

from revector.backends.redis.kind import RedisKind
from revector.backends.redis.store import RedisStore

__all__ = ["RedisKind", "RedisStore"]
