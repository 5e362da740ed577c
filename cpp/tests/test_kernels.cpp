// Every kernel of the active instruction set against float64, over the sizes where tails go wrong.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "check.hpp"
#include "core/aligned.hpp"
#include "core/kernels.hpp"
#include "random_rows.hpp"

namespace revector::kernels {
extern const MatmulKernels bfloat16_amx_emulated, int8_amx_emulated;
}

namespace {

constexpr std::size_t sizes[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 384, 768, 1536};
constexpr float epsilon = std::numeric_limits<float>::epsilon();

std::vector<float> random_row(std::size_t n, unsigned seed) { return Rows(1, n, seed).values; }

const revector::kernels::RowKernels& rows() { return revector::kernels::table().rows; }

TEST(dot_is_within_its_error_bound) {
  for (std::size_t n : sizes) {
    const auto a = random_row(n, 1), b = random_row(n, 2);
    double exact = 0, magnitude = 0;
    for (std::size_t i = 0; i < n; ++i) {
      exact += static_cast<double>(a[i]) * b[i];
      magnitude += std::abs(static_cast<double>(a[i]) * b[i]);
    }
    const double bound = (static_cast<double>(n) / 16 + 8) * epsilon * magnitude;
    CHECK_NEAR(rows().dot(a.data(), b.data(), n), exact, bound);
  }
}

TEST(squared_distance_is_within_its_error_bound) {
  for (std::size_t n : sizes) {
    const auto a = random_row(n, 3), b = random_row(n, 4);
    double exact = 0;
    for (std::size_t i = 0; i < n; ++i)
      exact += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    CHECK_NEAR(rows().squared_distance(a.data(), b.data(), n), exact,
               (static_cast<double>(n) / 16 + 10) * epsilon * exact);
  }
}

TEST(rows_of_16_bits_are_widened_on_the_way) {
  for (std::size_t n : sizes) {
    const auto a = random_row(n, 5);
    std::vector<std::uint16_t> half(n), brain(n);
    for (std::size_t i = 0; i < n; ++i) {
      half[i] = static_cast<std::uint16_t>(i * 7919 % 0x7C00);  // any finite one, subnormal ones too
      brain[i] = static_cast<std::uint16_t>(0x3F00 + i * 7919 % 0x100);
    }
    std::vector<float> wide_half(n), wide_brain(n);
    rows().widen_float16(half.data(), n, wide_half.data());
    rows().widen_bfloat16(brain.data(), n, wide_brain.data());
    CHECK(rows().dot_float16(a.data(), half.data(), n) == rows().dot(a.data(), wide_half.data(), n));
    CHECK(rows().dot_bfloat16(a.data(), brain.data(), n) == rows().dot(a.data(), wide_brain.data(), n));
    CHECK(rows().squared_distance_float16(a.data(), half.data(), n) ==
          rows().squared_distance(a.data(), wide_half.data(), n));
    CHECK(rows().squared_distance_bfloat16(a.data(), brain.data(), n) ==
          rows().squared_distance(a.data(), wide_brain.data(), n));
  }
}

TEST(products_of_bytes_are_exact) {
  for (std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17}, std::size_t{63},
        std::size_t{64}, std::size_t{65}, std::size_t{127}, std::size_t{129}, std::size_t{384}, std::size_t{131072}})
    for (const int span : {127, 0}) {  // 0: all at their bounds
      std::vector<std::int8_t> a(n), b(n);
      std::int64_t exact = 0;
      for (std::size_t i = 0; i < n; ++i) {
        a[i] = static_cast<std::int8_t>(span > 0 ? static_cast<int>(i * 31 % 255) - span : 127);
        b[i] = static_cast<std::int8_t>(span > 0 ? span - static_cast<int>(i * 17 % 255) : -127);
        exact += a[i] * b[i];
      }
      CHECK(rows().dot_int8(a.data(), b.data(), n) == exact);
    }
}

