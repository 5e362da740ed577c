"""Every description of a Debian package as a collection, for the sizes at which graphs are compared.

``python benchmarks/debian_descriptions.py FOLDER`` reads apt's English translation lists (``apt-get -o
Acquire::Languages=en update`` fetches them) and writes ``docs.jsonl``, ``queries.jsonl`` and ``qrels.tsv``: one
document a package, its long description; queries are the synopses of some packages. Deterministic for
one state of the lists.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LISTS = Path("/var/lib/apt/lists")
N_QUERIES = 3_000


def records() -> Iterator[tuple[str, str, str]]:
    """Yield package, synopsis and long description; of several versions the first."""
    seen = set()
    for path in sorted(LISTS.glob("*_main_i18n_Translation-en*")):
        command = ["/usr/lib/apt/apt-helper", "cat-file", str(path)]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        for record in text.split("\n\n"):
            lines = record.splitlines()
            package = next((line.removeprefix("Package: ") for line in lines if line.startswith("Package: ")), None)
            start = next((i for i, line in enumerate(lines) if line.startswith("Description-en: ")), None)
            if package is None or start is None or package in seen:
                continue
            seen.add(package)
            body = re.sub(r"\s+", " ", " ".join(line.strip() for line in lines[start + 1 :] if line.strip() != "."))
            if body.strip():
                yield package, lines[start].removeprefix("Description-en: "), body.strip()


def main() -> None:
    """Write the folder."""
    folder = Path(sys.argv[1])
    everything = list(records())
    if not everything:
        sys.exit(f"no English translation lists in {LISTS}; run: apt-get -o Acquire::Languages=en update")
    asked = random.Random(0).sample(everything, min(N_QUERIES, len(everything)))
    folder.mkdir(parents=True, exist_ok=True)
    documents = ((package, body) for package, _, body in everything)
    queries = ((f"q{i}", synopsis) for i, (_, synopsis, _) in enumerate(asked))
    for name, rows in (("docs", documents), ("queries", queries)):
        lines = (json.dumps({"id": key, "text": text}) + "\n" for key, text in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    (folder / "qrels.tsv").write_text("".join(f"q{i}\t{package}\t1\n" for i, (package, _, _) in enumerate(asked)))
    print(f"{len(everything)} documents in {folder}")


if __name__ == "__main__":
    main()
