#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/checks.hpp"
#include "core/lapack.hpp"
#include "core/procrustes/moments.hpp"
#include "core/thread_pool.hpp"
#include "revector/procrustes.hpp"

namespace revector {
namespace {

/// W = U Vt as float32, [rows x cols].
std::vector<float> polar_factor(const Svd& svd, std::size_t rows, std::size_t cols) {
  const std::size_t rank = svd.s.size();
  std::vector<float> w(rows * cols);
  parallel_for(rows, 16, [&](std::size_t begin, std::size_t end) {
    std::vector<double> row(cols);
    for (std::size_t i = begin; i < end; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      for (std::size_t l = 0; l < rank; ++l)
        for (std::size_t j = 0; j < cols; ++j) row[j] += svd.u[i * rank + l] * svd.vt[l * cols + j];
      for (std::size_t j = 0; j < cols; ++j) w[i * cols + j] = static_cast<float>(row[j]);
    }
  });
  return w;
}

/// ||X W||_F^2 = tr(W^T (X^T X) W)
double mapped_squares(const std::vector<double>& gram, const std::vector<float>& w, std::size_t d_old,
                      std::size_t d_new) {
  double total = 0;
  std::vector<double> row(d_new);
  for (std::size_t i = 0; i < d_old; ++i) {
    std::fill(row.begin(), row.end(), 0.0);
    for (std::size_t l = 0; l < d_old; ++l)
      for (std::size_t j = 0; j < d_new; ++j) row[j] += gram[i * d_old + l] * w[l * d_new + j];
    for (std::size_t j = 0; j < d_new; ++j) total += row[j] * w[i * d_new + j];
  }
  return total;
}

void describe_spectrum(const std::vector<double>& s, std::size_t dimension, ProcrustesDiagnostics& out) {
  const double total = std::accumulate(s.begin(), s.end(), 0.0);
  double entropy = 0;
  for (double value : s)
    if (value > 0) entropy -= value / total * std::log(value / total);
  out.effective_rank = std::exp(entropy);
  const double negligible = static_cast<double>(dimension) * std::numeric_limits<float>::epsilon() * s.front();
  out.rank = static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [&](double v) { return v > negligible; }));
  out.condition = out.rank == s.size() ? s.front() / s.back() : std::numeric_limits<double>::infinity();
}

void require_solvable(const PairMoments& pairs, bool center) {
  const std::uint64_t least = center ? 2 : 1;
  if (pairs.count() < least)
    throw InvalidArgument("Procrustes has " + std::to_string(pairs.count()) + " pair(s), expected at least " +
                          std::to_string(least) + "; add pairs before solving");
  if (!(pairs.squares_x(center) > 0) || !(pairs.squares_y(center) > 0))
    throw NumericalError(std::string("the ") + (pairs.squares_x(center) > 0 ? "new" : "old") +
                         " rows do not vary, so no rotation can be fitted; give pairs of different texts");
}

}  // namespace

struct ProcrustesAccumulator::Impl {
  PairMoments pairs;
};

ProcrustesAccumulator::ProcrustesAccumulator(std::size_t d_old, std::size_t d_new) {
  if (d_old == 0 || d_new == 0)
    throw InvalidArgument("dimensions are " + std::to_string(d_old) + " and " + std::to_string(d_new) +
                          ", expected at least 1");
  impl_ = std::make_unique<Impl>(PairMoments(d_old, d_new));
}

ProcrustesAccumulator::~ProcrustesAccumulator() = default;
ProcrustesAccumulator::ProcrustesAccumulator(ProcrustesAccumulator&&) noexcept = default;
ProcrustesAccumulator& ProcrustesAccumulator::operator=(ProcrustesAccumulator&&) noexcept = default;
std::uint64_t ProcrustesAccumulator::n_pairs() const { return impl_->pairs.count(); }

void ProcrustesAccumulator::add(MatrixView<const float> old_rows, MatrixView<const float> new_rows) {
  require_equal(old_rows.cols(), impl_->pairs.d_x(), "columns of old");
  require_shape(new_rows, old_rows.rows(), impl_->pairs.d_y(), "new");
  require_finite(old_rows, "old");
  require_finite(new_rows, "new");
  impl_->pairs.add(old_rows, new_rows);
}

ProcrustesMap ProcrustesAccumulator::solve(bool center, bool scale) const {
  const PairMoments& pairs = impl_->pairs;
  require_solvable(pairs, center);
  const std::size_t d_old = pairs.d_x(), d_new = pairs.d_y();
  std::vector<double> cross = pairs.cross(center);
  const Svd decomposition = svd(cross, d_old, d_new);
  const std::vector<float> w = polar_factor(decomposition, d_old, d_new);

  const double trace = std::accumulate(decomposition.s.begin(), decomposition.s.end(), 0.0);
  const double mapped = d_old > d_new ? mapped_squares(pairs.gram(center), w, d_old, d_new) : pairs.squares_x(center);
  if (!(trace > 0) || !(mapped > 0))
    throw NumericalError("old and new rows are uncorrelated, so no rotation can be fitted; check that they are paired");
  const double factor = scale ? trace / mapped : 1.0;

  ProcrustesDiagnostics diagnostics;
  diagnostics.n_pairs = pairs.count();
  const double squares = factor * factor * mapped - 2 * factor * trace + pairs.squares_y(center);
  diagnostics.residual = std::sqrt(std::max(squares, 0.0) / pairs.squares_y(center));
  describe_spectrum(decomposition.s, std::max(d_old, d_new), diagnostics);
  return {{w.data(), d_old, d_new},
          center ? pairs.mean_x() : std::vector<float>(d_old),
          center ? pairs.mean_y() : std::vector<float>(d_new),
          static_cast<float>(factor),
          diagnostics};
}

}  // namespace revector
