"""The command that serves a collection over HTTP."""

from __future__ import annotations

import json
from typing import Annotated, Optional

import typer

from revector.cli.common import (
    RERANK_HELP,
    AsJson,
    CollectionUrl,
    Encoders,
    open_reranker,
    opened,
    shown_place,
)
from revector.cli.printing import complain, plain, print_json, say

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(serve)


def serve(
    collection: CollectionUrl,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 for any that is free.")] = 8000,
    host: Annotated[str, typer.Option(help="At which address of this machine; nobody else reaches 127.0.0.1.")] = (
        LOOPBACK[0]
    ),
    token_file: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="FILE", help="Answer only those who bring the token in this file."),
    ] = None,
    rerank: Annotated[Optional[str], typer.Option(metavar="MODEL", help=RERANK_HELP)] = None,  # noqa: UP045
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Answer embeddings, searches and writes over HTTP, until Ctrl-C or SIGTERM.

    Embeddings are asked for as OpenAI's are, of the model 'live': the one that serves, before and after a cut-over.
    """
    from revector.gateway.app import Gateway
    from revector.gateway.limits import Limits
    from revector.gateway.server import GatewayServer, listening, url_of
    from revector.gateway.tokens import read_token

    limits = Limits()
    token = None if token_file is None else read_token(token_file)
    reranker = None if rerank is None else open_reranker(rerank)
    if token is None and host not in LOOPBACK:
        complain(f"revector: whoever reaches {host} can read and change the collection; give a --token-file")
    with opened(collection, encoder) as docs, listening(host, port) as bound:
        docs.load_models()
        gateway = Gateway(docs, token=token, reranker=reranker, limits=limits)
        place, url = shown_place(collection), url_of(bound)
        GatewayServer(gateway, limits, lambda: _announce(place, url, as_json=as_json)).run(sockets=[bound])


def _announce(place: str, url: str, *, as_json: bool) -> None:
    if as_json:
        print_json(json.dumps({"collection": place, "url": url, "next_steps": [f"curl {url}/readyz"]}))
    else:
        say(plain(f"{url} answers for {place}"))
