#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/checks.hpp"
#include "core/lapack.hpp"
#include "core/procrustes/moments.hpp"
#include "core/procrustes/polar.hpp"
#include "revector/procrustes.hpp"

namespace revector {
namespace {

/// ||X W||_F^2 = tr(W^T (X^T X) W)
double mapped_squares(const std::vector<double>& gram, const std::vector<double>& w, std::size_t d_old,
                      std::size_t d_new) {
  const std::vector<double> half = product({gram, d_old, d_old}, {w, d_old, d_new});
  return std::inner_product(half.begin(), half.end(), w.begin(), 0.0);
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
  const Polar found = polar(pairs.cross(center), d_old, d_new);
  const std::vector<float> w(found.factor.begin(), found.factor.end());

  const double trace = std::accumulate(found.singular_values.begin(), found.singular_values.end(), 0.0);
  const double mapped =
      d_old > d_new ? mapped_squares(pairs.gram(center), found.factor, d_old, d_new) : pairs.squares_x(center);
  if (!(trace > 0) || !(mapped > 0))
    throw NumericalError("old and new rows are uncorrelated, so no rotation can be fitted; check that they are paired");
  const double factor = scale ? trace / mapped : 1.0;

  ProcrustesDiagnostics diagnostics;
  diagnostics.n_pairs = pairs.count();
  const double squares = factor * factor * mapped - 2 * factor * trace + pairs.squares_y(center);
  diagnostics.residual = std::sqrt(std::max(squares, 0.0) / pairs.squares_y(center));
  describe_spectrum(found.singular_values, std::max(d_old, d_new), diagnostics);
  return {{w.data(), d_old, d_new},
          center ? pairs.mean_x() : std::vector<float>(d_old),
          center ? pairs.mean_y() : std::vector<float>(d_new),
          static_cast<float>(factor),
          diagnostics};
}

}  // namespace revector
