"""Make hnswlib/*.bin and *.npz: indexes that hnswlib wrote, and what it found in them. Needs hnswlib 0.8."""

from pathlib import Path

import hnswlib
import numpy as np

DIM, N_ROWS, N_QUERIES, K, EF = 12, 80, 20, 10, 30
FOLDER = Path(__file__).with_name("hnswlib")


def make(metric: str, m: int) -> None:
    """Write one index with sparse labels, one vector replaced and some deleted, and its answers."""
    rng = np.random.default_rng(m)
    rows, queries = (rng.standard_normal((n, DIM), dtype=np.float32) for n in (N_ROWS, N_QUERIES))
    labels = 10 + 3 * np.arange(N_ROWS)
    index = hnswlib.Index(metric, DIM)
    index.init_index(N_ROWS + 20, M=m, ef_construction=60, random_seed=5)
    index.add_items(rows, labels, num_threads=1)
    index.add_items(rows[:1] + 1, labels[:1], num_threads=1)
    deleted = labels[5:60:7]
    for label in deleted:
        index.mark_deleted(label)
    index.set_ef(EF)
    found, distances = index.knn_query(queries, K, num_threads=1)
    index.save_index(str(FOLDER / f"{metric}_{m}.bin"))
    live = np.setdiff1d(labels, deleted)
    vectors = np.array(index.get_items(live), dtype=np.float32)
    np.savez_compressed(
        FOLDER / f"{metric}_{m}.npz", queries=queries, found=found, distances=distances, live=live, vectors=vectors
    )


def main() -> None:
    """Write every case."""
    FOLDER.mkdir(exist_ok=True)
    for metric in ("cosine", "ip", "l2"):
        for m in (4, 16, 48):
            make(metric, m)


if __name__ == "__main__":
    main()
