"""What the migration asks of whoever verifies a generation."""

from __future__ import annotations

from typing import Any, Protocol

from revector.backends.contracts import Backend
from revector.encoders.base import TextEncoder


class VerificationResult(Protocol):
    """What a verifier returns."""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against a cut-over."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for each check that failed."""
        ...

    @property
    def details(self) -> dict[str, Any]:
        """The measured figures, as JSON."""
        ...


class Verifier(Protocol):
    """Compares a generation with what its encoder gives now."""

    def __call__(
        self,
        backend: Backend,
        source_generation: int,
        target_generation: int,
        encoder: TextEncoder,
        *,
        sample: int,
        seed: int,
        known_failures: int,
    ) -> VerificationResult:
        """Verify the target generation; as many documents as are known to have failed may lack a vector."""
        ...
