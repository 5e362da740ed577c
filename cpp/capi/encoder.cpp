#include "revector/encoder.hpp"

#include "capi/guard.hpp"

using revector::capi::guard;
using revector::capi::require;

struct revector_encoder {
  revector::Encoder value;
};

namespace {

std::optional<revector::Precision> precision_of(revector_precision precision) {
  switch (precision) {
    case REVECTOR_PRECISION_AUTO:
      return std::nullopt;
    case REVECTOR_PRECISION_FLOAT32:
      return revector::Precision::float32;
    case REVECTOR_PRECISION_BFLOAT16:
      return revector::Precision::bfloat16;
    case REVECTOR_PRECISION_INT8:
      return revector::Precision::int8;
  }
  throw revector::InvalidArgument("precision is " + std::to_string(static_cast<int>(precision)) +
                                  ", expected one of revector_precision");
}

}  // namespace

revector_status revector_encoder_load(const char* folder, revector_precision precision, revector_encoder** out) {
  return guard([&] {
    revector_encoder*& result = require(out, "out");
    result = new revector_encoder{revector::Encoder::load(&require(folder, "folder"), precision_of(precision))};
  });
}

void revector_encoder_free(revector_encoder* encoder) { delete encoder; }

revector_status revector_encoder_describe(const revector_encoder* encoder, revector_encoder_info* out) {
  return guard([&] {
    const auto& found = require(encoder, "encoder").value.info();
    require(out, "out") = {found.dimension, found.vocabulary, found.max_length, found.normalized ? 1 : 0};
  });
}

revector_status revector_encoder_encode(const revector_encoder* encoder, const int32_t* ids, const int64_t* offsets,
                                        size_t n, float* out) {
  return guard([&] {
    const auto& self = require(encoder, "encoder").value;
    const int64_t last = (&require(offsets, "offsets"))[n];
    if (last < 0) throw revector::InvalidArgument("offsets end at " + std::to_string(last) + ", expected at least 0");
    self.encode({ids, static_cast<size_t>(last)}, {offsets, n + 1}, {out, n, self.info().dimension});
  });
}
