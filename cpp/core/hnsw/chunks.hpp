/// @file
/// A table of rows that grows without moving what it holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "core/large_memory.hpp"

namespace revector::hnsw {

/// Rows of `width` elements in chunks of about 2 MiB: growth copies nothing and doubles nothing, and addresses stay.
/// What one call of reserve() adds lies together, in huge pages if it is much. Rows start at multiples of the alignment
/// given; new rows are not initialised.
template <class T>
class Chunks {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{2} << 20U;

  Chunks(std::size_t width, std::size_t alignment_bytes)
      : stride_((width * sizeof(T) + alignment_bytes - 1) / alignment_bytes * alignment_bytes / sizeof(T)),
        shift_(
            static_cast<unsigned>(std::bit_width(std::max(chunk_bytes / (stride_ * sizeof(T)), std::size_t{1})) - 1)) {}

  T* row(std::size_t i) { return chunks_[i >> shift_] + (i & mask()) * stride_; }
  const T* row(std::size_t i) const { return chunks_[i >> shift_] + (i & mask()) * stride_; }

  /// Make rows [0, n) exist. @throws std::bad_alloc, with the rows that were there untouched
  void reserve(std::size_t n) {
    const std::size_t wanted = (n + mask()) >> shift_, missing = wanted - std::min(wanted, chunks_.size());
    if (missing == 0) return;
    const std::size_t elements = (mask() + 1) * stride_;
    memory_.push_back(allocate_large(missing * elements * sizeof(T)));
    auto* chunk = reinterpret_cast<T*>(memory_.back().get());
    for (std::size_t i = 0; i < missing; ++i, chunk += elements) chunks_.push_back(chunk);
  }

 private:
  std::size_t mask() const { return (std::size_t{1} << shift_) - 1; }

  std::size_t stride_;
  unsigned shift_;
  std::vector<T*> chunks_;
  std::vector<LargeMemory> memory_;
};

}  // namespace revector::hnsw
