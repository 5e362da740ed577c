/// @file
/// Files of a model folder.
#pragma once

#include <string>

#include "core/mapped_file.hpp"
#include "revector/errors.hpp"

namespace revector {

/// Map a file of a model folder. @throws EncoderError
inline MappedFile map_model_file(const std::string& path) {
  try {
    return MappedFile(path);
  } catch (const IoError& error) {
    throw EncoderError(error.what());
  }
}

}  // namespace revector
