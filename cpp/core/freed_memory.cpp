/// @file
/// Giving memory back.
#pragma once

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace revector {

/// Hand freed blocks to the operating system. glibc keeps those below some megabytes: after a stage of many such
/// blocks that is a quarter of an index, held for nothing while the next stage takes its own. Milliseconds.
inline void return_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace revector
