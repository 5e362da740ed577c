"""Encoders behind an OpenAI-compatible service: requests, refusals, pacing, money."""
