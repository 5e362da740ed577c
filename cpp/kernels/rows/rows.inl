// The row kernels, written once over Vec; included by one file for each instruction set after its vec/<isa>.hpp.
//
// Four independent sums hide the latency of the FMA (4 cycles, two a cycle); the tail is one masked step, so lengths
// that are not a multiple of the width cost one iteration more.
#include "kernels/table.hpp"
#include "kernels/vec/extremes.inl"

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

void extremes(const float* x, std::size_t n, float* lowest, float* highest) {
  const Extremes found = extremes_of(x, n);
  *lowest = found.lowest;
  *highest = found.highest;
}

float rounding_squares(const float* x, std::size_t n, float step) {
  const Vec width = Vec::set(step), factor = Vec::set(step > 0 ? 1 / step : 0);
  const auto add = [&](Vec v, Vec sum) {
    const Vec error = v - round(v * factor) * width;
    return fma(error, error, sum);
  };
  return reduce(
      n, [&](std::size_t i, Vec sum) { return add(Vec::load(x + i), sum); },
      [&](std::size_t i, std::size_t left, Vec sum) { return add(Vec::load_first(x + i, left), sum); });
}

void exact_products(const float* a, const float* b, std::size_t n, double* ab, double* bb) {
  WideSum products[2], squares[2];
  const auto add = [&](Vec left, Vec right, std::size_t sum) {
    products[sum].add_product(left, right);
    squares[sum].add_product(right, right);
  };
  std::size_t i = 0;
  for (; i + 2 * Vec::width <= n; i += 2 * Vec::width) {
    add(Vec::load(a + i), Vec::load(b + i), 0);
    add(Vec::load(a + i + Vec::width), Vec::load(b + i + Vec::width), 1);
  }
  for (; i < n; i += Vec::width) {
    const std::size_t left = n - i < Vec::width ? n - i : Vec::width;
    add(Vec::load_first(a + i, left), Vec::load_first(b + i, left), 0);
  }
  *ab = products[0].sum() + products[1].sum();
  *bb = squares[0].sum() + squares[1].sum();
}

std::size_t at_least(const float* x, std::size_t n, float bar, std::uint32_t* positions) {
  const Vec bars = Vec::set(bar);
  std::size_t count = 0;
  const auto take = [&](std::uint32_t found, std::size_t first) {
    for (; found != 0; found &= found - 1)
      positions[count++] = static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(__builtin_ctz(found));
  };
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) take(at_least(Vec::load(x + i), bars), i);
  if (i < n) take(at_least(Vec::load_first(x + i, n - i), bars) & ((1U << (n - i)) - 1), i);
  return count;
}

/// The first n elements of a type of fewer bits, which is read a vector at a time; zeros after them.
template <class T, class Load>
inline Vec load_first_of(const T* x, std::size_t n, Load load) {
  T first[Vec::width] = {};
  for (std::size_t i = 0; i < n; ++i) first[i] = x[i];
  return load(first);
}

/// out[i] = load(x + i) for a type of fewer bits.
template <class T, class Load>
inline void widen(const T* x, std::size_t n, float* out, Load load) {
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) load(x + i).store(out + i);
  if (i < n) load_first_of(x + i, n - i, load).store_first(out + i, n - i);
}

void widen_float16(const std::uint16_t* x, std::size_t n, float* out) { widen(x, n, out, Vec::load_float16); }
void widen_bfloat16(const std::uint16_t* x, std::size_t n, float* out) { widen(x, n, out, Vec::load_bfloat16); }
void widen_int8(const std::int8_t* x, std::size_t n, float* out) { widen(x, n, out, Vec::load_int8); }

template <class T, class Load>
inline float dot_of(const float* a, const T* b, std::size_t n, Load load) {
  return reduce(
      n, [&](std::size_t i, Vec sum) { return fma(Vec::load(a + i), load(b + i), sum); },
      [&](std::size_t i, std::size_t left, Vec sum) {
        return fma(Vec::load_first(a + i, left), load_first_of(b + i, left, load), sum);
      });
}

