// Any bytes as a file of hnswlib, loaded, looked at, searched and changed. The first byte says which metric and
// dimension are expected.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "memory_file.hpp"
#include "revector/errors.hpp"
#include "revector/hnsw.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;

void use(HnswIndex& index) {
  const std::size_t dim = index.dim();
  std::vector<float> vector(dim, 0.5F), scores(3);
  std::vector<std::int64_t> found(3);
  const auto search = [&] {
    index.search({vector.data(), 1, dim}, 3, 10, {scores.data(), 1, 3}, {found.data(), 1, 3});
  };
  search();
  index.range({vector.data(), 1, dim}, 0, 5);
  index.health();
  const std::vector<std::int64_t> labels = index.labels();
  if (!labels.empty()) index.mark_deleted(std::vector<std::int64_t>{labels.front()});
  index.add({vector.data(), 1, dim}, std::vector<std::int64_t>{7});
  search();
  index.rebuilt();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile memory;
  if (size == 0) return 0;
  const auto metric = static_cast<Metric>(data[0] % 3);
  const std::size_t dim = 1 + data[0] / 3 % 8;
  memory.write(data + 1, size - 1);
  try {
    HnswIndex index = HnswIndex::load(memory.path(), dim, metric);
    use(index);
  } catch (const revector::Error&) {
  }
  return 0;
}
