#include "core/encoder/modules.hpp"

#include <algorithm>
#include <filesystem>

#include "core/encoder/fields.hpp"

namespace revector {
namespace {

using nlohmann::json;

struct Mode {
  Pooling pooling;
  const char* flag;  // in older files
};
/// In the order in which the vectors of several flags stand beside one another.
constexpr Mode modes[] = {{Pooling::cls, "pooling_mode_cls_token"},
                          {Pooling::max, "pooling_mode_max_tokens"},
                          {Pooling::mean, "pooling_mode_mean_tokens"},
                          {Pooling::mean_sqrt_len_tokens, "pooling_mode_mean_sqrt_len_tokens"},
                          {Pooling::weightedmean, "pooling_mode_weightedmean_tokens"},
                          {Pooling::lasttoken, "pooling_mode_lasttoken"}};

/// What names the longest text is the first of these that is there.
constexpr const char* limits_names[] = {"sentence_bert_config.json", "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_xlm-roberta_config.json"};

/// Where a module of this path lies. @throws EncoderError if it leads out of the model's folder
std::string join(const Fields& module, const std::string& folder) {
  const std::filesystem::path path(module.string_or("path", ""));
  if (path.empty() || path == ".") return folder;
  if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
    module.refuse("path", "a folder inside that of the model");
  return (std::filesystem::path(folder) / path).string();
}

/// "sentence_transformers.models.Pooling" and its later homes all end in "Pooling".
std::string last_word(const std::string& type) { return type.substr(type.rfind('.') + 1); }

Pooling pooling_called(const Fields& fields, const std::string& name) {
  for (const Mode& mode : modes)
    if (name == pooling_name(mode.pooling)) return mode.pooling;
  fields.refuse_unsupported("pooling_mode", "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken");
}

/// The field "pooling_mode" of newer files: a name, or a list of them in the order of their vectors.
std::vector<Pooling> named_poolings(const Fields& fields) {
  std::vector<Pooling> found;
  for (const std::string& name : fields.strings("pooling_mode")) found.push_back(pooling_called(fields, name));
  if (found.empty() || found.size() > std::size(modes))
    fields.refuse("pooling_mode", "one to " + std::to_string(std::size(modes)) + " poolings");
  return found;
}

/// Older files have a flag for each mode, any number of them set.
std::vector<Pooling> flagged_poolings(const Fields& fields) {
  std::vector<Pooling> found;
  for (const Mode& mode : modes)
    if (fields.flag_or(mode.flag, false)) found.push_back(mode.pooling);
  if (found.empty()) found.push_back(Pooling::mean);
  return found;
}

std::vector<Pooling> read_pooling(const std::string& folder) {
  const Fields fields = Fields::read(folder + "/config.json");
  fields.flag_or("include_prompt", true);  // of the right type; whoever puts a prompt says what is not pooled
  return fields.has("pooling_mode") ? named_poolings(fields) : flagged_poolings(fields);
}

/// Reads modules in their order: a transformer and its pooling, or a static embedding, then steps on the pooled rows.
class Pipeline {
 public:
  explicit Pipeline(std::string folder) : folder_(std::move(folder)) { found_.transformer = folder_; }

  void add(const Fields& module) {
    const std::string type = last_word(module.string_or("type", ""));
    const bool embeds = type == "Transformer" || type == "StaticEmbedding";
    if (embeds != (next_ == Next::embedding))
      module.refuse_order("type", embeds ? "no second Transformer or StaticEmbedding"
                                         : "Transformer or StaticEmbedding as the first module");
    if ((type == "Pooling") != (next_ == Next::pooling) && !embeds)
      module.refuse_order("type", "exactly one Pooling, right behind the Transformer");
    add(type, module);
  }

  Modules finish() {
    found_.pools = next_ != Next::pooling;
    return std::move(found_);
  }

 private:
  enum class Next { embedding, pooling, step };

  void add(const std::string& type, const Fields& module) {
    const std::string path = join(module, folder_);
    if (next_ == Next::embedding) {
      found_.transformer = path;
      next_ = type == "Transformer" ? Next::pooling : Next::step;
    } else if (next_ == Next::pooling) {
      found_.pooling = read_pooling(path);
      next_ = Next::step;
    } else if (type == "Dense" || type == "Normalize") {
      found_.steps.push_back({type == "Dense" ? Step::Kind::dense : Step::Kind::normalize, path});
    } else if (type != "Dropout") {  // which does nothing but in training
      module.refuse_unsupported("type", "Transformer, StaticEmbedding, Pooling, Dense, Normalize or Dropout");
    }
  }

  std::string folder_;
  Next next_ = Next::embedding;
  Modules found_;
};

/// sentence-transformers' own limit goes before the tokeniser's.
std::size_t read_max_length(const std::string& transformer) {
  for (const char* name : limits_names)
    if (const auto limits = Fields::read_if_there(transformer + "/" + name)) {
      if (limits->has("max_seq_length")) return limits->size("max_seq_length");
      break;
    }
  const auto tokenizer = Fields::read_if_there(transformer + "/tokenizer_config.json");
  if (!tokenizer || !(tokenizer->number_or("model_max_length", 1e30) < 1e9)) return 0;  // 1e30 stands for none
  return tokenizer->size("model_max_length");
}

}  // namespace

Modules read_modules(const std::string& folder) {
  if (!std::filesystem::is_directory(folder))
    throw EncoderError(folder +
                       " is not a folder, expected one with config.json, model.safetensors and tokenizer.json");
  const std::string path = folder + "/modules.json";
  Modules found;
  found.transformer = folder;
  if (file_exists(path)) {
    const json modules = read_json(path);
    if (!modules.is_array() || modules.empty()) throw EncoderError(path + " is not a list of modules");
    Pipeline pipeline(folder);
    for (const json& module : modules) pipeline.add(Fields(path, module));
    found = pipeline.finish();
  }
  found.path = path;
  found.max_length = read_max_length(found.transformer);
  return found;
}

}  // namespace revector
