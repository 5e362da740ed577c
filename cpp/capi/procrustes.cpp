#include "revector/procrustes.hpp"

#include "capi/guard.hpp"

using revector::capi::guard;
using revector::capi::require;

struct revector_accumulator {
  size_t d_old, d_new;
  revector::ProcrustesAccumulator value;
};
struct revector_map {
  revector::ProcrustesMap value;
};

revector_status revector_accumulator_new(size_t d_old, size_t d_new, revector_accumulator** out) {
  return guard([&] {
    revector_accumulator*& result = require(out, "out");
    result = new revector_accumulator{d_old, d_new, revector::ProcrustesAccumulator(d_old, d_new)};
  });
}

void revector_accumulator_free(revector_accumulator* accumulator) { delete accumulator; }

revector_status revector_accumulator_add(revector_accumulator* accumulator, const float* old_rows,
                                         const float* new_rows, size_t n) {
  return guard([&] {
    auto& self = require(accumulator, "accumulator");
    self.value.add({old_rows, n, self.d_old}, {new_rows, n, self.d_new});
  });
}

revector_status revector_accumulator_solve(const revector_accumulator* accumulator, int center, int scale,
                                           revector_map** out) {
  return guard([&] {
    revector_map*& result = require(out, "out");
    result = new revector_map{require(accumulator, "accumulator").value.solve(center != 0, scale != 0)};
  });
}

void revector_map_free(revector_map* map) { delete map; }

revector_status revector_map_describe(const revector_map* map, revector_map_info* out) {
  return guard([&] {
    const auto& self = require(map, "map").value;
    const auto& found = self.diagnostics();
    require(out, "out") = {self.d_old(),   self.d_new(),         found.n_pairs,
                           found.residual, found.effective_rank, found.condition};
  });
}

revector_status revector_map_transform(const revector_map* map, const float* x, size_t n, float* out) {
  return guard([&] {
    const auto& self = require(map, "map").value;
    self.transform({x, n, self.d_old()}, {out, n, self.d_new()});
  });
}

revector_status revector_map_inverse_transform(const revector_map* map, const float* y, size_t n, float* out) {
  return guard([&] {
    const auto& self = require(map, "map").value;
    self.inverse_transform({y, n, self.d_new()}, {out, n, self.d_old()});
  });
}
