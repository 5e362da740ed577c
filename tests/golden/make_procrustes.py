"""Make procrustes.npz: pairs of every kind, with the objective that scipy reaches in float64. Needs scipy."""

from pathlib import Path

import numpy as np
from scipy.linalg import orthogonal_procrustes


def cases(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Well- and ill-conditioned, duplicated, fewer pairs than dimensions, constant columns."""

    def noise(n: int, d: int) -> np.ndarray:
        return rng.standard_normal((n, d))

    well = noise(200, 24)
    ill = well * np.logspace(0, -5, 24)
    duplicated = np.repeat(noise(20, 24), 10, axis=0)
    constant = well.copy()
    constant[:, :5] = 1
    few = noise(7, 24)
    mix = noise(24, 24)
    sources = {"well": well, "ill": ill, "duplicated": duplicated, "few": few, "constant_column": constant}
    return {name: (x, x @ mix + 0.1 * noise(*x.shape)) for name, x in sources.items()}


def main() -> None:
    """Write the golden file beside this script."""
    out = {}
    for name, pair in cases(np.random.default_rng(0)).items():
        x, y = (side.astype(np.float32) for side in pair)
        w, _ = orthogonal_procrustes(x.astype(np.float64), y.astype(np.float64))
        out[f"{name}_old"], out[f"{name}_new"] = x, y
        out[f"{name}_objective"] = np.linalg.norm(x.astype(np.float64) @ w - y)
    np.savez_compressed(Path(__file__).with_name("procrustes.npz"), **out)


if __name__ == "__main__":
    main()
