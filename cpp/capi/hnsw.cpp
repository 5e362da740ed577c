#include "revector/hnsw.hpp"

#include "capi/guard.hpp"
#include "revector/hnsw_snapshot.hpp"

using revector::capi::guard;
using revector::capi::require;

struct revector_hnsw {
  revector::HnswIndex value;
};

struct revector_hnsw_snapshot {
  revector::HnswSnapshot value;
};

namespace {

revector::Metric metric_of(revector_metric metric) {
  switch (metric) {
    case REVECTOR_COSINE:
      return revector::Metric::cosine;
    case REVECTOR_INNER_PRODUCT:
      return revector::Metric::inner_product;
    case REVECTOR_L2:
      return revector::Metric::l2;
  }
  throw revector::InvalidArgument("metric is " + std::to_string(metric) + ", expected a revector_metric");
}

revector::ElementType type_of(revector_element_type type) {
  switch (type) {
    case REVECTOR_ELEMENT_FLOAT32:
      return revector::ElementType::float32;
    case REVECTOR_ELEMENT_FLOAT16:
      return revector::ElementType::float16;
    case REVECTOR_ELEMENT_BFLOAT16:
      return revector::ElementType::bfloat16;
    case REVECTOR_ELEMENT_INT8:
      return revector::ElementType::int8;
  }
  throw revector::InvalidArgument("type is " + std::to_string(type) + ", expected a revector_element_type");
}

}  // namespace

revector_status revector_hnsw_new(size_t dim, revector_metric metric, size_t m, size_t ef_construction, uint64_t seed,
                                  revector_hnsw** out) {
  return guard([&] {
    revector_hnsw*& result = require(out, "out");
    result = new revector_hnsw{revector::HnswIndex(dim, metric_of(metric), {m, ef_construction, seed})};
  });
}

revector_status revector_hnsw_build(const float* vectors, const int64_t* labels, size_t n, size_t dim,
                                    revector_metric metric, size_t m, size_t ef_construction, uint64_t seed,
                                    revector_hnsw** out) {
  return guard([&] {
    revector_hnsw*& result = require(out, "out");
    result = new revector_hnsw{
        revector::HnswIndex::build({vectors, n, dim}, {labels, n}, metric_of(metric), {m, ef_construction, seed})};
  });
}

revector_status revector_hnsw_serve_stale(const revector_hnsw* index, const float* vectors, const int64_t* labels,
                                          size_t n, size_t dim, revector_hnsw** out) {
  return guard([&] {
    revector_hnsw*& result = require(out, "out");
    result = new revector_hnsw{require(index, "index").value.serve_stale({vectors, n, dim}, {labels, n})};
  });
}

revector_status revector_hnsw_load(const char* path, size_t dim, revector_metric metric, uint64_t seed,
                                   revector_hnsw** out) {
  return guard([&] {
    revector_hnsw*& result = require(out, "out");
    result = new revector_hnsw{revector::HnswIndex::load(&require(path, "path"), dim, metric_of(metric), seed)};
  });
}

revector_status revector_hnsw_load_faiss(const char* path, const revector_metric* metric, uint64_t seed,
                                         revector_hnsw** out) {
  return guard([&] {
    revector_hnsw*& result = require(out, "out");
    std::optional<revector::Metric> wanted;
    if (metric != nullptr) wanted = metric_of(*metric);
    result = new revector_hnsw{revector::HnswIndex::load_faiss(&require(path, "path"), wanted, seed)};
  });
}

revector_status revector_hnsw_save(const revector_hnsw* index, const char* path) {
  return guard([&] { require(index, "index").value.save(&require(path, "path")); });
}

revector_status revector_hnsw_save_with_capacity(const revector_hnsw* index, const char* path, size_t capacity) {
  return guard([&] { require(index, "index").value.save(&require(path, "path"), capacity); });
}

void revector_hnsw_free(revector_hnsw* index) { delete index; }

revector_status revector_hnsw_add(revector_hnsw* index, const float* vectors, const int64_t* labels, size_t n) {
  return guard([&] {
    auto& self = require(index, "index").value;
    self.add({vectors, n, self.dim()}, {labels, n});
  });
}

revector_status revector_hnsw_mark_deleted(revector_hnsw* index, const int64_t* labels, size_t n) {
  return guard([&] { require(index, "index").value.mark_deleted({labels, n}); });
}

revector_status revector_hnsw_unmark_deleted(revector_hnsw* index, const int64_t* labels, size_t n) {
  return guard([&] { require(index, "index").value.unmark_deleted({labels, n}); });
}

revector_status revector_hnsw_search(const revector_hnsw* index, const float* queries, size_t q, size_t k, size_t ef,
                                     float* scores, int64_t* labels) {
  return guard([&] {
    const auto& self = require(index, "index").value;
    self.search({queries, q, self.dim()}, k, ef, {scores, q, k}, {labels, q, k});
  });
}

revector_status revector_hnsw_search_allowed(const revector_hnsw* index, const float* queries, size_t q, size_t k,
                                             size_t ef, const int64_t* allowed, size_t n_allowed, float* scores,
                                             int64_t* labels) {
  return guard([&] {
    const auto& self = require(index, "index").value;
    self.search({queries, q, self.dim()}, k, ef, {scores, q, k}, {labels, q, k}, std::span(allowed, n_allowed));
  });
}

revector_status revector_hnsw_get_vectors(const revector_hnsw* index, const int64_t* labels, size_t n, float* out) {
  return guard([&] {
    const auto& self = require(index, "index").value;
    self.get_vectors({labels, n}, {out, n, self.dim()});
  });
}

revector_status revector_hnsw_size(const revector_hnsw* index, size_t* out) {
  return guard([&] { require(out, "out") = require(index, "index").value.size(); });
}

revector_status revector_hnsw_save_snapshot(const revector_hnsw* index, const char* path, revector_element_type type,
                                            int rescore) {
  return guard(
      [&] { require(index, "index").value.save_snapshot(&require(path, "path"), {type_of(type), rescore != 0}); });
}

revector_status revector_hnsw_snapshot_open(const char* path, revector_hnsw_snapshot** out) {
  return guard([&] {
    revector_hnsw_snapshot*& result = require(out, "out");
    result = new revector_hnsw_snapshot{revector::HnswSnapshot(&require(path, "path"))};
  });
}

void revector_hnsw_snapshot_free(revector_hnsw_snapshot* snapshot) { delete snapshot; }

revector_status revector_hnsw_snapshot_verify(const revector_hnsw_snapshot* snapshot) {
  return guard([&] { require(snapshot, "snapshot").value.verify(); });
}

revector_status revector_hnsw_snapshot_search(const revector_hnsw_snapshot* snapshot, const float* queries, size_t q,
                                              size_t k, size_t ef, float* scores, int64_t* labels) {
  return guard([&] {
    const auto& self = require(snapshot, "snapshot").value;
    self.search({queries, q, self.dim()}, k, ef, {scores, q, k}, {labels, q, k});
  });
}

revector_status revector_hnsw_snapshot_size(const revector_hnsw_snapshot* snapshot, size_t* size, size_t* dim) {
  return guard([&] {
    const auto& self = require(snapshot, "snapshot").value;
    size_t& rows = require(size, "size");
    require(dim, "dim") = self.dim();
    rows = self.size();
  });
}
