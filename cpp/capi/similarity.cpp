#include "revector/similarity.hpp"

#include "capi/guard.hpp"
#include "revector/exact_index.hpp"

using revector::MatrixView;
using revector::capi::guard;
using revector::capi::require;

struct revector_exact_index {
  revector::ExactIndex value;
};

revector_status revector_normalize(const float* x, size_t n, size_t d, float* out) {
  return guard([&] { revector::normalize(MatrixView<const float>(x, n, d), MatrixView<float>(out, n, d)); });
}

revector_status revector_cosine_topk(const float* queries, size_t q, const float* documents, size_t n, size_t d,
                                     size_t k, float* scores, int64_t* indices) {
  return guard([&] { revector::cosine_topk({queries, q, d}, {documents, n, d}, k, {scores, q, k}, {indices, q, k}); });
}

revector_status revector_exact_index_build(const float* documents, size_t n, size_t d, revector_exact_index** out) {
  return guard([&] {
    revector_exact_index*& result = require(out, "out");
    result = new revector_exact_index{revector::ExactIndex({documents, n, d})};
  });
}

revector_status revector_exact_index_search(const revector_exact_index* index, const float* queries, size_t q, size_t k,
                                            const uint8_t* allowed, float* scores, int64_t* indices) {
  return guard([&] {
    const revector::ExactIndex& self = require(index, "index").value;
    const std::span<const uint8_t> mask(allowed, allowed != nullptr ? self.size() : 0);
    self.search({queries, q, self.dimension()}, k, {scores, q, k}, {indices, q, k}, mask);
  });
}

void revector_exact_index_free(revector_exact_index* index) { delete index; }
