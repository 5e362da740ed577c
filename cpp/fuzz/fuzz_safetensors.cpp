// Any bytes as a safetensors file, with every tensor that it claims to have read.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "core/encoder/safetensors.hpp"
#include "memory_file.hpp"
#include "revector/errors.hpp"

namespace {

void read_all(const revector::SafetensorsFile& file, const nlohmann::json& header) {
  for (const auto& [name, entry] : header.items()) {
    if (!file.contains(name)) continue;
    const revector::Shape& shape = file.at(name).shape;
    try {
      file.floats(name, shape);
    } catch (const revector::Error&) {
    }
    try {
      file.integers(name, shape);
    } catch (const revector::Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile memory;
  memory.write(data, size);
  try {
    const revector::SafetensorsFile file(memory.path());
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(data[i]) << (8 * i);
    read_all(file, nlohmann::json::parse(data + 8, data + 8 + length));
  } catch (const revector::Error&) {
  }
  return 0;
}
