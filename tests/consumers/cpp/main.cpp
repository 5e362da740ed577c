// A program that links librevector as an indexing job would: exact search, a map between two spaces, and an index.
#include <cstdio>
#include <vector>

#include "revector/device.hpp"
#include "revector/errors.hpp"
#include "revector/hnsw.hpp"
#include "revector/procrustes.hpp"
#include "revector/similarity.hpp"

int main() {
  std::vector<float> documents = {1, 0, 0, 1, 1, 1}, query = {2, 2.1F}, scores(2);
  std::vector<std::int64_t> indices(2);
  revector::cosine_topk({query.data(), 1, 2}, {documents.data(), 3, 2}, 2, {scores.data(), 1, 2}, {indices.data(), 1, 2});
  if (indices[0] != 2 || indices[1] != 1) return 1;

  std::vector<float> turned = {0, 1, -1, 0, -1, 1};  // the documents, a quarter turn on
  revector::ProcrustesAccumulator pairs(2, 2);
  pairs.add({documents.data(), 3, 2}, {turned.data(), 3, 2});
  const revector::ProcrustesMap map = pairs.solve(false);
  if (map.diagnostics().residual > 1e-3) return 2;

  revector::HnswIndex index(2, revector::Metric::cosine);
  const std::vector<std::int64_t> labels = {7, 8, 9};
  index.add({documents.data(), 3, 2}, labels);
  index.search({query.data(), 1, 2}, 2, 10, {scores.data(), 1, 2}, {indices.data(), 1, 2});
  if (indices[0] != 9 || indices[1] != 8) return 4;

  try {
    revector::cosine_topk({query.data(), 1, 2}, {documents.data(), 3, 2}, 9, {scores.data(), 1, 9}, {indices.data(), 1, 9});
    return 3;
  } catch (const revector::InvalidArgument&) {
  }
  std::printf("revector %s %s\n", revector::version().c_str(), revector::isa_name(revector::active_isa()));
  return 0;
}
