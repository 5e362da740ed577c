/// @file
/// The tensors of a model, in one safetensors file or in shards.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/encoder/safetensors.hpp"

namespace revector {

/// Everything that model.safetensors, or the shards that model.safetensors.index.json lists, hold. Immutable; may be
/// read from several threads.
class Checkpoint {
 public:
  /// @throws EncoderError if the folder has no weights, has them in another format, or if they are malformed: an index
  ///         that is not JSON or names a path outside the folder, a shard that is missing or lacks what the index
  ///         promises of it, and whatever SafetensorsFile refuses
  explicit Checkpoint(const std::string& folder);

  /// model.safetensors or its index, for messages.
  const std::string& path() const { return path_; }
  /// Every file that was read, path() first.
  std::vector<std::string> files() const;

  bool contains(const std::string& name) const;
  /// The file that holds a tensor. @throws EncoderError if none does
  const SafetensorsFile& file_of(const std::string& name) const;

  const TensorEntry& at(const std::string& name) const { return file_of(name).at(name); }
  std::vector<float> floats(const std::string& name, const Shape& shape) const {
    return file_of(name).floats(name, shape);
  }
  std::vector<std::int64_t> integers(const std::string& name, const Shape& shape) const {
    return file_of(name).integers(name, shape);
  }

 private:
  void read_index(const std::string& folder);
  const SafetensorsFile& open_shard(const std::string& folder, const std::string& name);

  std::string path_;
  std::map<std::string, std::unique_ptr<SafetensorsFile>> shards_;  // by name of the file
  std::map<std::string, const SafetensorsFile*> homes_;             // by name of the tensor; empty: one file
};

}  // namespace revector
