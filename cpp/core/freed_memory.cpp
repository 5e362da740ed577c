#include <cstdlib>

#include "revector/device.hpp"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace revector {

void return_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace revector
