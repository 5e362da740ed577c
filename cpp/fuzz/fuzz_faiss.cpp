// Any bytes as a file of faiss, loaded, looked at, searched and changed. The first byte says which metric is asked for.
#include <cstdint>
#include <optional>

#include "memory_file.hpp"
#include "revector/errors.hpp"
#include "use_index.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile memory;
  if (size == 0) return 0;
  std::optional<revector::Metric> metric;
  if (data[0] % 4 < 3) metric = static_cast<revector::Metric>(data[0] % 4);
  memory.write(data + 1, size - 1);
  try {
    revector::HnswIndex index = revector::HnswIndex::load_faiss(memory.path(), metric);
    use(index);
  } catch (const revector::Error&) {
  }
  return 0;
}
