#include "core/encoder/checkpoint.hpp"

#include "core/encoder/fields.hpp"

namespace revector {
namespace {

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

[[noreturn]] void throw_no_weights(const std::string& folder) {
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "onnx/model.onnx"})
    if (file_exists(folder + "/" + other))
      throw EncoderError(folder + " has its weights in " + other + ", which is not supported (model.safetensors is)" +
                         way_out);
  throw EncoderError(folder + "/" + single_name + " is missing; " + folder +
                     " is not the folder of a model, or not all of it");
}

/// Only plain names: an index must not lead out of its folder.
void require_plain_name(const std::string& index, const std::string& tensor, const std::string& file) {
  if (file.empty() || file == "." || file == ".." || file.find_first_of(std::string("/\\\0", 3)) != std::string::npos)
    throw EncoderError(index + ": tensor '" + tensor + "' is said to be in \"" + file +
                       "\", expected the name of a file in the same folder");
}

}  // namespace

Checkpoint::Checkpoint(const std::string& folder) : path_(folder + "/" + single_name) {
  if (file_exists(path_))
    open_shard(folder, single_name);
  else if (file_exists(folder + "/" + index_name))
    read_index(folder);
  else
    throw_no_weights(folder);
}

void Checkpoint::read_index(const std::string& folder) {
  path_ = folder + "/" + index_name;
  const nlohmann::json index = Fields::read(path_).object("weight_map");
  if (index.empty()) throw EncoderError(path_ + ": weight_map is empty, expected the file of each tensor");
  for (const auto& [tensor, file] : index.items()) {
    if (!file.is_string())
      throw EncoderError(path_ + ": tensor '" + tensor + "' is said to be in " + shown_json(file) +
                         ", expected the name of a file");
    const SafetensorsFile& shard = open_shard(folder, file.get<std::string>());
    if (!shard.contains(tensor))
      throw EncoderError(shard.path() + " has no tensor '" + tensor + "', which " + index_name +
                         " says it has; copy or download the model again");
    homes_.emplace(tensor, &shard);
  }
}

const SafetensorsFile& Checkpoint::open_shard(const std::string& folder, const std::string& name) {
  require_plain_name(path_, "*", name);
  std::unique_ptr<SafetensorsFile>& shard = shards_[name];
  if (shard == nullptr) {
    if (!file_exists(folder + "/" + name))
      throw EncoderError(folder + "/" + name + " is missing, which " + path_ +
                         " names as a shard; copy or download the model again");
    shard = std::make_unique<SafetensorsFile>(folder + "/" + name);
  }
  return *shard;
}

std::vector<std::string> Checkpoint::files() const {
  std::vector<std::string> found = {path_};
  for (const auto& [name, shard] : shards_)
    if (shard->path() != path_) found.push_back(shard->path());
  return found;
}

bool Checkpoint::contains(const std::string& name) const {
  return homes_.empty() ? shards_.begin()->second->contains(name) : homes_.count(name) != 0;
}

const SafetensorsFile& Checkpoint::file_of(const std::string& name) const {
  if (homes_.empty()) return *shards_.begin()->second;  // which says itself what it lacks
  const auto home = homes_.find(name);
  if (home == homes_.end())
    throw EncoderError(path_ + " names no shard for tensor '" + name + "', which config.json calls for");
  return *home->second;
}

}  // namespace revector
