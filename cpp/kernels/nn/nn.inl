// What a transformer needs between its matrix products, written once over Vec; included by one file for each
// instruction set after its vec/<isa>.hpp.
//
// exp:   x = n ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite), e^r = 1 + r + r^2 P(r). Relative error <= 1.5 * 2^-24.
// GELU:  x Phi(x), with Phi(-|x|) = e^(-x^2/2) t R(t), t = 1 / (1 + .3 |x|) (the form of Abramowitz & Stegun 26.2.17,
//        with two more terms). It keeps its relative accuracy in the left tail, where a polynomial for erf would not.
//        Error <= 3 * 2^-24 * |x|.
// Coarse GELU: Phi(x) = 1/2 + c T(c^2) with c = x held within 4.2, where T(c^2) c is 1/2. Error <= 1e-4 +
//        2^-21 |x|: for states that are rounded to 8 bits afterwards, at half the price.
// P, R and T are least-squares fits at Chebyshev nodes, computed in float64; T with weights that even out its error.
#include "kernels/table.hpp"

namespace {

inline Vec exponential(Vec x) {
  x = min(Vec::set(88.3F), max(Vec::set(-87.3F), x));  // NaN passes: max and min return their second argument
  const Vec n = round(x * Vec::set(1.44269504F));
  const Vec r = fma(n, Vec::set(2.12194440e-4F), fma(n, Vec::set(-0.693359375F), x));
  Vec p = Vec::set(0.0013933651F);
  p = fma(p, r, Vec::set(0.0083631799F));
  p = fma(p, r, Vec::set(0.0416664667F));
  p = fma(p, r, Vec::set(0.1666657626F));
  p = fma(p, r, Vec::set(0.5F));
  return (fma(p, r * r, r) + Vec::set(1.0F)) * power_of_two(n);
}

inline Vec gelu_of(Vec x) {
  const Vec size = abs(x);
  const Vec t = Vec::set(1.0F) / fma(size, Vec::set(0.3F), Vec::set(1.0F));
  Vec p = Vec::set(0.0365846977F);
  p = fma(p, t, Vec::set(-0.160832316F));
  p = fma(p, t, Vec::set(0.21230717F));
  p = fma(p, t, Vec::set(-0.058868628F));
  p = fma(p, t, Vec::set(0.131139442F));
  p = fma(p, t, Vec::set(0.0991847143F));
  p = fma(p, t, Vec::set(0.120862119F));
  p = fma(p, t, Vec::set(0.119622804F));
  const Vec tail = p * t * exponential(x * x * Vec::set(-0.5F));  // Phi(-|x|)
  return max(Vec::zero(), x) - size * tail;
}

inline Vec gelu_coarse_of(Vec x) {
  const Vec c = min(Vec::set(4.2F), max(Vec::set(-4.2F), x)), square = c * c;
  Vec p = Vec::set(-9.01692110e-10F);
  p = fma(p, square, Vec::set(7.94091051e-8F));
  p = fma(p, square, Vec::set(-3.03780985e-6F));
  p = fma(p, square, Vec::set(6.68889043e-5F));
  p = fma(p, square, Vec::set(-9.50643036e-4F));
  p = fma(p, square, Vec::set(0.00929816719F));
  p = fma(p, square, Vec::set(-0.0655280724F));
  p = fma(p, square, Vec::set(0.398465782F));
  return x * fma(p, c, Vec::set(0.5F));
}

/// x / (1 + e^(-2u)) = x / 2 (1 + tanh u), u = sqrt(2 / pi) (x + .044715 x^3).
inline Vec gelu_tanh_of(Vec x) {
  const Vec minus_2u = x * fma(x * x, Vec::set(-0.0713548163F), Vec::set(-1.59576912F));
  return x / (exponential(minus_2u) + Vec::set(1.0F));
}

inline Vec relu_of(Vec x) { return max(Vec::zero(), x); }

template <class Function>
inline void apply(float* x, std::size_t n, Function function) {
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) function(Vec::load(x + i)).store(x + i);
  if (i < n) function(Vec::load_first(x + i, n - i)).store_first(x + i, n - i);
}