template <class T, class Load>
inline float squared_distance_of(const float* a, const T* b, std::size_t n, Load load) {
  return reduce(
      n,
      [&](std::size_t i, Vec sum) {
        const Vec difference = Vec::load(a + i) - load(b + i);
        return fma(difference, difference, sum);
      },
      [&](std::size_t i, std::size_t left, Vec sum) {
        const Vec difference = Vec::load_first(a + i, left) - load_first_of(b + i, left, load);
        return fma(difference, difference, sum);
      });
}

float dot_float16(const float* a, const std::uint16_t* b, std::size_t n) { return dot_of(a, b, n, Vec::load_float16); }
float dot_bfloat16(const float* a, const std::uint16_t* b, std::size_t n) {
  return dot_of(a, b, n, Vec::load_bfloat16);
}
float squared_distance_float16(const float* a, const std::uint16_t* b, std::size_t n) {
  return squared_distance_of(a, b, n, Vec::load_float16);
}
float squared_distance_bfloat16(const float* a, const std::uint16_t* b, std::size_t n) {
  return squared_distance_of(a, b, n, Vec::load_bfloat16);
}

/// out[i] = store(x[i] / step) for an integer type, the rest by way of a whole vector; and what rounding_squares is.
template <class T, class Store>
inline float round_to(const float* x, std::size_t n, float step, T* out, Store store) {
  const Vec width = Vec::set(step), factor = Vec::set(step > 0 ? 1 / step : 0);
  const auto add = [&](Vec v, T* p, Vec sum) {
    const Vec whole = round(v * factor), error = v - whole * width;
    store(whole, p);
    return fma(error, error, sum);
  };
  return reduce(
      n, [&](std::size_t i, Vec sum) { return add(Vec::load(x + i), out + i, sum); },
      [&](std::size_t i, std::size_t left, Vec sum) {
        T whole[Vec::width];
        sum = add(Vec::load_first(x + i, left), whole, sum);
        for (std::size_t j = 0; j < left; ++j) out[i + j] = whole[j];
        return sum;
      });
}

float round_to_int8(const float* x, std::size_t n, float step, std::int8_t* out) {
  return round_to(x, n, step, out, [](Vec v, std::int8_t* p) { v.store_int8(p); });
}
float round_to_int16(const float* x, std::size_t n, float step, std::int16_t* out) {
  return round_to(x, n, step, out, [](Vec v, std::int16_t* p) { v.store_int16(p); });
}

/// Sum of products of integers.
template <class Products, class A, class B>
inline std::int32_t sum_of(const A* a, const B* b, std::size_t n) {
  Products sums[2];
  std::size_t i = 0;
  for (; i + 2 * Products::width <= n; i += 2 * Products::width)
    for (std::size_t s = 0; s < 2; ++s) sums[s].add(a + i + s * Products::width, b + i + s * Products::width);
  for (; i < n; i += Products::width) {
    const std::size_t left = n - i;
    if (left >= Products::width)
      sums[0].add(a + i, b + i);
    else
      sums[1].add_first(a + i, b + i, left);
  }
  return sums[0].sum() + sums[1].sum();
}

std::int32_t dot_int8(const std::int8_t* a, const std::int8_t* b, std::size_t n) {
  return sum_of<ByteProducts>(a, b, n);
}
std::int32_t dot_int16_int8(const std::int16_t* a, const std::int8_t* b, std::size_t n) {
  return sum_of<WordByteProducts>(a, b, n);
}

constexpr revector::kernels::RowKernels row_kernels = {
    .dot = dot,
    .squared_distance = squared_distance,
    .scale = scale,
    .add_scaled = add_scaled,
    .extremes = extremes,
    .rounding_squares = rounding_squares,
    .exact_products = exact_products,
    .at_least = at_least,
    .widen_float16 = widen_float16,
    .widen_bfloat16 = widen_bfloat16,
    .widen_int8 = widen_int8,
    .dot_float16 = dot_float16,
    .dot_bfloat16 = dot_bfloat16,
    .squared_distance_float16 = squared_distance_float16,
    .squared_distance_bfloat16 = squared_distance_bfloat16,
    .round_to_int8 = round_to_int8,
    .round_to_int16 = round_to_int16,
    .dot_int8 = dot_int8,
    .dot_int16_int8 = dot_int16_int8,
};

}  // namespace
