// Weights in shards, in half precision, and folders whose parts do not fit together.
#include "core/encoder/checkpoint.hpp"

#include <bit>

#include "encoding.hpp"

namespace {

using nlohmann::json;
using revector::Checkpoint;
using revector::Encoder;

constexpr const char* index_name = "model.safetensors.index.json";

/// Deals the tensors of a BERT out to three shards.
struct Sharded {
  Sharded() {
    std::vector<Tensors> parts(3);
    std::size_t next = 0;
    for (const auto& [name, tensor] : tensors) {
      const std::size_t part = next++ % 3;
      parts[part][name] = tensor;
      index["weight_map"][name] = shard(part);
    }
    for (std::size_t i = 0; i < 3; ++i) folder.write(shard(i), safetensors_of(parts[i]));
    folder.write("config.json", bert_config(shape).dump());
    write_index();
  }
  static std::string shard(std::size_t i) { return "model-0000" + std::to_string(i + 1) + "-of-00003.safetensors"; }
  void write_index() const { folder.write(index_name, index.dump()); }

  ModelShape shape;
  Tensors tensors = bert_tensors(shape);
  json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", json::object()}};
  TemporaryFolder folder;
};

TEST(shards_are_read_by_their_index) {
  const Sharded model;
  const Encoder encoder = Encoder::load(model.folder.path(), revector::Precision::float32);
  check_against_reference(encoder, ReferenceTransformer("bert", model.shape, model.tensors), model.shape, {3, 30, 0});
  CHECK(encoder.info().weights == model.folder.path(index_name));
  CHECK(encoder.info().files.size() == 4 && encoder.info().files[3] == model.folder.path(Sharded::shard(2)));
  const Checkpoint checkpoint(model.folder.path());
  CHECK(checkpoint.contains("embeddings.LayerNorm.weight") && !checkpoint.contains("absent"));
}

TEST(one_file_goes_before_an_index) {
  const Sharded model;
  model.folder.write("model.safetensors", safetensors_of(model.tensors));
  model.folder.write(index_name, "broken");
  CHECK(Encoder::load(model.folder.path()).info().weights == model.folder.path("model.safetensors"));
}

TEST(shards_that_are_not_there_are_named) {
  const Sharded model;
  std::filesystem::remove(model.folder.path(Sharded::shard(1)));
  CHECK(says(refusal(model.folder), Sharded::shard(1) + " is missing, which"));
  model.folder.write(Sharded::shard(1), "short");
  CHECK(says(refusal(model.folder), "not a sound safetensors file"));
  model.folder.write(Sharded::shard(1), safetensors_of({{"other", random_tensor({2}, 1)}}));
  CHECK(says(refusal(model.folder), "which model.safetensors.index.json says it has"));
}

TEST(tensors_in_no_shard_are_named) {
  Sharded model;
  model.index["weight_map"].erase("embeddings.LayerNorm.bias");
  model.write_index();
  CHECK(says(refusal(model.folder), "names no shard for tensor 'embeddings.LayerNorm.bias', which config.json calls"));
}

TEST(an_index_does_not_lead_out_of_its_folder) {
  for (const char* path : {"../model.safetensors", "/etc/passwd", "..", ".", "", "sub/model.safetensors", "a\\b"}) {
    Sharded model;
    model.index["weight_map"]["embeddings.LayerNorm.bias"] = path;
    model.write_index();
    CHECK(says(refusal(model.folder), "expected the name of a file in the same folder"));
  }
}

TEST(malformed_indices_are_refused) {
  const Sharded model;
  for (const auto& [content, message] : std::vector<std::pair<std::string, std::string>>{
           {"{", "is not valid JSON"},
           {"[]", "is not a JSON object"},
           {"{}", "weight_map is absent, expected a JSON object"},
           {R"({"weight_map": []})", "weight_map is [], expected a JSON object"},
           {R"({"weight_map": {}})", "weight_map is empty"},
           {R"({"weight_map": {"a": 3}})", "tensor 'a' is said to be in 3"}}) {
    model.folder.write(index_name, content);
    CHECK(says(refusal(model.folder), message));
  }
}

/// A safetensors file of the same tensors in a format of two bytes an element.
template <class Convert>
std::string halved(const Tensors& tensors, const char* dtype, Convert convert) {
  json header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    for (float value : tensor.values) {
      const std::uint16_t bits = convert(value);
      data.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    header[name] = {{"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(header.dump(), data);
}

TEST(weights_in_half_precision_are_what_they_stand_for) {
  const ModelShape shape;
  Tensors tensors = bert_tensors(shape);
  for (auto& [name, tensor] : tensors)  // to seven bits behind the point, which both formats hold exactly
    for (float& value : tensor.values) value = std::round(value * 64) / 64;
  const TemporaryFolder folder;
  folder.write("config.json", bert_config(shape).dump());
  const auto bfloat16 = [](float x) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16U); };
  const auto float16 = [](float x) {
    if (x == 0) return std::uint16_t{0};
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t exponent = (bits >> 23U & 0xFFU) - 112, sign = bits >> 16U & 0x8000U;
    return static_cast<std::uint16_t>(sign | exponent << 10U | (bits >> 13U & 0x3FFU));
  };
  for (const std::string& bytes : {halved(tensors, "BF16", bfloat16), halved(tensors, "F16", float16)}) {
    folder.write("model.safetensors", bytes);
    check_against_reference(Encoder::load(folder.path(), revector::Precision::float32),
                            ReferenceTransformer("bert", shape, tensors), shape, {3, 30});
  }
}

TEST(every_missing_tensor_and_every_wrong_shape_is_named) {
  for (const char* family : {"bert", "roberta", "mpnet", "distilbert"}) {
    const Tensors tensors = model_tensors(family, {});
    for (const auto& [name, tensor] : tensors) {
      const TemporaryFolder folder;
      Tensors spoiled = tensors;
      spoiled.erase(name);
      write_model(folder, model_config(family, {}), spoiled);
      CHECK(says(refusal(folder), "no tensor '" + name + "'"));
      spoiled[name] = random_tensor({3, 7}, 1);
      write_model(folder, model_config(family, {}), spoiled);
      CHECK(says(refusal(folder),
                 "tensor '" + name + "' has shape [3, 7], expected " + revector::to_string(tensor.shape)));
    }
  }
}

TEST(a_checkpoint_that_is_cut_anywhere_is_refused) {
  const TemporaryFolder folder;
  const ModelShape small = {5, 4, 1, 2, 3, 6, 1};
  const std::string whole = safetensors_of(bert_tensors(small));
  folder.write("config.json", bert_config(small).dump());
  for (std::size_t n = 0; n < whole.size(); n += 7) {
    folder.write("model.safetensors", whole.substr(0, n));
    CHECK(!refusal(folder).empty());
  }
}

}  // namespace

TEST_MAIN()
