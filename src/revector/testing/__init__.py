"""For tests, of revector and of whoever builds on it: encoders that cost nothing, and a backend in memory."""

from revector.testing.encoders import HashEncoder, RecordingEncoder

__all__ = ["HashEncoder", "RecordingEncoder"]
