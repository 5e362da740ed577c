/// @file
/// The pipeline of a sentence-transformers folder: which modules follow one another.
#pragma once

#include <cstddef>
#include <string>

#include "revector/encoder.hpp"

namespace revector {

/// What modules.json and the files it leads to say.
struct Modules {
  std::string transformer;  ///< folder of config.json and weights
  Pooling pooling = Pooling::mean;
  bool normalized = false;
  std::size_t max_seq_length = 0;  ///< from sentence_bert_config.json; 0 if it says nothing
};

/// Read the modules of a folder; one without modules.json is a transformer under mean pooling, as
/// sentence-transformers has it.
/// @throws EncoderError on malformed files and on modules or poolings that are not supported
Modules read_modules(const std::string& folder);

}  // namespace revector
