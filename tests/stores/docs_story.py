"""What the pages of stores have in common: models, texts, and commands that are run as a page shows them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from revector import Encoder

WORDS = [("bread", "of old"), ("bicycle", "today")] * 12
TEXTS = {n: f"{what} {how} number {n}" for n, (what, how) in enumerate(WORDS)}
QUERY = "a bicycle today"


def made_models(static_model):
    """Make the two models of a page in the present folder, and return them."""
    for name, dimension in (("old-model", 256), ("new-model", 384)):
        static_model(name, dimension, [*TEXTS.values(), "something entirely new and changed"])
    return [Encoder.from_pretrained(name) for name in ("old-model", "new-model")]


def nearest(texts, encoder):
    """Return the ids of the three texts that are nearest to the query."""
    scores = encoder.encode(list(texts.values())) @ encoder.encode([QUERY], kind="query")[0]
    return [list(texts)[place] for place in np.argsort(-scores, kind="stable")[:3]]


def run(commands, shown, url):
    """Run commands for another URL than the one that is shown; return what they print."""
    said = f'revector() {{ {sys.executable} -m revector "$@"; }}; set -eu\n' + commands.replace(shown, url)
    done = subprocess.run(["bash", "-c", said], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
