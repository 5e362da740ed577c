#include "core/encoder/dense.hpp"

#include <algorithm>

#include "core/kernels.hpp"

namespace revector {
namespace {

constexpr const char* embedding = "sentence_embedding";

/// A Dense may also act on the states of tokens or fill a field of its own; that is another model.
void require_plain(const Fields& config) {
  for (const char* name : {"module_input_name", "module_output_name"})
    if (config.string_or(name, embedding) != embedding) config.refuse_unsupported(name, embedding);
}

std::size_t read_width(const Fields& config, const char* name) {
  const std::size_t width = config.size(name);
  if (width == 0) config.refuse(name, "at least 1");
  return width;
}

}  // namespace

Dense::Dense(const std::string& folder, std::size_t in) : in_(in) {
  const Fields config = Fields::read(folder + "/config.json");
  require_plain(config);
  if (read_width(config, "in_features") != in)
    config.refuse("in_features", std::to_string(in) + ", what the module before it yields");
  out_ = read_width(config, "out_features");
  activation_ = dense_activation(config, "activation_function");
  const Checkpoint checkpoint(folder);
  const Weights weights(checkpoint, "");
  linear_ = Linear(weights.linear({"linear"}, out_, in_, config.flag_or("bias", true) ? Bias::present : Bias::absent));
  residual_ = !config.flag_or("use_residual", false) ? Residual::none
              : in_ == out_                          ? Residual::identity
                                                     : Residual::projected;
  if (residual_ == Residual::projected) projection_ = Linear(weights.linear({"residual"}, out_, in_, Bias::absent));
  files_ = checkpoint.files();
  files_.push_back(config.where());
}

void Dense::apply(MatrixView<const float> x, MatrixView<float> y) const {
  linear_.apply(x, y);
  for (std::size_t i = 0; i < y.rows(); ++i) activation_(y.row(i), out_);
  if (residual_ == Residual::none) return;
  const kernels::RowKernels& rows = kernels::table().rows;
  std::vector<float> projected(residual_ == Residual::projected ? x.rows() * out_ : 0);
  const MatrixView<float> change(projected.data(), x.rows(), out_);
  if (residual_ == Residual::projected) projection_.apply(x, change);
  for (std::size_t i = 0; i < y.rows(); ++i)
    rows.add_scaled(residual_ == Residual::projected ? change.row(i) : x.row(i), 1.0F, y.row(i), out_);
}

}  // namespace revector
