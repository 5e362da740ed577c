"""Write the files of ``tests/golden/faiss``: graphs that faiss wrote, and what an exact search of their vectors finds.

Run it again only to add files; the tests are about reading what exists. Needs faiss-cpu (written with 1.15.1).
"""

from pathlib import Path

import faiss
import numpy as np

FOLDER = Path(__file__).parent / "faiss"
N, D, K = 120, 6, 5


def graph(metric, m):
    """Return a graph of unit rows."""
    index = faiss.IndexHNSWFlat(D, m, metric)
    index.hnsw.efConstruction = 40
    return index


def main():
    """Write everything."""
    rng = np.random.default_rng(1)
    rows, queries = (rng.standard_normal((n, D), dtype=np.float32) for n in (N, 20))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    l2, ip = graph(faiss.METRIC_L2, 4), graph(faiss.METRIC_INNER_PRODUCT, 8)
    l2.add(rows)
    ip.add(rows)
    mapped = faiss.IndexIDMap2(graph(faiss.METRIC_INNER_PRODUCT, 3))
    mapped.add_with_ids(rows, np.arange(N) * 10 + 7)
    for name, index in {"l2": l2, "ip": ip, "id_map": mapped, "empty": graph(faiss.METRIC_L2, 4)}.items():
        faiss.write_index(index, str(FOLDER / f"{name}.faiss"))
    faiss.write_index(faiss.IndexFlatL2(D), str(FOLDER / "flat.faiss"))
    nearest = np.argsort(-(queries @ rows.T), axis=1)[:, :K]  # by distance, too, as the rows are of unit length
    np.savez_compressed(FOLDER / "vectors.npz", rows=rows, queries=queries, nearest=nearest)


if __name__ == "__main__":
    main()