TEST(rows_are_rounded_to_integers_as_rounding_squares_says) {
  for (std::size_t n : sizes) {
    const auto x = random_row(n, 7);
    float lowest = 0, highest = 0;
    rows().extremes(x.data(), n, &lowest, &highest);
    for (const float most : {127.0F, 32767.0F}) {
      const float step = std::max(-lowest, highest) / most;
      std::vector<std::int8_t> bytes(n + 1, 99);
      std::vector<std::int16_t> words(n + 1, 99);
      const float squares = rows().rounding_squares(x.data(), n, step);
      if (most < 128) CHECK_NEAR(rows().round_to_int8(x.data(), n, step, bytes.data()), squares, 1e-4 * squares);
      CHECK_NEAR(rows().round_to_int16(x.data(), n, step, words.data()), squares, 1e-4 * squares);
      double lost = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double left = x[i] - static_cast<double>(step) * words[i];
        CHECK(std::abs(left) <= step * .5001 + 1e-6 * std::abs(x[i]));
        CHECK(most > 128 || bytes[i] == words[i]);
        lost += left * left;
      }
      CHECK(bytes[n] == 99 && words[n] == 99);
      CHECK_NEAR(squares, lost, 1e-3 * lost + 1e-9);
    }
    std::vector<std::int8_t> zeros(n, 99);
    rows().round_to_int8(x.data(), n, 0, zeros.data());
    CHECK(std::all_of(zeros.begin(), zeros.end(), [](std::int8_t code) { return code == 0; }));
  }
}

TEST(products_of_words_and_bytes_are_exact) {
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{17}, std::size_t{31},
                        std::size_t{33}, std::size_t{63}, std::size_t{65}, std::size_t{384}, std::size_t{4096}})
    for (const int most : {4095, 0}) {  // 0: all at their bounds
      std::vector<std::int16_t> a(n);
      std::vector<std::int8_t> b(n);
      std::int64_t exact = 0;
      for (std::size_t i = 0; i < n; ++i) {
        a[i] = static_cast<std::int16_t>(most > 0 ? static_cast<int>(i * 3571 % 8191) - most : 4095);
        b[i] = static_cast<std::int8_t>(most > 0 ? 127 - static_cast<int>(i * 17 % 255) : -127);
        exact += a[i] * b[i];
      }
      CHECK(rows().dot_int16_int8(a.data(), b.data(), n) == exact);
    }
}

TEST(scale_and_add_scaled_touch_n_elements_only) {
  for (std::size_t n : sizes) {
    const auto x = random_row(n, 5);
    auto scaled = random_row(n + 1, 6), added = scaled;
    const auto before = scaled;
    rows().scale(x.data(), 0.5F, scaled.data(), n);
    rows().add_scaled(x.data(), 0.5F, added.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
      CHECK(scaled[i] == x[i] * 0.5F);
      CHECK_NEAR(added[i], before[i] + x[i] * 0.5F, 4 * epsilon * (std::abs(before[i]) + std::abs(x[i])));
    }
    CHECK(scaled[n] == before[n]);
    CHECK(added[n] == before[n]);
  }
}

using revector::AlignedBytes;
using revector::Precision;
using revector::kernels::MatmulKernels;

/// Steps of an integer format: the parts that the range of a row of A and the largest element of a column of B have.
struct Steps {
  float row, column;
};
constexpr Steps int8_steps{255, 127}, coarse_steps{63, 63};

struct Tested {
  Precision precision;
  const MatmulKernels& kernels;
  Steps steps = int8_steps;
};

/// The products of the active table; beside those of AVX512-BF16 the tile kernels on emulated tiles.
std::vector<Tested> tested_products() {
  std::vector<Tested> tested;
  for (Precision precision : {Precision::float32, Precision::bfloat16, Precision::int8})
    tested.push_back({precision, revector::kernels::matmul(precision)});
  tested.push_back({Precision::int8, revector::kernels::table().coarse, coarse_steps});
#ifdef REVECTOR_EMULATED_TILES
  if (revector::active_isa() == revector::Isa::avx512_bf16) {
    tested.push_back({Precision::bfloat16, revector::kernels::bfloat16_amx_emulated});
    tested.push_back({Precision::int8, revector::kernels::int8_amx_emulated});
  }
#endif
  return tested;
}