void gelu(float* x, std::size_t n) {
  apply(x, n, [](Vec v) { return gelu_of(v); });
}

void gelu_coarse(float* x, std::size_t n) {
  apply(x, n, [](Vec v) { return gelu_coarse_of(v); });
}

void gelu_tanh(float* x, std::size_t n) {
  apply(x, n, [](Vec v) { return gelu_tanh_of(v); });
}

void relu(float* x, std::size_t n) {
  apply(x, n, [](Vec v) { return relu_of(v); });
}

float largest_of(const float* x, std::size_t n) {
  const Vec lowest = Vec::set(-__FLT_MAX__);
  Vec found = lowest;
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) found = max(found, Vec::load(x + i));
  if (i < n) found = max(found, Vec::load_first_or(x + i, n - i, lowest));
  return found.largest();
}

// Lanes beyond n hold the lowest float, whose exponential (1e-38) adds nothing to a sum of at least 1.
float exponentials(float* x, std::size_t n, float scale) {
  const Vec factor = Vec::set(scale), lowest = Vec::set(-__FLT_MAX__), offset = Vec::set(largest_of(x, n));
  Vec sum = Vec::zero();
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) {
    const Vec e = exponential((Vec::load(x + i) - offset) * factor);
    sum = sum + e;
    e.store(x + i);
  }
  if (i < n) {
    const Vec e = exponential((Vec::load_first_or(x + i, n - i, lowest) - offset) * factor);
    sum = sum + e;
    e.store_first(x + i, n - i);
  }
  return sum.sum();
}

/// out = x + addend; returns the sum of out.
float add_rows(const float* x, const float* addend, float* out, std::size_t n) {
  Vec sum = Vec::zero();
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) {
    const Vec v = Vec::load(x + i) + Vec::load(addend + i);
    sum = sum + v;
    v.store(out + i);
  }
  if (i < n) {
    const Vec v = Vec::load_first(x + i, n - i) + Vec::load_first(addend + i, n - i);
    sum = sum + v;
    v.store_first(out + i, n - i);
  }
  return sum.sum();
}

// The squares are summed around the mean, which costs a pass in L1 and keeps rows with a large mean exact.
float squares_around(float mean, const float* x, std::size_t n) {
  const Vec center = Vec::set(mean);
  Vec sum = Vec::zero();
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width) {
    const Vec v = Vec::load(x + i) - center;
    sum = fma(v, v, sum);
  }
  if (i < n) {
    const Vec v = Vec::load_first_or(x + i, n - i, center) - center;
    sum = fma(v, v, sum);
  }
  return sum.sum();
}

void add_and_normalize(const float* x, const float* addend, const float* gain, const float* bias, float epsilon,
                       float* out, std::size_t n) {
  const float count = static_cast<float>(n);
  const float mean = add_rows(x, addend, out, n) / count;
  const Vec center = Vec::set(mean);
  const Vec factor = Vec::set(1.0F / __builtin_sqrtf(squares_around(mean, out, n) / count + epsilon));
  std::size_t i = 0;
  for (; i + Vec::width <= n; i += Vec::width)
    fma((Vec::load(out + i) - center) * factor, Vec::load(gain + i), Vec::load(bias + i)).store(out + i);
  if (i < n)
    fma((Vec::load_first(out + i, n - i) - center) * factor, Vec::load_first(gain + i, n - i),
        Vec::load_first(bias + i, n - i))
        .store_first(out + i, n - i);
}

constexpr revector::kernels::NnKernels nn_kernels = {
    .exponentials = exponentials,
    .gelu = gelu,
    .gelu_coarse = gelu_coarse,
    .gelu_tanh = gelu_tanh,
    .relu = relu,
    .add_and_normalize = add_and_normalize,
};

}  // namespace
