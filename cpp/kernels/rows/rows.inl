// The row kernels, written once over Vec; included by one file for each instruction set after its vec/<isa>.hpp.
//
// Four independent sums hide the latency of the FMA (4 cycles, two a cycle); the tail is one masked step, so lengths
// that are no multiple of the width cost one iteration more.

namespace {

/// Sum of term(position, count) over a row: full vectors four at a time, then one at a time, then the masked rest.
template <class Full, class Rest>
inline float reduce(std::size_t n, Full full, Rest rest) {
  Vec sums[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  std::size_t i = 0;
  for (; i + 4 * Vec::width <= n; i += 4 * Vec::width)
    for (std::size_t s = 0; s < 4; ++s) sums[s] = full(i + s * Vec::width, sums[s]);
  for (; i + Vec::width <= n; i += Vec::width) sums[0] = full(i, sums[0]);
  if (i < n) sums[1] = rest(i, n - i, sums[1]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])).sum();
}

float dot(const float* a, const float* b, std::size_t n) {
  return reduce(
      n, [&](std::size_t i, Vec sum) { return fma(Vec::load(a + i), Vec::load(b + i), sum); },
      [&](std::size_t i, std::size_t left, Vec sum) {
        return fma(Vec::load_first(a + i, left), Vec::load_first(b + i, left), sum);
      });
}

float squared_distance(const float* a, const float* b, std::size_t n) {
  return reduce(
      n,
      [&](std::size_t i, Vec sum) {
        const Vec difference = Vec::load(a + i) - Vec::load(b + i);
        return fma(difference, difference, sum);
      },
      [&](std::size_t i, std::size_t left, Vec sum) {
        const Vec difference = Vec::load_first(a + i, left) - Vec::load_first(b + i, left);
        return fma(difference, difference, sum);
      });
}

void scale(const float* x, float factor, float* out, std::size_t n) {
  const Vec f = Vec::set(factor);
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) (Vec::load(x + i) * f).store(out + i);
  if (i < n) (Vec::load_first(x + i, n - i) * f).store_first(out + i, n - i);
}

void add_scaled(const float* x, float factor, float* out, std::size_t n) {
  const Vec f = Vec::set(factor);
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) fma(Vec::load(x + i), f, Vec::load(out + i)).store(out + i);
  if (i < n) fma(Vec::load_first(x + i, n - i), f, Vec::load_first(out + i, n - i)).store_first(out + i, n - i);
}

}  // namespace
