#include "core/encoder/weights.hpp"

namespace revector {
namespace {

void append(std::vector<float>& to, const std::vector<float>& from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

Linear Weights::linear(const std::vector<std::string>& names, std::size_t out, std::size_t in) const {
  std::vector<float> weight, bias;
  for (const std::string& name : names) {
    append(weight, matrix(name + ".weight", out, in));
    append(bias, file_.floats(prefix_ + name + ".bias", {out}));
  }
  return {PackedMatrix::from_transposed({weight.data(), names.size() * out, in}), std::move(bias)};
}

LayerNorm Weights::layer_norm(const std::string& name, std::size_t n, float epsilon) const {
  const bool old_names = file_.contains(prefix_ + name + ".gamma");
  return {file_.floats(prefix_ + name + (old_names ? ".gamma" : ".weight"), {n}),
          file_.floats(prefix_ + name + (old_names ? ".beta" : ".bias"), {n}), epsilon};
}

}  // namespace revector
