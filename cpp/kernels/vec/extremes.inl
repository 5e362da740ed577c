// The extremes of a row; after a vector type.
#include <cstddef>
#include <cstdint>

namespace {

/// The extremes of a row, 0 among them so that it is represented exactly; NaN where an element is NaN or infinite.
struct Extremes {
  float lowest, highest;
};

inline Extremes extremes_of(const float* x, std::size_t k) {
  Vec low = Vec::zero(), high = Vec::zero(), poison = Vec::zero();
  const auto take = [&](Vec v) {
    low = min(low, v);
    high = max(high, v);
    poison = fma(v, Vec::zero(), poison);  // a minimum may lose a NaN, a sum cannot
  };
  std::size_t i = 0;
  for (; i + Vec::width <= k; i += Vec::width) take(Vec::load(x + i));
  if (i < k) take(Vec::load_first(x + i, k - i));
  const float unsound = poison.sum();
  return {unsound - (Vec::zero() - low).largest(), unsound + high.largest()};
}

}  // namespace
