"""Deciding whether a new model is worth it, and proving that a migration did what it promised."""
