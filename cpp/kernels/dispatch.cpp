#include "kernels/dispatch.hpp"

#include <cstdlib>
#include <string>

#include "kernels/cpu_features.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr Isa all_isas[] = {Isa::scalar, Isa::avx2, Isa::avx512};

/// The table of an instruction set, or null where the build left it out.
const kernels::KernelTable* built_table(Isa isa) {
  using namespace kernels;
  static const KernelTable scalar{rows_scalar, matmul_scalar, nn_scalar};
#ifdef REVECTOR_HAVE_AVX2
  static const KernelTable avx2{rows_avx2, matmul_avx2, nn_avx2};
#endif
#ifdef REVECTOR_HAVE_AVX512
  static const KernelTable avx512{rows_avx512, matmul_avx512, nn_avx512};
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

namespace kernels {

const KernelTable& table() {
  static const KernelTable& active = *built_table(active_isa());  // which is one of available_isas()
  return active;
}

}  // namespace kernels
}  // namespace revector
