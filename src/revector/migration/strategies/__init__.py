"""Strategies: when a document is re-embedded. How it is done is the worker's business."""
