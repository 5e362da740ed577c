/// @file
/// What the CUDA plugin (librevector_cuda.so) offers to librevector: one table of functions behind one C symbol.
///
/// The plugin is opened at the first use of a GPU, so the library itself runs where CUDA is not installed. Nothing is
/// thrown across the boundary: a function returns a Status, and a text where the status is not ok.
#pragma once

#include <cstddef>
#include <cstdint>

namespace revector::cuda {

/// Raised by one whenever the table changes; a plugin of another build is refused.
constexpr int plugin_abi = 1;

struct Status {
  bool ok;
  char message[256];
};

struct PluginTable {
  int abi;
  /// Whether a GPU can be used; the message says why not.
  Status (*probe)();
  /// The k best of n unit documents for each of q unit queries, by inner product: float32 products and sums, best
  /// first, ties by lower index. All pointers are host memory without gaps; scores and indices are q x k.
  Status (*topk)(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d,
                 std::size_t k, float* scores, std::int64_t* indices);
};

}  // namespace revector::cuda

extern "C" const revector::cuda::PluginTable* revector_cuda_plugin();
