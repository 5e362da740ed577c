"""Encoders: texts in, one vector a text out, in a space whose contract is written down."""
