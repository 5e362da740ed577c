/// @file
/// Activation functions by the names that configurations give them.
#pragma once

#include <cstddef>

#include "core/encoder/fields.hpp"

namespace revector {

/// Applied in place to n elements.
using Activation = void (*)(float* x, std::size_t n);

/// What transformers calls ACT2FN[name], for the feed-forward network; "gelu" where the field is absent.
/// @throws EncoderError naming the field if the function is not supported
Activation feed_forward_activation(const Fields& config, const char* field);

/// The cheaper function that is as good where states are rounded to 8 bits of mantissa behind it, if there is one.
Activation coarse(Activation function);

/// What torch.nn calls by a path like "torch.nn.modules.activation.Tanh", for a Dense module; Tanh where the field is
/// absent. @throws EncoderError naming the field if the function is not supported
Activation dense_activation(const Fields& config, const char* field);

/// The hyperbolic tangent of each element: small vectors only, one element at a time.
void apply_tanh(float* x, std::size_t n);

}  // namespace revector
