/// @file
/// The model folder in which a fuzz target spoils one file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "model_folder.hpp"
#include "revector/cross_encoder.hpp"
#include "revector/encoder.hpp"
#include "revector/errors.hpp"

/// Small, so that an input takes microseconds.
inline const ModelShape fuzz_shape{7, 4, 1, 2, 3, 9, 2};

/// Tensors of every family at once, with their classification heads: model_type may name any of them.
inline Tensors tensors_of_all_families() {
  Tensors all;
  for (const char* family : {"bert", "roberta", "mpnet", "distilbert"})
    for (auto& [name, tensor] : model_tensors(family, fuzz_shape)) all[name] = tensor;
  for (const char* name : {"pooler.dense", "classifier.dense", "pre_classifier"}) {
    all[std::string(name) + ".weight"] = random_tensor({4, 4}, 90);
    all[std::string(name) + ".bias"] = random_tensor({4}, 91);
  }
  for (const char* name : {"classifier", "classifier.out_proj"}) {
    all[std::string(name) + ".weight"] = random_tensor({2, 4}, 92);
    all[std::string(name) + ".bias"] = random_tensor({2}, 93);
  }
  return all;
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Load a folder as an encoder and as a cross-encoder and run what can be loaded. Only the core's own errors may come.
inline void load_and_run(const TemporaryFolder& folder) {
  const std::vector<std::int32_t> ids = {1, 5, 1};
  try {
    const revector::Encoder encoder = revector::Encoder::load(folder.path());
    const std::size_t limit = encoder.info().max_length == 0 ? 3 : encoder.info().max_length;
    const std::vector<std::int64_t> offsets = {0, static_cast<std::int64_t>(std::min<std::size_t>(limit, 3))};
    std::vector<float> out(encoder.info().dimension);
    encoder.encode({ids.data(), static_cast<std::size_t>(offsets[1])}, offsets, {out.data(), 1, out.size()}, {});
  } catch (const revector::Error&) {
  }
  try {
    const revector::CrossEncoder encoder = revector::CrossEncoder::load(folder.path());
    std::vector<float> out(encoder.info().labels);
    encoder.score({ids.data(), 1}, std::vector<std::int64_t>{0, 1}, {}, {out.data(), 1, out.size()});
  } catch (const revector::Error&) {
  }
}
