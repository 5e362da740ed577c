"""Assessments as `revector assess --json` prints them, for the tests of what reads them."""

from __future__ import annotations

import numpy as np


def interval(value, half=0.03, n_queries=120):
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "deviation": 0.2,
        "n_queries": n_queries,
        "confidence": 0.95,
    }


def row(name, quality, seconds=0.0, extra_bytes=0):
    metrics = {
        "precision@10": quality / 4,
        "recall@10": quality + 0.1,
        "MRR": quality + 0.05,
        "success@10": quality + 0.2,
    }
    return {
        "name": name,
        "quality": interval(quality),
        "retention": quality / 0.74,
        "seconds": seconds,
        "extra_bytes": extra_bytes,
        "texts_a_query": 50 if "re-score" in name else 0,
        "query_seconds": 0.004,
        "metrics": metrics,
    }


def compared(place, old, new, text="how to mount a network drive at boot"):
    def found(by, grades):
        return [
            {
                "id": f"{by}-{place}-{at}",
                "text": f"The {by} answer {at} to query {place}: " + "words " * 60,
                "grade": grade,
            }
            for at, grade in enumerate(grades)
        ]

    return {
        "id": f"q{place}",
        "text": f"{text} ({place})",
        "old": old,
        "new": new,
        "by_old": found("old", (2, 1, None)),
        "by_new": found("new", (0, None, 1)),
    }


def verdict(model="new", decision="migrate", n_queries=120, lift=0.06):
    rng = np.random.default_rng(7)
    old = rng.beta(2, 1.5, n_queries)
    new = np.clip(old + rng.normal(2.2 * lift, 0.2, n_queries) * (rng.random(n_queries) < 0.6), 0, 1)
    queries = [
        {"id": f"q{at}", "text": f"query number {at}", "old": round(float(a), 4), "new": round(float(b), 4)}
        for at, (a, b) in enumerate(zip(old, new, strict=True))
    ]
    slices = [
        {
            "by": by,
            "value": value,
            "n_queries": n,
            "old": 0.6,
            "new": 0.6 + change,
            "lift": interval(change, 0.04, n),
            "p_value": 0.01,
            "p_adjusted": 0.04,
        }
        for by, value, n, change in (
            ("language", "en", 80, 0.07),
            ("language", "עברית", 24, -0.06),
            ("source", "manual", 60, 0.05),
            ("query length", "5 words or more", 50, 0.02),
        )
    ]
    return {
        "model": model,
        "decision": decision,
        "reason": "lift +0.0600 [+0.0300, +0.0900] on 120 judged queries, asked for above +0.0200",
        "metric": "nDCG@10",
        "ground_truth": "120 judged queries, nDCG@10, exact search of 300 of 300 documents",
        "judged_by": "people",
        "rows": [
            row("stay", 0.68),
            row("map", 0.66, 40, 40_000_000),
            row("map + re-score", 0.71, 40, 40_000_000),
            row("re-embed", 0.74, 1_800, 40_000_000),
            row("keep both", 0.75, 1_800, 40_000_000),
        ],
        "lift": interval(lift),
        "p_value": 0.0004,
        "min_lift": 0.02,
        "relative": False,
        "queries_needed": None,
        "slices": slices,
        "queries": queries,
        "worse": [compared(at, 0.9 - at / 20, 0.1) for at in range(10)],
        "better": [compared(at, 0.1, 0.9 - at / 20) for at in range(10)],
        "notes": ["dimension changes from 16 to 24: new storage and a new index", "neighbourhoods: 41% of the 10 stay"],
        "cost": {
            "documents": 300,
            "documents_per_second": 400.0,
            "seconds": 0.75,
            "target_bytes": 1_000_000,
            "peak_bytes": 2_000_000,
        },
        "old_weight": 0.3,
    }


def assessment(*verdicts, best=0):
    return {"measured_at": 1_790_000_000.0, "best": best, "verdicts": list(verdicts) or [verdict()]}
