/// @file
/// Transformers in a number format, and what is measured for it.
#pragma once

#include "core/encoder/transformer.hpp"

namespace revector {

/// A transformer whose products are of this precision.
///
/// For int8 it is measured first. Trained transformers carry a few channels far beyond all others, most of all at
/// special tokens (Dettmers et al., LLM.int8(), 2022), and one step size for a row then leaves the others a few steps.
/// They stay in float32: for each product of each layer the channels that are largest when the transformer, in float32,
/// reads tokens of its whole vocabulary. No text and no tokeniser is needed, and the choice is a function of the
/// weights alone.
/// @param parts  its checkpoint is needed no longer once the transformer stands
/// @throws EncoderError naming a layer's tensor that is missing or of another shape
Transformer make_transformer(TransformerParts parts, Precision precision);

}  // namespace revector
