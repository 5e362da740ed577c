// Every kernel of the active instruction set against float64, over the sizes where tails go wrong.
#include <algorithm>
#include <limits>

#include "check.hpp"
#include "kernels/dispatch.hpp"
#include "random_rows.hpp"

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

/// C = A B + bias through the packed kernels, with a guard column behind every row of C.
void check_product(std::size_t m, std::size_t n, std::size_t k, bool transposed) {
  const auto& matmul = revector::kernels::table().matmul;
  const auto a = random_row(m * k, 7), b = random_row(k * n, 8), bias = random_row(n, 9);
  const std::size_t panels = (n + matmul.panel_width - 1) / matmul.panel_width;
  std::vector<float> packed(panels * matmul.panel_width * k), c(m * (n + 1), 42.0F);
  if (transposed)
    matmul.pack_transposed(b.data(), k, n, k, packed.data());
  else
    matmul.pack(b.data(), n, k, n, packed.data());
  matmul.multiply(a.data(), k, m, packed.data(), k, n, bias.data(), c.data(), n + 1);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double exact = bias[j], magnitude = std::abs(exact);
      for (std::size_t l = 0; l < k; ++l) {
        const double term = static_cast<double>(a[i * k + l]) * b[transposed ? j * k + l : l * n + j];
        exact += term;
        magnitude += std::abs(term);
      }
      CHECK_NEAR(c[i * (n + 1) + j], exact, static_cast<double>(k + 2) * epsilon * magnitude);
    }
    CHECK(c[i * (n + 1) + n] == 42.0F);
  }
}

TEST(products_are_within_their_error_bound_for_all_tails) {
  for (std::size_t m : {1, 2, 5, 11, 12, 13, 25})
    for (std::size_t n : {1, 3, 15, 16, 17, 31, 32, 33, 65})
      for (std::size_t k : {1, 7, 16, 33}) {
        check_product(m, n, k, true);
        check_product(m, n, k, false);
      }
  check_product(37, 70, 768, true);
}

TEST(a_product_does_not_depend_on_the_tile_it_falls_in) {
  const auto& matmul = revector::kernels::table().matmul;
  const std::size_t m = 29, k = 100, n = matmul.panel_width;
  const auto a = random_row(m * k, 10), b = random_row(k * n, 11);
  std::vector<float> packed(n * k), together(m * n), alone(n);
  matmul.pack(b.data(), n, k, n, packed.data());
  matmul.multiply(a.data(), k, m, packed.data(), k, n, nullptr, together.data(), n);
  for (std::size_t i = 0; i < m; ++i) {
    matmul.multiply(a.data() + i * k, k, 1, packed.data(), k, n, nullptr, alone.data(), n);
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<std::ptrdiff_t>(i * n)));
  }
}

}  // namespace

TEST_MAIN()
