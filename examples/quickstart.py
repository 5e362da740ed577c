"""Move a small collection to a better model: python examples/quickstart.py (fetches two models, 100 MB, once)."""

import tempfile

import revector as rv
from revector.formats.named_models import fetch_model

DOCUMENTS = {
    "bread": "Mix flour, water, salt and yeast, knead the dough, and bake the loaf in a hot oven.",
    "bicycle": "Pump up the tyres, oil the chain, and check the brakes before a ride.",
    "tent": "Choose flat ground, raise the poles, and peg down the ropes against the wind.",
}

old, new = (rv.Encoder.from_pretrained(fetch_model(name)) for name in ("wordllama", "minilm"))
with tempfile.TemporaryDirectory() as folder, rv.Collection.open(f"{folder}/docs.db", old) as docs:
    docs.upsert(list(DOCUMENTS), list(DOCUMENTS.values()))
    migration = docs.migrate(new)
    migration.start()  # from here on, writes go to the vectors of both models
    migration.run()  # embeds every document anew; searches are answered meanwhile
    migration.verify()
    migration.cutover()  # and migration.rollback() would go back
    for hit in docs.search("where do I sleep when I am hiking?", k=2):
        print(f"{hit.score:.2f}  {hit.id}: {hit.text}")
