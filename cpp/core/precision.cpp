#include "revector/precision.hpp"

#include "kernels/cpu_features.hpp"
#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace revector {

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

}  // namespace revector
