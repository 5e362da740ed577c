"""Rerankers: a query and the texts it found in, one score a text out."""
