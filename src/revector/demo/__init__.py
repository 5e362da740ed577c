"""The demonstration: two real models, real text, and one migration from the first search to the last."""
