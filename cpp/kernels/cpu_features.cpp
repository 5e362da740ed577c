#include "kernels/cpu_features.hpp"

namespace revector::kernels {

bool cpu_supports(Isa isa) {
#if defined(__x86_64__)
  // __builtin_cpu_supports asks cpuid and, for the vector registers, xgetbv: an operating system that does not save zmm
  // registers reads as "no".
  switch (isa) {
    case Isa::scalar:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case Isa::avx512:
      return cpu_supports(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return isa == Isa::scalar;
#endif
}

}  // namespace revector::kernels
