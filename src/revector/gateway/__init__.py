"""A collection over HTTP: embeddings in the space that serves, searches, writes, metrics.

Embeddings are asked for as OpenAI's are. Each says which generation of vectors it belongs to, and a search by it is
answered in that one: a program that embeds here and searches anywhere needs no change at a cut-over. `revector serve`
runs it; in Python, `revector.gateway.server.serving`.
"""

from revector._optional import require

for _module in ("starlette", "uvicorn"):
    require(_module, extra="gateway", purpose="the gateway")
