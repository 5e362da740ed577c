#include "revector/device.hpp"

#include <cstdlib>
#include <string>

#include "core/kernels.hpp"
#include "kernels/cpu_features.hpp"
#include "kernels/dispatch.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr Isa all_isas[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

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
    if (kernels::built_table(isa) != nullptr && kernels::cpu_supports(isa)) found.push_back(isa);
  return found;
}

Isa active_isa() {
  static const Isa isa = choose_isa();
  return isa;
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
