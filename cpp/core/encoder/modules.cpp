#include "core/encoder/modules.hpp"

#include <filesystem>

#include "core/encoder/fields.hpp"

namespace revector {
namespace {

using nlohmann::json;

std::string join(const std::string& folder, const std::string& path) {
  return path.empty() || path == "." ? folder : (std::filesystem::path(folder) / path).string();
}

/// "sentence_transformers.models.Pooling" and its later homes all end in "Pooling".
std::string last_word(const std::string& type) { return type.substr(type.rfind('.') + 1); }

/// Newer files have one field "pooling_mode"; older ones a flag for each mode, any number of them set.
Pooling pooling_of(const Fields& fields) {
  constexpr const char* supported = "mean or cls";
  if (fields.has("pooling_mode")) {
    const std::string shown = fields.shown("pooling_mode");
    if (shown == "\"mean\"" || shown == "[\"mean\"]") return Pooling::mean;
    if (shown == "\"cls\"" || shown == "[\"cls\"]") return Pooling::cls;
    fields.refuse_unsupported("pooling_mode", supported);
  }
  for (const char* flag : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                           "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"})
    if (fields.flag_or(flag, false)) fields.refuse_unsupported(flag, supported);
  const bool cls = fields.flag_or("pooling_mode_cls_token", false);
  const bool mean = fields.flag_or("pooling_mode_mean_tokens", !cls);
  if (cls && mean) fields.refuse_unsupported("pooling_mode_cls_token", "one of mean and cls");
  if (!cls && !mean) fields.refuse_unsupported("pooling_mode_mean_tokens", supported);
  return cls ? Pooling::cls : Pooling::mean;
}

Pooling read_pooling(const std::string& folder) {
  const Fields fields = Fields::read(folder + "/config.json");
  if (!fields.flag_or("include_prompt", true)) fields.refuse_unsupported("include_prompt", "true");
  return pooling_of(fields);
}

void read_module(const Fields& module, const std::string& folder, Modules& found) {
  const std::string type = last_word(module.string_or("type", ""));
  const std::string path = join(folder, module.string_or("path", ""));
  if (type == "Transformer" || type == "StaticEmbedding")
    found.transformer = path;
  else if (type == "Pooling")
    found.pooling = read_pooling(path);
  else if (type == "Normalize")
    found.normalized = true;
  else
    module.refuse_unsupported("type", "Transformer, StaticEmbedding, Pooling and Normalize");
}

}  // namespace

Modules read_modules(const std::string& folder) {
  if (!std::filesystem::is_directory(folder))
    throw EncoderError(folder +
                       " is not a folder, expected one with config.json, model.safetensors and tokenizer.json");
  Modules found;
  found.transformer = folder;
  const std::string path = folder + "/modules.json";
  if (file_exists(path)) {
    const json modules = read_json(path);
    if (!modules.is_array() || modules.empty()) throw EncoderError(path + " is not a list of modules");
    for (const json& module : modules) read_module(Fields(path, module), folder, found);
  }
  if (const auto limits = Fields::read_if_there(found.transformer + "/sentence_bert_config.json"))
    found.max_seq_length = limits->size_or("max_seq_length", 0);
  return found;
}

}  // namespace revector
