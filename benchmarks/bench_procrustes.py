"""Fitting and applying an orthogonal map, beside scipy, numpy and torch."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report, peak_mb, peer
from revector import Procrustes

Rows = NDArray[np.float32]


def pairs(n: int, d: int) -> tuple[Rows, Rows]:
    """Rows of one space and their noisy rotation in another."""
    rng = np.random.default_rng(d)
    old = rng.standard_normal((n, d), dtype=np.float32)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    return old, old @ turn + 0.3 * rng.standard_normal((n, d), dtype=np.float32)


def fit_ours(old: Rows, new: Rows) -> Rows:
    """Fit without centring, as the peers do."""
    return Procrustes(center=False).fit(old, new).rotation


def bench_fit(report: Report, n: int, d: int) -> None:
    """Everybody reaches the same objective; then the time counts."""
    old, new = pairs(n, d)
    contestants = {OURS: lambda: fit_ours(old, new)}
    if linalg := peer("scipy.linalg"):
        contestants["scipy"] = lambda: linalg.orthogonal_procrustes(old, new)[0]
    if torch := peer("torch"):
        x, y = torch.from_numpy(old), torch.from_numpy(new)

        def torch_fit() -> Rows:
            u, _, vt = torch.linalg.svd(x.T @ y, full_matrices=False)
            return (u @ vt).numpy()

        contestants["torch"] = torch_fit
    errors = {
        name: np.linalg.norm(old.astype(np.float64) @ np.float64(fit()) - new) for name, fit in contestants.items()
    }
    for name, error in errors.items():
        assert abs(error / errors[OURS] - 1) < 1e-6, f"{name}: objective {error}, ours {errors[OURS]}"
    report.contest(f"fit {n} pairs, d = {d}", contestants)


def bench_apply(report: Report, n: int, d: int) -> None:
    """Rotate and renormalise."""
    old, new = pairs(n, d)
    fitted = Procrustes(center=False).fit(old, new)
    w = fitted.rotation

    def apply_numpy() -> Rows:
        mapped = old @ w
        return mapped / np.linalg.norm(mapped, axis=1, keepdims=True)

    np.testing.assert_allclose(fitted.transform(old), apply_numpy(), atol=1e-5)
    np.testing.assert_allclose(fitted.transform(old, precision="bfloat16"), apply_numpy(), atol=4e-3)
    contestants = {
        OURS: lambda: fitted.transform(old),
        "revector bfloat16": lambda: fitted.transform(old, precision="bfloat16"),
        "numpy": apply_numpy,
    }
    if torch := peer("torch"):
        x, rotation = torch.from_numpy(old), torch.from_numpy(w)
        contestants["torch float32"] = lambda: torch.nn.functional.normalize(x @ rotation)
        x16, rotation16 = x.bfloat16(), rotation.bfloat16()
        contestants["torch bfloat16, ready"] = lambda: torch.nn.functional.normalize(x16 @ rotation16)
    report.contest(f"apply to {n} x {d} and renormalise", contestants, work=2.0 * n * d * d, unit="FLOP")


def bench_stream(report: Report, blocks: int, rows: int, d: int) -> None:
    """Learn a rotation from more pairs than memory would hold; what is kept does not grow."""
    rng = np.random.default_rng(d)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    fitted, seconds = Procrustes(center=False), 0.0
    before = 0.0
    for block in range(blocks):
        old = rng.standard_normal((rows, d), dtype=np.float32)
        new = old @ turn + 0.3 * rng.standard_normal((rows, d), dtype=np.float32)
        begin = time.process_time()
        fitted.partial_fit(old, new)
        seconds += time.process_time() - begin
        if block == min(2, blocks - 1):
            before = peak_mb()
    rotation = fitted.rotation.astype(np.float64)
    grown, error = peak_mb() - before, float(np.abs(rotation - turn).max())
    assert grown < 64, f"{grown:.0f} MB more for {blocks * rows} pairs"  # a block or two of temporaries
    assert np.abs(rotation.T @ rotation - np.eye(d)).max() <= 1e-5
    assert error < 10 / np.sqrt(blocks * rows), f"the rotation is off by {error}"
    report.note(
        f"{blocks * rows} pairs of {d} dimensions in a stream",
        cpu_microseconds_a_pair=1e6 * seconds / (blocks * rows),
        grown_mb=grown,
        rotation_error=error,
    )


def main() -> None:
    """Run all contests."""
    report = Report.from_arguments("procrustes", rounds=5)
    n = 2_000 if report.smoke else 20_000
    for d in (64,) if report.smoke else (384, 768, 1536):
        bench_fit(report, n, d)
    bench_stream(report, 10 if report.smoke else 200, n if report.smoke else 50_000, 64 if report.smoke else 128)
    bench_apply(report, n if report.smoke else 100_000, 64 if report.smoke else 384)
    report.finish()


if __name__ == "__main__":
    main()
