/// @file
/// Asking the memory early for what lies where no hardware expects it.
#pragma once

#include <cstddef>

namespace revector {

/// Begin to fetch the cache lines of some bytes. Inlined in any case, as must be every function that does nothing but
/// call this: GCC 12 takes one that only prefetches for a function without effect and drops the calls of it
/// (tests/native/test_prefetches.py looks).
[[gnu::always_inline]] inline void prefetch(const void* data, std::size_t bytes) {
  constexpr std::size_t line_bytes = 64;
  for (std::size_t i = 0; i < bytes; i += line_bytes) __builtin_prefetch(static_cast<const unsigned char*>(data) + i);
}

}  // namespace revector
