#include "revector/similarity.hpp"

#include "capi/guard.hpp"

using revector::MatrixView;
using revector::capi::guard;

revector_status revector_normalize(const float* x, size_t n, size_t d, float* out) {
  return guard([&] { revector::normalize(MatrixView<const float>(x, n, d), MatrixView<float>(out, n, d)); });
}

revector_status revector_cosine_topk(const float* queries, size_t q, const float* documents, size_t n, size_t d,
                                     size_t k, float* scores, int64_t* indices) {
  return guard([&] { revector::cosine_topk({queries, q, d}, {documents, n, d}, k, {scores, q, k}, {indices, q, k}); });
}
