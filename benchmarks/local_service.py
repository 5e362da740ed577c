"""An embedding service on this machine that costs next to nothing: the free encoder behind ``/v1/embeddings``."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from free_encoder import FreeEncoder


def serve(ready: Callable[[str], None], stop: Any, encoder: FreeEncoder) -> None:
    """Answer until told to stop; `ready` is told where, up to the version."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(asked["input"], asked.get("encoding_format"))

        def _answer(self, texts: list[str], encoding: str | None) -> None:
            rows = encoder.encode(texts)
            sent = [base64.b64encode(row).decode() for row in rows] if encoding == "base64" else rows.tolist()
            data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(sent)]
            usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
            body = json.dumps({"object": "list", "model": "free", "data": data, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        ready(f"http://127.0.0.1:{server.server_port}/v1")
        stop.wait()
        server.shutdown()
        answering.join()