/// A and B of C = A B and everything that a format needs for them.
struct Product {
  Product(const MatmulKernels& kernels, std::size_t m, std::size_t n, std::size_t k)
      : kernels(kernels),
        m(m),
        n(n),
        k(k),
        a(random_row(m * k, 7)),
        b(random_row(k * n, 8)),
        bias(random_row(n, 9)),
        left(random_row(m * terms, 10)),
        right(random_row(terms * n, 11)) {}

  void pack(bool transposed) {
    packed.assign(kernels.packed_bytes(k, n), 0xAB);
    if (transposed)
      kernels.pack_transposed(b.data(), k, n, k, packed.data());
    else
      kernels.pack(b.data(), n, k, n, packed.data());
    const std::size_t blocks = (m + kernels.row_block - 1) / kernels.row_block;
    rows.assign(blocks * kernels.row_block * kernels.row_bytes(k), 0xAB);
    for (std::size_t i = 0; i < m; ++i) kernels.convert(a.data() + i * k, k, rows.data() + i * kernels.row_bytes(k));
  }
  revector::kernels::Addend addend() const { return {bias.data(), left.data(), right.data(), terms}; }
  float b_at(std::size_t l, std::size_t j, bool transposed) const { return b[transposed ? j * k + l : l * n + j]; }

  static constexpr std::size_t terms = 3;
  const MatmulKernels& kernels;
  std::size_t m, n, k;
  std::vector<float> a, b, bias, left, right;
  AlignedBytes packed, rows;
};

float largest_of(std::size_t n, const std::function<float(std::size_t)>& at) {
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(at(i)));
  return largest;
}

/// What may be lost where a, with an error of at most da, meets b, with at most db.
double product_bound(double a, double da, double b, double db) { return std::abs(a) * db + std::abs(b) * da + da * db; }

/// The errors of rounding to a format: relative in bfloat16; in integers half a step, of the range of a row of A (whose
/// extremes include 0) and of the largest element of a column of B.
struct Rounding {
  double relative, a_step, b_step;
};

Rounding rounding_of(const Tested& tested, const Product& p, std::size_t i, std::size_t j, bool transposed) {
  if (tested.precision == Precision::float32) return {0, 0, 0};
  if (tested.precision == Precision::bfloat16) return {0x1p-8, 0, 0};
  const float a = largest_of(p.k, [&](std::size_t l) { return p.a[i * p.k + l]; });
  const float b = largest_of(p.k, [&](std::size_t l) { return p.b_at(l, j, transposed); });
  return {0, 2 * a / tested.steps.row * .501, b / tested.steps.column * .501};
}

/// C = A B + addend through the packed kernels, with a guard column behind every row of C.
void check_product(const Tested& tested, std::size_t m, std::size_t n, std::size_t k, bool transposed) {
  Product p(tested.kernels, m, n, k);
  p.pack(transposed);
  std::vector<float> c(m * (n + 1), 42.0F);
  p.kernels.multiply(p.rows.data(), p.kernels.row_bytes(k), m, p.packed.data(), k, n, p.addend(), c.data(), n + 1);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const Rounding rounding = rounding_of(tested, p, i, j, transposed);
      double exact = p.bias[j], magnitude = std::abs(exact), bound = 0;
      for (std::size_t t = 0; t < Product::terms; ++t) {
        const double x = p.left[i * Product::terms + t], y = p.right[t * n + j];
        exact += x * y;
        magnitude += std::abs(x * y);
      }
      for (std::size_t l = 0; l < k; ++l) {
        const double x = p.a[i * k + l], y = p.b_at(l, j, transposed);
        exact += x * y;
        magnitude += std::abs(x * y);
        bound += product_bound(x, std::abs(x) * rounding.relative + rounding.a_step, y,
                               std::abs(y) * rounding.relative + rounding.b_step);
      }
      CHECK_NEAR(c[i * (n + 1) + j], exact,
                 bound + static_cast<double>(k + 4 + Product::terms) * epsilon * (magnitude + bound));
    }
    CHECK(c[i * (n + 1) + n] == 42.0F);
  }
}

