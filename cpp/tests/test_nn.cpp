// The kernels between a transformer's products against float64, over the sizes where tails go wrong.
#include <algorithm>
#include <limits>

#include "check.hpp"
#include "core/kernels.hpp"
#include "random_rows.hpp"

namespace {

constexpr std::size_t sizes[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 384, 768, 1536};
constexpr float epsilon = std::numeric_limits<float>::epsilon();

std::vector<float> random_row(std::size_t n, unsigned seed, float spread = 1) {
  std::vector<float> row = Rows(1, n, seed).values;
  for (float& value : row) value *= spread;
  return row;
}

const revector::kernels::NnKernels& nn() { return revector::kernels::table().nn; }

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

/// Every float of a dense grid, in rows of all tail sizes, with a guard element behind the row.
template <class Kernel, class Exact>
void check_activation(Kernel kernel, Exact exact, double factor, double constant = 0) {
  std::vector<float> grid;
  for (float x = -14; x <= 14; x += 1.0F / 256) grid.push_back(x);
  for (float x : {-3e38F, -1e19F, -200.0F, -1e-20F, -0.0F, 0.0F, 1e-30F, 1e-6F, 200.0F, 1e19F}) grid.push_back(x);
  for (std::size_t n : sizes)
    for (std::size_t begin = 0; begin < grid.size(); begin += n) {
      const std::size_t count = std::min(n, grid.size() - begin);
      std::vector<float> row(grid.begin() + static_cast<std::ptrdiff_t>(begin),
                             grid.begin() + static_cast<std::ptrdiff_t>(begin + count));
      row.push_back(42);
      kernel(row.data(), count);
      for (std::size_t i = 0; i < count; ++i) {
        const double x = grid[begin + i];
        CHECK_NEAR(row[i], exact(x), factor * epsilon * std::abs(x) + constant + 1e-38);
      }
      CHECK(row[count] == 42);
    }
}

TEST(activations_are_within_their_error_bounds) {
  check_activation(nn().gelu, gelu, 2);
  check_activation(nn().gelu_coarse, gelu, 4, 1e-4);
  check_activation(nn().gelu_tanh, gelu_tanh, 4);
  check_activation(nn().relu, [](double x) { return std::max(x, 0.0); }, 0);
}

TEST(gelu_vanishes_in_its_left_tail) {
  float x[] = {-8, -10, -20, -1e6F};
  nn().gelu(x, 4);
  CHECK_NEAR(x[0], gelu(-8.0), 1e-19);
  CHECK_NEAR(x[1], gelu(-10.0), 1e-26);
  CHECK(x[2] <= 0 && x[2] > -1e-30F);
  CHECK(x[3] <= 0 && x[3] > -1e-30F);
}

/// x = softmax(scale x), as attention makes it of the kernel.
void softmax(float* x, std::size_t n, float scale) {
  const float sum = nn().exponentials(x, n, scale);
  for (std::size_t i = 0; i < n; ++i) x[i] /= sum;
}

TEST(softmax_is_within_its_error_bound) {
  for (std::size_t n : sizes)
    for (float spread : {0.01F, 1.0F, 30.0F}) {
      const float scale = 0.17677669F;
      const auto x = random_row(n, 1, spread);
      auto row = x;
      row.push_back(42);
      softmax(row.data(), n, scale);
      const double largest = *std::max_element(x.begin(), x.end());
      double sum = 0;
      for (float value : x) sum += std::exp((value - largest) * static_cast<double>(scale));
      // The argument of the exponential is rounded too: its error is eps times its size.
      for (std::size_t i = 0; i < n; ++i) {
        const double argument = (x[i] - largest) * static_cast<double>(scale), exact = std::exp(argument) / sum;
        CHECK_NEAR(row[i], exact, (static_cast<double>(n) / 16 + 8 + 2 * std::abs(argument)) * epsilon * exact + 1e-37);
      }
      CHECK(row[n] == 42);
    }
}

TEST(softmax_takes_scores_of_any_size) {
  for (float largest : {-3e38F, -1e6F, 1e6F, 3e38F}) {
    std::vector<float> row(19, -3.4e38F);
    row[7] = largest;
    softmax(row.data(), row.size(), 1);
    CHECK_NEAR(row[7], 1, 1e-6);
    CHECK_NEAR(row[18], 0, 1e-30);
  }
}

void check_layer_norm(std::size_t n, float mean, float variance_floor) {
  const auto x = random_row(n, 2), gain = random_row(n, 3), bias = random_row(n, 4);
  auto addend = random_row(n, 5);
  for (float& value : addend) value += mean;
  std::vector<float> out(n + 1, 42);
  nn().add_and_normalize(x.data(), addend.data(), gain.data(), bias.data(), variance_floor, out.data(), n);
  double center = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) center += x[i] + addend[i];
  center /= static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) squares += std::pow(x[i] + addend[i] - center, 2);
  const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + variance_floor);
  for (std::size_t i = 0; i < n; ++i) {
    const double unit = (x[i] + addend[i] - center) * factor;
    // A mean of size m is known to m * eps * (n/16 + 4), which the division by the deviation magnifies.
    const double slack = (static_cast<double>(n) / 16 + 8) * epsilon * (std::abs(unit) + (std::abs(mean) + 1) * factor);
    CHECK_NEAR(out[i], unit * gain[i] + bias[i], slack * std::abs(gain[i]) + 2 * epsilon * std::abs(bias[i]));
  }
  CHECK(out[n] == 42);
}

TEST(layer_norm_is_within_its_error_bound) {
  for (std::size_t n : sizes)
    for (float mean : {0.0F, 100.0F}) check_layer_norm(n, mean, n == 1 ? 1e-3F : 1e-12F);
}

TEST(layer_norm_may_write_over_either_input) {
  for (std::size_t n : sizes) {
    const auto x = random_row(n, 6), addend = random_row(n, 7), gain = random_row(n, 8), bias = random_row(n, 9);
    std::vector<float> expected(n);
    nn().add_and_normalize(x.data(), addend.data(), gain.data(), bias.data(), 1e-5F, expected.data(), n);
    auto over_x = x, over_addend = addend;
    nn().add_and_normalize(over_x.data(), addend.data(), gain.data(), bias.data(), 1e-5F, over_x.data(), n);
    nn().add_and_normalize(x.data(), over_addend.data(), gain.data(), bias.data(), 1e-5F, over_addend.data(), n);
    CHECK(over_x == expected);
    CHECK(over_addend == expected);
  }
}

TEST(nan_reaches_the_output) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t n : {1, 5, 16, 33}) {
    const std::vector<float> ones(n, 1);
    for (auto kernel : {nn().gelu, nn().gelu_coarse, nn().gelu_tanh, nn().relu}) {
      auto row = ones;
      row[n / 2] = nan;
      kernel(row.data(), n);
      CHECK(std::isnan(row[n / 2]));
    }
    auto row = ones, scores = ones;
    row[n / 2] = scores[n / 2] = nan;
    softmax(scores.data(), n, 1);
    CHECK(std::isnan(scores[n / 2]));
    nn().add_and_normalize(row.data(), ones.data(), ones.data(), ones.data(), 1e-5F, row.data(), n);
    CHECK(std::isnan(row[0]));
  }
}

}  // namespace

TEST_MAIN()
