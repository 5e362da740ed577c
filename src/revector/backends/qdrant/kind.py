"""What a URL of Qdrant says: a server, or a folder of the client's local mode. No key is ever in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from revector._optional import require
from revector._secrets import Secret
from revector.backends.beside.kind import BesideKind
from revector.errors import InvalidArgumentError

if TYPE_CHECKING:
    from revector.backends.qdrant.store import QdrantStore

KEY = "QDRANT_API_KEY"
VECTOR = "vector"
_TIMEOUT_SECONDS = 60
_PORT = 6333
_EXPECTED = "expected qdrant://HOST:PORT, qdrant+https://HOST:PORT or qdrant:///FOLDER, with ?vector=NAME at most"


class QdrantKind(BesideKind):
    """Opens collections in Qdrant: ``qdrant://HOST:PORT#COLLECTION``, ``qdrant:///FOLDER#COLLECTION``."""

    secrets: ClassVar[str] = KEY
    vector_option: ClassVar[str | None] = VECTOR

    @classmethod
    def connect(cls, url: str) -> QdrantStore:
        """Connect to a server, with the key in ``QDRANT_API_KEY`` if there is one, or open a folder.

        Raises
        ------
        InvalidArgumentError
            The URL is not well-formed.
        StoreError
            The folder is in use by another client, or cannot be read.
        """
        require("qdrant_client", extra="qdrant", purpose="a collection in Qdrant")
        from revector.backends.qdrant.store import QdrantStore, local_client, remote_client

        parts, options = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
        protocol = {"qdrant": "http", "qdrant+http": "http", "qdrant+https": "https"}.get(parts.scheme)
        vector = options.pop(VECTOR, None)
        if protocol is None or options:
            raise InvalidArgumentError(f"{url} is not a URL of Qdrant; {_EXPECTED}")
        if not parts.netloc:
            if parts.path in ("", "/"):
                raise InvalidArgumentError(f"{url} names neither a server nor a folder; {_EXPECTED}")
            return QdrantStore(local_client(unquote(parts.path), url), url, vector=vector, is_local=True)
        key = os.environ.get(KEY)
        secret = Secret(key, name=KEY) if key else None
        try:
            port = parts.port or _PORT
        except ValueError as error:
            raise InvalidArgumentError(f"the port of {url} is not a number; {_EXPECTED}") from error
        server = f"{protocol}://{parts.hostname}:{port}{parts.path}"
        return QdrantStore(remote_client(server, secret, _TIMEOUT_SECONDS), url, vector=vector, secret=secret)
