#include "kernels/dispatch.hpp"

#include <cstdlib>
#include <string>

#include "kernels/cpu_features.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr Isa all_isas[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

/// The table of an instruction set, or null where the build left it out.
const kernels::KernelTable* built_table(Isa isa) {
  using namespace kernels;
  static const KernelTable scalar{rows_scalar, float32_scalar, bfloat16_scalar, int8_scalar, int8_scalar, nn_scalar};
#ifdef REVECTOR_HAVE_AVX2
  static const KernelTable avx2{rows_avx2, float32_avx2, bfloat16_avx2, int8_avx2, coarse_avx2, nn_avx2};
#endif
#ifdef REVECTOR_HAVE_AVX512
  static const KernelTable avx512{rows_avx512, float32_avx512, bfloat16_avx512, int8_avx512, int8_avx512, nn_avx512};
#endif
#ifdef REVECTOR_HAVE_AVX512_BF16
  static const KernelTable avx512_bf16{rows_avx512, float32_avx512, bfloat16_avx512_bf16,
                                       int8_avx512, int8_avx512,    nn_avx512};
#endif
#ifdef REVECTOR_HAVE_AMX
  static const KernelTable amx{rows_avx512, float32_avx512, bfloat16_amx, int8_amx, int8_amx, nn_avx512};
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

std::string names_of(const std::vector<Isa>& isas) {
  std::string names;
  for (Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

Isa choose_isa() {
  const std::vector<Isa> available = available_isas();
  const char* wanted = std::getenv("REVECTOR_ISA");
  if (wanted == nullptr || *wanted == '\0') return available.back();
  for (Isa isa : available)
    if (std::string(isa_name(isa)) == wanted) return isa;
  throw DeviceUnavailable("REVECTOR_ISA is '" + std::string(wanted) + "', but this machine and build offer only: " +
                          names_of(available) + "; set one of these or unset it");
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
  }
  return "unknown";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found;
  for (Isa isa : all_isas)
    if (built_table(isa) != nullptr && kernels::cpu_supports(isa)) found.push_back(isa);
  return found;
}

Isa active_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return "float32";
    case Precision::bfloat16:
      return "bfloat16";
    case Precision::int8:
      return "int8";
  }
  return "unknown";
}

Precision fastest_precision() {
  const bool fast = active_isa() == Isa::amx || (active_isa() == Isa::avx512_bf16 && kernels::fast_bfloat16_dot());
  return fast ? Precision::bfloat16 : Precision::float32;
}

Precision precision_named(const std::string& name) {
  if (name == "auto") return fastest_precision();
  for (Precision precision : {Precision::float32, Precision::bfloat16, Precision::int8})
    if (name == precision_name(precision)) return precision;
  throw InvalidArgument("precision is '" + name + "', expected 'auto', 'float32', 'bfloat16' or 'int8'");
}

namespace kernels {

const MatmulKernels& matmul(Precision precision) {
  const KernelTable& active = table();
  if (precision == Precision::float32) return active.float32;
  return precision == Precision::bfloat16 ? active.bfloat16 : active.int8;
}

const KernelTable& table() {
  static const KernelTable& active = *built_table(active_isa());  // which is one of available_isas()
  return active;
}

}  // namespace kernels
}  // namespace revector
