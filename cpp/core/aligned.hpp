/// @file
/// Memory for the kernels: vectors whose first element starts a cache line.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace revector {

/// Allocates at 64 bytes, so that a vector register never straddles two cache lines of a packed panel.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), alignment)); }
  void deallocate(T* p, std::size_t) noexcept { ::operator delete(p, alignment); }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

using AlignedFloats = std::vector<float, AlignedAllocator<float>>;
using AlignedBytes = std::vector<unsigned char, AlignedAllocator<unsigned char>>;

}  // namespace revector
