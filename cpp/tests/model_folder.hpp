/// @file
/// Model folders that the tests write themselves: tensors in memory, safetensors and JSON on disk.
#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

/// An empty folder, deleted with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "revector-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << content;
  }

 private:
  std::string path_;
};

struct Tensor {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;

inline std::size_t count(const std::vector<std::size_t>& shape) {
  std::size_t n = 1;
  for (std::size_t extent : shape) n *= extent;
  return n;
}

inline Tensor random_tensor(std::vector<std::size_t> shape, unsigned seed, float center = 0, float spread = 0.3F) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(center, spread);
  Tensor tensor{std::move(shape), {}};
  tensor.values.resize(count(tensor.shape));
  for (float& value : tensor.values) value = normal(engine);
  return tensor;
}

/// A file of the format from its header and its data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xFF));
  return bytes + header + data;
}

inline std::string safetensors_of(const Tensors& tensors) {
  nlohmann::json header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(header.dump(), data);
}

/// Sizes of a transformer, all of them odd: nothing may be wired to 384 or 12.
struct ModelShape {
  std::size_t vocabulary = 50, hidden = 39, layers = 2, heads = 3, intermediate = 70, positions = 40, types = 2;
};

/// The names that a family gives to its tensors.
struct FamilyNames {
  std::string prefix, layers, query, key, value, attention_output, attention_norm, up, down, output_norm;
  bool has_types;
};

inline FamilyNames names_of(const std::string& family) {
  if (family == "distilbert")
    return {"distilbert.",
            "transformer.layer.",
            "attention.q_lin",
            "attention.k_lin",
            "attention.v_lin",
            "attention.out_lin",
            "sa_layer_norm",
            "ffn.lin1",
            "ffn.lin2",
            "output_layer_norm",
            false};
  if (family == "mpnet")
    return {"mpnet.",
            "encoder.layer.",
            "attention.attn.q",
            "attention.attn.k",
            "attention.attn.v",
            "attention.attn.o",
            "attention.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm",
            false};
  return {family == "bert" ? "bert." : "roberta.",
          "encoder.layer.",
          "attention.self.query",
          "attention.self.key",
          "attention.self.value",
          "attention.output.dense",
          "attention.output.LayerNorm",
          "intermediate.dense",
          "output.dense",
          "output.LayerNorm",
          true};
}

inline nlohmann::json model_config(const std::string& family, const ModelShape& s) {
  nlohmann::json config = {
      {"model_type", family}, {"vocab_size", s.vocabulary}, {"max_position_embeddings", s.positions}};
  if (family == "distilbert") {
    config.update({{"dim", s.hidden}, {"n_layers", s.layers}, {"n_heads", s.heads}, {"hidden_dim", s.intermediate}});
    return config;
  }
  config.update({{"hidden_size", s.hidden},
                 {"num_hidden_layers", s.layers},
                 {"num_attention_heads", s.heads},
                 {"intermediate_size", s.intermediate},
                 {"hidden_act", "gelu"},
                 {"type_vocab_size", s.types},
                 {"layer_norm_eps", 1e-7}});
  return config;
}

inline Tensors model_tensors(const std::string& family, const ModelShape& s, const std::string& prefix = "") {
  const FamilyNames names = names_of(family);
  Tensors tensors;
  unsigned seed = 1;
  const auto add = [&](const std::string& name, std::vector<std::size_t> shape, float center = 0, float spread = 0.3F) {
    tensors[prefix + name] = random_tensor(std::move(shape), seed++, center, spread);
  };
  // A spread that keeps the states of wide models, and so what rounding does to them, as large as those of narrow ones.
  const auto add_linear = [&](const std::string& name, std::size_t out, std::size_t in) {
    add(name + ".weight", {out, in}, 0, 1.5F / std::sqrt(static_cast<float>(in)));
    add(name + ".bias", {out});
  };
  const auto add_norm = [&](const std::string& name) {
    add(name + ".weight", {s.hidden}, 1);
    add(name + ".bias", {s.hidden});
  };
  add("embeddings.word_embeddings.weight", {s.vocabulary, s.hidden});
  add("embeddings.position_embeddings.weight", {s.positions, s.hidden});
  if (names.has_types) add("embeddings.token_type_embeddings.weight", {s.types, s.hidden});
  add_norm("embeddings.LayerNorm");
  if (family == "mpnet") add("encoder.relative_attention_bias.weight", {32, s.heads});
  for (std::size_t i = 0; i < s.layers; ++i) {
    const std::string layer = names.layers + std::to_string(i) + ".";
    for (const std::string& part : {names.query, names.key, names.value, names.attention_output})
      add_linear(layer + part, s.hidden, s.hidden);
    add_linear(layer + names.up, s.intermediate, s.hidden);
    add_linear(layer + names.down, s.hidden, s.intermediate);
    add_norm(layer + names.attention_norm);
    add_norm(layer + names.output_norm);
  }
  return tensors;
}

inline nlohmann::json bert_config(const ModelShape& s) { return model_config("bert", s); }
inline Tensors bert_tensors(const ModelShape& s, const std::string& prefix = "") {
  return model_tensors("bert", s, prefix);
}

inline void write_model(const TemporaryFolder& folder, const nlohmann::json& config, const Tensors& tensors) {
  folder.write("config.json", config.dump());
  folder.write("model.safetensors", safetensors_of(tensors));
}
