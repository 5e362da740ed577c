/// @file
/// Which channels of a transformer's states are too large for eight bits.
#pragma once

#include <cstdint>
#include <vector>

#include "core/encoder/transformer.hpp"

namespace revector {

/// Trained transformers carry a few channels far beyond all others, most of all at special tokens (Dettmers et al.,
/// LLM.int8(), 2022), and one step size for a row then leaves the others a few steps. They stay in float32: for each
/// product of each layer the channels that are largest when `transformer`, in float32, reads tokens of its whole
/// vocabulary. No text and no tokeniser is needed, and the choice is a function of the weights alone.
std::vector<ChannelsOfLayer> outlier_channels(const Transformer& transformer);

}  // namespace revector
