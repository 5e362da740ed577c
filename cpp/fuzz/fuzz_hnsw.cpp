// Any bytes as a file of hnswlib, loaded, looked at, searched and changed. The first byte says which metric and
// dimension are expected.
#include <cstdint>

#include "memory_file.hpp"
#include "revector/errors.hpp"
#include "use_index.hpp"

using revector::HnswIndex;
using revector::Metric;

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
