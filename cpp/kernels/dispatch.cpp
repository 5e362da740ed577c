#include "kernels/dispatch.hpp"

namespace revector::kernels {

const KernelTable* built_table(Isa isa) {
  static const KernelTable scalar{.rows = rows_scalar,
                                  .float32 = float32_scalar,
                                  .bfloat16 = bfloat16_scalar,
                                  .int8 = int8_scalar,
                                  .coarse = int8_scalar,
                                  .nn = nn_scalar};
#ifdef REVECTOR_HAVE_AVX2
  static const KernelTable avx2{.rows = rows_avx2,
                                .float32 = float32_avx2,
                                .bfloat16 = bfloat16_avx2,
                                .int8 = int8_avx2,
                                .coarse = coarse_avx2,
                                .nn = nn_avx2};
#endif
#ifdef REVECTOR_HAVE_AVX512
  static const KernelTable avx512{.rows = rows_avx512,
                                  .float32 = float32_avx512,
                                  .bfloat16 = bfloat16_avx512,
                                  .int8 = int8_avx512,
                                  .coarse = int8_avx512,
                                  .nn = nn_avx512};
#endif
#ifdef REVECTOR_HAVE_AVX512_BF16
  static const KernelTable avx512_bf16{.rows = rows_avx512,
                                       .float32 = float32_avx512,
                                       .bfloat16 = bfloat16_avx512_bf16,
                                       .int8 = int8_avx512,
                                       .coarse = int8_avx512,
                                       .nn = nn_avx512};
#endif
#ifdef REVECTOR_HAVE_AMX
  static const KernelTable amx{.rows = rows_avx512,
                               .float32 = float32_avx512,
                               .bfloat16 = bfloat16_amx,
                               .int8 = int8_amx,
                               .coarse = int8_amx,
                               .nn = nn_avx512};
#endif
  switch (isa) {
    case Isa::scalar:
      return &scalar;
#ifdef REVECTOR_HAVE_AVX2
    case Isa::avx2:
      return &avx2;
#endif
#ifdef REVECTOR_HAVE_AVX512
    case Isa::avx512:
      return &avx512;
#endif
#ifdef REVECTOR_HAVE_AVX512_BF16
    case Isa::avx512_bf16:
      return &avx512_bf16;
#endif
#ifdef REVECTOR_HAVE_AMX
    case Isa::amx:
      return &amx;
#endif
    default:
      return nullptr;
  }
}

}  // namespace revector::kernels
