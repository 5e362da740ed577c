#include "kernels/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace revector::kernels {

#if defined(__x86_64__)
namespace {

/// Linux gives the 8 KiB of tile registers only to a process that asks for them.
bool tiles_granted() {
  constexpr long request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long tile_data = 18;
  static const bool granted = syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return granted;
}

bool has_amx() {
  constexpr unsigned bf16 = 1U << 22U, tile = 1U << 24U, int8 = 1U << 25U;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned all = bf16 | tile | int8;
  return (edx & all) == all && tiles_granted();
}

}  // namespace

bool cpu_supports(Isa isa) {
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
    case Isa::avx512_bf16:
      return cpu_supports(Isa::avx512) && __builtin_cpu_supports("avx512bf16");
    case Isa::amx:
      return cpu_supports(Isa::avx512_bf16) && has_amx();
  }
  return false;
}

bool fast_bfloat16_dot() { return cpu_supports(Isa::avx512_bf16) && __builtin_cpu_is("amd"); }
#else
bool cpu_supports(Isa isa) { return isa == Isa::scalar; }

bool fast_bfloat16_dot() { return false; }
#endif

}  // namespace revector::kernels
