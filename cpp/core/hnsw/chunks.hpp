/// @file
/// A table of rows that grows without moving what it holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace revector::hnsw {

/// Rows of `width` elements in chunks of about 2 MiB: growth copies nothing and doubles nothing, and addresses stay.
/// Rows start at multiples of the alignment given; new rows are not initialised.
template <class T>
class Chunks {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{2} << 20U;

  Chunks(std::size_t width, std::size_t alignment_bytes)
      : stride_((width * sizeof(T) + alignment_bytes - 1) / alignment_bytes * alignment_bytes / sizeof(T)),
        shift_(
            static_cast<unsigned>(std::bit_width(std::max(chunk_bytes / (stride_ * sizeof(T)), std::size_t{1})) - 1)) {}

  T* row(std::size_t i) { return chunks_[i >> shift_].get() + (i & mask()) * stride_; }
  const T* row(std::size_t i) const { return chunks_[i >> shift_].get() + (i & mask()) * stride_; }

  /// Make rows [0, n) exist. @throws std::bad_alloc, with the rows that were there untouched
  void reserve(std::size_t n) {
    while (chunks_.size() << shift_ < n) {
      const std::size_t bytes = (mask() + 1) * stride_ * sizeof(T);
      chunks_.emplace_back(static_cast<T*>(::operator new(bytes, std::align_val_t(page_bytes))));
    }
  }

 private:
  static constexpr std::size_t page_bytes = 4096;
  struct Free {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(page_bytes)); }
  };

  std::size_t mask() const { return (std::size_t{1} << shift_) - 1; }

  std::size_t stride_;
  unsigned shift_;
  std::vector<std::unique_ptr<T[], Free>> chunks_;
};

}  // namespace revector::hnsw
