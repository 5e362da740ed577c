#include "core/encoder/pooling.hpp"

#include <algorithm>
#include <cmath>

namespace revector {
namespace {

/// out = factor * sum of weight(i) * states[i]
template <class Weight>
void add_up(const kernels::RowKernels& rows, MatrixView<const float> states, Weight weight, double factor, float* out) {
  for (std::size_t i = 0; i < states.rows(); ++i) rows.add_scaled(states.row(i), weight(i), out, states.cols());
  rows.scale(out, static_cast<float>(factor), out, states.cols());
}

void largest(MatrixView<const float> states, float* out) {
  std::copy(states.row(0), states.row(0) + states.cols(), out);
  for (std::size_t i = 1; i < states.rows(); ++i)
    for (std::size_t j = 0; j < states.cols(); ++j) out[j] = std::max(states.row(i)[j], out[j]);  // NaN passes
}

}  // namespace

const char* pooling_name(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean:
      return "mean";
    case Pooling::cls:
      return "cls";
    case Pooling::max:
      return "max";
    case Pooling::mean_sqrt_len_tokens:
      return "mean_sqrt_len_tokens";
    case Pooling::weightedmean:
      return "weightedmean";
    case Pooling::lasttoken:
      return "lasttoken";
  }
  return "unknown";
}

std::string pooling_name(const std::vector<Pooling>& pooling) {
  std::string names;
  for (Pooling part : pooling) names.append(names.empty() ? "" : "+").append(pooling_name(part));
  return names;
}

void pool(const kernels::RowKernels& rows, Pooling pooling, MatrixView<const float> all, float* out,
          std::size_t skipped) {
  const std::size_t d = all.cols(), first = std::min(skipped, all.rows());
  std::fill(out, out + d, 0.0F);
  if (all.rows() == 0) return;
  const bool one_state = pooling == Pooling::cls || pooling == Pooling::lasttoken;
  if (first == all.rows() && !one_state) return;
  const MatrixView<const float> states = all.slice(first, all.rows());
  const auto n = static_cast<double>(states.rows()), before = static_cast<double>(first);
  const auto one = [](std::size_t) { return 1.0F; };
  switch (pooling) {
    case Pooling::mean:
      return add_up(rows, states, one, 1 / n, out);
    case Pooling::mean_sqrt_len_tokens:
      return add_up(rows, states, one, 1 / std::sqrt(n), out);
    case Pooling::weightedmean:  // a token has the weight of its place in the whole text
      return add_up(
          rows, states, [first](std::size_t i) { return static_cast<float>(first + i + 1); },
          2 / (n * (n + 1 + 2 * before)), out);
    case Pooling::cls:
      return void(std::copy_n(all.row(first < all.rows() ? first : 0), d, out));
    case Pooling::lasttoken:
      return void(std::copy_n(all.row(all.rows() - 1), d, out));
    case Pooling::max:
      return largest(states, out);
  }
}

}  // namespace revector
