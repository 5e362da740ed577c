"""What is Milvus' own, of a server as of a file: tests that both run."""

from __future__ import annotations

import numpy as np
import pytest

from revector.errors import StoreError

AXES = np.eye(4, dtype=np.float32)


def create(client, name="docs", *, key="INT64", metric="IP", auto_id=False, more=(), indexes=(), **options):
    """Make a collection as an application does: a key, a text, a vector, and more fields."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=True)
    schema.add_field("pk", DataType[key], is_primary=True, **({"max_length": 64} if key == "VARCHAR" else {}))
    schema.add_field("body", DataType.VARCHAR, max_length=200)
    schema.add_field("emb", DataType.FLOAT_VECTOR, dim=4)
    for field, kind, rest in more:
        schema.add_field(field, DataType[kind], **rest)
    wanted = client.prepare_index_params()
    if metric:
        wanted.add_index("emb", "HNSW", "emb", metric_type=metric, params={"M": 24, "efConstruction": 123})
    for index in indexes:
        wanted.add_index(**index)
    client.create_collection(name, schema=schema, index_params=wanted, **options)


def rows(*keys):
    return [{"pk": key, "body": f"text {key}", "emb": AXES[place], "n": place} for place, key in enumerate(keys)]


class MilvusOwn:
    """Tests with a `store`, and a `client` as an application has it."""

    text_index = "INVERTED"

    def test_a_collection_like_another_has_its_fields_and_indexes(self, store, client):
        create(client, more=[("price", "FLOAT", {})], indexes=[{"field_name": "body", "index_type": self.text_index}])
        store.create("new", 7, "cosine", like="docs")
        assert store.shape("new") == store.shape("docs")
        assert f"body {self.text_index}" in str(store.shape("new"))
        old, new = client.describe_collection("docs"), client.describe_collection("new")
        assert [field["name"] for field in new["fields"]] == ["pk", "body", "emb", "price"]
        assert new["fields"][1] == old["fields"][1]
        assert store.describe("new")["dimension"] == 7

    @pytest.mark.parametrize(("key", "ids"), [("INT64", ["-7", "12"]), ("VARCHAR", ["a", "ü"])])
    def test_the_points_of_an_application_move_with_their_ids_and_fields(self, store, client, key, ids):
        create(client, key=key)
        client.upsert("docs", rows(*([int(id_) for id_ in ids] if key == "INT64" else ids)))
        store.create("new", 7, "cosine", like="docs")
        page = next(store.scan("docs"))
        assert sorted(page.ids) == sorted(ids)
        store.put("new", page.ids, np.ones((2, 7), np.float32), page.payloads, like="docs")
        moved = store.read("new", ids)
        expected = {id_: {"body": f"text {id_}", "n": place} for place, id_ in enumerate(ids)}
        assert dict(zip(moved.ids, moved.payloads, strict=True)) == expected

    def test_an_id_that_is_not_a_number_is_refused_where_ids_are_numbers_and_found_nowhere(self, store, client):
        create(client)
        client.upsert("docs", rows(7))
        for id_ in ("seven", "07", str(2**63)):
            with pytest.raises(StoreError, match="whole numbers"):
                store.put("docs", [id_], AXES[:1], [{"body": ""}])
        assert store.read("docs", ["seven", "07", "7"]).ids == ["7"]
        store.delete("docs", ["seven", "07"])
        assert store.count("docs") == 1

    def test_ids_hold_whatever_text_holds(self, store):
        ids = ['"', "'", "\\", '\\"', "\n", "\t", "{x}", "[1, 2]", "ü€😀", "\\u0041", "_id in []", "%"]
        store.create("docs", 4, "cosine")
        store.put("docs", ids, np.ones((len(ids), 4), np.float32), [{"id": id_} for id_ in ids])
        page = store.read("docs", ids)
        assert sorted(page.ids) == sorted(ids)
        assert page.payloads == [{"id": id_} for id_ in page.ids]
        assert sorted(id_ for page in store.scan("docs", batch=1) for id_ in page.ids) == sorted(ids)
        store.delete("docs", ids[1:])
        assert next(store.scan("docs")).ids == ids[:1]

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"auto_id": True}, "the server gives"),
            ({"metric": "L2"}, "L2"),
            ({"metric": ""}, "no index"),
        ],
    )
    def test_what_cannot_be_moved_is_refused_with_the_reason(self, store, client, options, reason):
        create(client, **options)
        with pytest.raises(StoreError, match=reason):
            store.describe("docs")

    def test_partitions_without_a_key_are_refused_since_points_would_lose_them(self, store, client):
        create(client)
        client.create_partition("docs", "mine")
        with pytest.raises(StoreError, match="2 partitions"):
            store.describe("docs")

    def test_a_collection_that_is_not_loaded_is_told(self, store, client):
        create(client)
        client.release_collection("docs")
        with pytest.raises(StoreError, match="not loaded; load it"):
            store.describe("docs")

    def test_what_a_creation_that_was_cut_off_has_left_is_finished(self, store, client):
        store.create("docs", 4, "cosine")
        client.release_collection("docs")
        client.drop_index("docs", "_vector")
        store.create("docs", 4, "cosine")
        store.put("docs", ["1"], AXES[:1], [{}])
        assert store.search("docs", AXES[:1], 1) == [(["1"], [1.0])]

    def test_an_alias_is_free_again_once_its_collection_is_dropped(self, store, client):
        for name in ("old", "new"):
            store.create(name, 4, "cosine")
        store.point("live", "old")
        store.drop("old")
        assert store.aliased("live") is None
        client.create_alias("new", "live")
        assert store.aliased("live") == "new"

    def test_an_application_that_asks_by_the_alias_finds_what_serves(self, store, client):
        for name, dimension in (("old", 4), ("new", 8)):
            store.create(name, dimension, "cosine")
            store.put(name, [name], np.ones((1, dimension), np.float32), [{}])
            store.point("live", name)
            hits = client.search("live", data=[[1.0] * dimension], limit=1, consistency_level="Strong")
            assert [hit.id for hit in hits[0]] == [name]

    def test_a_payload_does_not_take_the_place_of_key_or_vector(self, store):
        store.create("docs", 4, "cosine")
        with pytest.raises(StoreError, match="'_id'"):
            store.put("docs", ["1"], AXES[:1], [{"_id": "2"}])
        assert store.count("docs") == 0
