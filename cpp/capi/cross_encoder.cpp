#include "revector/cross_encoder.hpp"

#include "capi/guard.hpp"

using revector::capi::guard;
using revector::capi::require;

struct revector_cross_encoder {
  revector::CrossEncoder value;
};

revector_status revector_cross_encoder_load(const char* folder, revector_cross_encoder** out) {
  return guard([&] {
    revector_cross_encoder*& result = require(out, "out");
    result = new revector_cross_encoder{revector::CrossEncoder::load(&require(folder, "folder"))};
  });
}

void revector_cross_encoder_free(revector_cross_encoder* encoder) { delete encoder; }

revector_status revector_cross_encoder_describe(const revector_cross_encoder* encoder,
                                                revector_cross_encoder_info* out) {
  return guard([&] {
    const auto& found = require(encoder, "encoder").value.info();
    require(out, "out") = {found.labels, found.vocabulary, found.types, found.max_length};
  });
}

revector_status revector_cross_encoder_score(const revector_cross_encoder* encoder, const int32_t* ids,
                                             const int64_t* offsets, const int32_t* types, size_t n, float* out) {
  return guard([&] {
    const auto& self = require(encoder, "encoder").value;
    const int64_t last = (&require(offsets, "offsets"))[n];
    if (last < 0) throw revector::InvalidArgument("offsets end at " + std::to_string(last) + ", expected at least 0");
    const auto count = static_cast<size_t>(last);
    self.score({ids, count}, {offsets, n + 1}, {types, types == nullptr ? 0 : count}, {out, n, self.info().labels});
  });
}
