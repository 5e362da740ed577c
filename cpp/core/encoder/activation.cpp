#include "core/encoder/activation.hpp"

#include <cmath>
#include <span>
#include <string>

#include "core/kernels.hpp"

namespace revector {
namespace {

struct Named {
  const char* name;
  Activation function;
};

void leave(float* /*x*/, std::size_t /*n*/) {}

void apply_sigmoid(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = 1.0F / (1.0F + std::exp(-x[i]));
}

void apply_silu(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] /= 1.0F + std::exp(-x[i]);
}

void apply_leaky_relu(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = x[i] < 0 ? 0.01F * x[i] : x[i];  // NaN passes
}

/// log(1 + e^x), written so that nothing overflows
void apply_softplus(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = std::log1p(std::exp(-std::abs(x[i]))) + (x[i] < 0 ? 0.0F : x[i]);
}

void apply_elu(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = x[i] < 0 ? std::expm1(x[i]) : x[i];
}

/// @throws EncoderError with the names of all that are known
Activation find(const Fields& config, const char* field, const std::string& name, std::span<const Named> known) {
  std::string supported;
  for (const Named& row : known) {
    if (name == row.name) return row.function;
    supported.append(supported.empty() ? "one of " : ", ").append(row.name);
  }
  config.refuse_unsupported(field, supported);
}

}  // namespace

Activation feed_forward_activation(const Fields& config, const char* field) {
  const kernels::NnKernels& nn = kernels::table().nn;
  const Named known[] = {{"gelu", nn.gelu},
                         {"gelu_python", nn.gelu},
                         {"gelu_new", nn.gelu_tanh},
                         {"gelu_fast", nn.gelu_tanh},
                         {"gelu_accurate", nn.gelu_tanh},
                         {"gelu_pytorch_tanh", nn.gelu_tanh},
                         {"gelu_python_tanh", nn.gelu_tanh},
                         {"relu", nn.relu}};
  return find(config, field, config.string_or(field, "gelu"), known);
}

Activation coarse(Activation function) {
  const kernels::NnKernels& nn = kernels::table().nn;
  return function == nn.gelu ? nn.gelu_coarse : function;
}

Activation dense_activation(const Fields& config, const char* field) {
  const kernels::NnKernels& nn = kernels::table().nn;
  const Named known[] = {{"torch.nn.modules.activation.Tanh", apply_tanh},
                         {"torch.nn.modules.linear.Identity", leave},
                         {"torch.nn.modules.activation.ReLU", nn.relu},
                         {"torch.nn.modules.activation.GELU", nn.gelu},
                         {"torch.nn.modules.activation.Sigmoid", apply_sigmoid},
                         {"torch.nn.modules.activation.SiLU", apply_silu},
                         {"torch.nn.modules.activation.LeakyReLU", apply_leaky_relu},
                         {"torch.nn.modules.activation.Softplus", apply_softplus},
                         {"torch.nn.modules.activation.ELU", apply_elu}};
  return find(config, field, config.string_or(field, known[0].name), known);
}

void apply_tanh(float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
}

}  // namespace revector
