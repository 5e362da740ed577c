"""Stores: where documents, vectors and aliases live. `base` is the protocol, `sqlite` the embedded default."""
