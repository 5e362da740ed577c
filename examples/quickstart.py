"""Move a small collection to a better model: python examples/quickstart.py (fetches two models, 100 MB, once)."""

import revector as rv
from revector.demo.models import fetch_model

old, new = (rv.Encoder.from_pretrained(fetch_model(name)) for name in ("wordllama", "minilm"))
with rv.Collection.open("quickstart.db", old) as docs:
    docs.upsert(["a", "b", "c"], ["How to bake bread", "Repairing a bicycle chain", "Pitching a tent on sand"])
    migration = docs.migrate(new)
    migration.start()  # from here, writes go to both models' vectors
    migration.run()  # embeds every document anew; searches are answered meanwhile
    migration.verify()
    migration.cutover()  # and migration.rollback() goes back
    for hit in docs.search("my bike is broken", k=1):
        print(f"{hit.score:.2f} {hit.id}: {hit.text}")
