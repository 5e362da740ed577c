#include "revector/hnsw.hpp"

#include "capi/guard.hpp"

using revector::capi::guard;
using revector::capi::require;

struct revector_hnsw {
  revector::HnswIndex value;
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

revector_status revector_hnsw_save(const revector_hnsw* index, const char* path) {
  return guard([&] { require(index, "index").value.save(&require(path, "path")); });
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
