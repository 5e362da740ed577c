#include "revector/procrustes.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/checks.hpp"
#include "core/kernels.hpp"
#include "core/packed_matrix.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"

namespace revector {
namespace {

/// out[n x b.cols] = x B + bias, rows scaled to unit length on request; errors call x by its name.
void apply(const PackedMatrix& b, const std::vector<float>& bias, MatrixView<const float> x, MatrixView<float> out,
           bool renormalize, const char* name) {
  require_equal(x.cols(), b.rows(), std::string("columns of ") + name);
  require_shape(out, x.rows(), b.cols(), "out");
  parallel_for(x.rows(), 128, [&](std::size_t begin, std::size_t end) {
    const MatrixView<float> piece = out.slice(begin, end);
    Operand rows(b.format(), piece.rows(), x.cols());
    rows.assign(x.slice(begin, end));
    b.multiply(rows, bias.data(), piece);
    for (std::size_t i = 0; i < piece.rows(); ++i) {
      // A product is finite exactly if its row of x was, short of overflow; so the check costs no pass of its own.
      const bool is_finite = renormalize
                                 ? normalize_row(kernels::table().rows, piece.row(i), piece.row(i), piece.cols())
                                 : finite_row(piece.row(i), piece.cols());
      if (!is_finite) require_finite(x, name);
      if (!is_finite)
        throw NumericalError("row " + std::to_string(begin + i) + " of " + name + " overflows float32 when mapped");
    }
  });
}

/// offset - scale * (mean W): what is added to a row after the product.
std::vector<float> bias_of(const std::vector<float>& mean, const PackedMatrix& scaled,
                           const std::vector<float>& offset) {
  std::vector<float> bias(offset.size());
  scaled.multiply({mean.data(), 1, mean.size()}, nullptr, {bias.data(), 1, bias.size()});
  std::transform(offset.begin(), offset.end(), bias.begin(), bias.begin(), std::minus<>());
  return bias;
}

std::vector<float> scaled_copy(MatrixView<const float> x, float factor) {
  std::vector<float> out(x.rows() * x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    kernels::table().rows.scale(x.row(i), factor, out.data() + i * x.cols(), x.cols());
  return out;
}

/// @throws InvalidArgument for int8
bool in_float32(Precision precision) {
  if (precision == Precision::int8)
    throw InvalidArgument("precision is int8, which is too coarse for mapped rows, expected float32 or bfloat16");
  return precision == Precision::float32;
}

}  // namespace

struct ProcrustesMap::Impl {
  PackedMatrix forward_in(Precision precision) const {
    const std::vector<float> scaled = scaled_copy(view(), scale);
    return PackedMatrix::from_rows({scaled.data(), mean_old.size(), mean_new.size()}, precision);
  }
  PackedMatrix backward_in(Precision precision) const {
    const std::vector<float> scaled = scaled_copy(view(), 1 / scale);
    return PackedMatrix::from_transposed({scaled.data(), mean_old.size(), mean_new.size()}, precision);
  }
  MatrixView<const float> view() const { return {rotation.data(), mean_old.size(), mean_new.size()}; }

  std::vector<float> rotation, mean_old, mean_new;
  float scale;
  ProcrustesDiagnostics diagnostics;
  PackedMatrix forward, backward;  // scale * W and W^T / scale in float32
  std::vector<float> forward_bias, backward_bias;
};

ProcrustesMap::ProcrustesMap(MatrixView<const float> rotation, std::vector<float> mean_old, std::vector<float> mean_new,
                             float scale, ProcrustesDiagnostics diagnostics)
    : impl_(std::make_unique<Impl>()) {
  require_equal(mean_old.size(), rotation.rows(), "length of mean_old");
  require_equal(mean_new.size(), rotation.cols(), "length of mean_new");
  require_finite(rotation, "rotation");
  require_finite({mean_old.data(), 1, mean_old.size()}, "mean_old");
  require_finite({mean_new.data(), 1, mean_new.size()}, "mean_new");
  if (!(std::isfinite(scale) && scale > 0))
    throw NumericalError("scale is " + std::to_string(scale) + ", expected a positive number");
  Impl& map = *impl_;
  map.rotation = scaled_copy(rotation, 1);
  map.scale = scale;
  map.diagnostics = diagnostics;
  map.mean_old = std::move(mean_old);
  map.mean_new = std::move(mean_new);
  map.forward = map.forward_in(Precision::float32);
  map.backward = map.backward_in(Precision::float32);
  map.forward_bias = bias_of(map.mean_old, map.forward, map.mean_new);
  map.backward_bias = bias_of(map.mean_new, map.backward, map.mean_old);
}

ProcrustesMap::~ProcrustesMap() = default;
ProcrustesMap::ProcrustesMap(ProcrustesMap&&) noexcept = default;
ProcrustesMap& ProcrustesMap::operator=(ProcrustesMap&&) noexcept = default;

void ProcrustesMap::transform(MatrixView<const float> x, MatrixView<float> out, bool renormalize,
                              Precision precision) const {
  if (in_float32(precision))
    apply(impl_->forward, impl_->forward_bias, x, out, renormalize, "x");
  else
    apply(impl_->forward_in(precision), impl_->forward_bias, x, out, renormalize, "x");
}

void ProcrustesMap::inverse_transform(MatrixView<const float> y, MatrixView<float> out, bool renormalize,
                                      Precision precision) const {
  if (in_float32(precision))
    apply(impl_->backward, impl_->backward_bias, y, out, renormalize, "y");
  else
    apply(impl_->backward_in(precision), impl_->backward_bias, y, out, renormalize, "y");
}

std::size_t ProcrustesMap::d_old() const { return impl_->mean_old.size(); }
std::size_t ProcrustesMap::d_new() const { return impl_->mean_new.size(); }
MatrixView<const float> ProcrustesMap::rotation() const { return impl_->view(); }
const std::vector<float>& ProcrustesMap::mean_old() const { return impl_->mean_old; }
const std::vector<float>& ProcrustesMap::mean_new() const { return impl_->mean_new; }
float ProcrustesMap::scale() const { return impl_->scale; }
const ProcrustesDiagnostics& ProcrustesMap::diagnostics() const { return impl_->diagnostics; }

}  // namespace revector
