/// @file
/// The pipeline of a sentence-transformers folder: which modules follow one another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "revector/encoder.hpp"

namespace revector {

/// A module behind the pooling.
struct Step {
  enum class Kind { dense, normalize } kind;
  std::string folder;  ///< of a dense one
};

/// What modules.json and the files it leads to say.
struct Modules {
  std::string path;         ///< of modules.json, or of where it would be
  std::string transformer;  ///< folder of config.json and weights
  std::vector<Pooling> pooling = {Pooling::mean};
  bool pools = true;  ///< false: the transformer's states leave it as they are, as in a cross-encoder
  std::vector<Step> steps;
  std::size_t max_length = 0;  ///< as sentence-transformers and the tokeniser want it; 0 if they say nothing

  /// The longest text of a model that itself takes `longest` tokens.
  std::size_t limit(std::size_t longest) const { return max_length ? std::min(max_length, longest) : longest; }
  /// Whether the rows leave the last module as unit rows.
  bool normalized() const { return !steps.empty() && steps.back().kind == Step::Kind::normalize; }
};

/// Read the modules of a folder; one without modules.json is a transformer under mean pooling, as
/// sentence-transformers has it.
/// @throws EncoderError on malformed files, on modules or poolings that are not supported, and unless there is one
///         transformer first, one pooling at most behind it, and the other modules behind that
Modules read_modules(const std::string& folder);

}  // namespace revector