TEST(formats_tell_the_steps_they_round_to) {
  const MatmulKernels& int8 = revector::kernels::matmul(Precision::int8);
  CHECK(int8.row_step(-1, 3) == 4 / int8_steps.row);
  CHECK(int8.column_step(-1, 3) == 3 / int8_steps.column);
  CHECK(int8.column_step(-3, 1) == 3 / int8_steps.column);
  CHECK(revector::kernels::matmul(Precision::bfloat16).row_step(-1, 3) == 0);
}

TEST(products_are_within_their_error_bound_for_all_tails) {
  for (const Tested& tested : tested_products()) {
    for (std::size_t m : {1, 2, 5, 11, 12, 13, 16, 25, 33, 48})
      for (std::size_t n : {1, 3, 15, 16, 17, 31, 32, 33, 65})
        for (std::size_t k : {1, 7, 16, 33, 64, 65}) {
          check_product(tested, m, n, k, true);
          check_product(tested, m, n, k, false);
        }
    check_product(tested, 37, 70, 768, true);
  }
}

TEST(a_product_does_not_depend_on_the_tile_it_falls_in) {
  for (const Tested& tested : tested_products()) {
    const MatmulKernels& kernels = tested.kernels;
    const std::size_t m = 29, k = 100, n = kernels.panel_width;
    Product p(kernels, m, n, k);
    p.pack(false);
    const std::size_t stride = kernels.row_bytes(k);
    std::vector<float> together(m * n), alone(n);
    kernels.multiply(p.rows.data(), stride, m, p.packed.data(), k, n, {}, together.data(), n);
    for (std::size_t i = 0; i + kernels.row_block <= m; ++i) {
      kernels.multiply(p.rows.data() + i * stride, stride, 1, p.packed.data(), k, n, {}, alone.data(), n);
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<std::ptrdiff_t>(i * n)));
    }
  }
}

/// Every product of the format at its extreme, over a long row.
void check_extremes(const MatmulKernels& kernels) {
  const std::size_t k = 4096;
  for (float sign : {1.0F, -1.0F}) {
    Product p(kernels, 1, 1, k);
    p.a.assign(k, sign * 3);
    p.b.assign(k, 2);
    p.pack(true);
    float c = 0;
    kernels.multiply(p.rows.data(), kernels.row_bytes(k), 1, p.packed.data(), k, 1, {}, &c, 1);
    CHECK_NEAR(c, sign * 6 * static_cast<float>(k), 6 * static_cast<double>(k) * 16 * epsilon);
  }
}

TEST(integer_products_keep_rows_that_lie_on_one_side_and_never_saturate) {
  for (const Tested& tested : tested_products())
    if (tested.precision == Precision::int8) check_extremes(tested.kernels);
}

TEST(a_nan_or_infinity_in_either_factor_reaches_the_product) {
  for (const Tested& tested : tested_products())
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
      for (bool in_a : {true, false}) {
        const MatmulKernels& kernels = tested.kernels;
        Product p(kernels, 3, 40, 50);
        (in_a ? p.a[60] : p.b[5 * 50 + 20]) = bad;
        p.pack(true);
        std::vector<float> c(3 * 40);
        kernels.multiply(p.rows.data(), kernels.row_bytes(50), 3, p.packed.data(), 50, 40, {}, c.data(), 40);
        CHECK(!std::isfinite(c[40 + 5]));
        CHECK(std::isfinite(c[2 * 40 + 6]));
      }
}

}  // namespace

TEST_MAIN()
