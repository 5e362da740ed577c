// Every family of transformers against the same reference in float64.
#include "encoding.hpp"

namespace {

using nlohmann::json;
using revector::Encoder;
using revector::Pooling;

const char* const families[] = {"bert", "roberta", "xlm-roberta", "camembert", "mpnet", "distilbert"};
const std::vector<std::size_t> short_lengths = {1, 2, 17, 0, 38, 3, 16, 33};

/// Positions that stand before the first token.
std::size_t offset_of(const std::string& family) { return family == "bert" || family == "distilbert" ? 0 : 2; }

void check_family(const std::string& family, const ModelShape& shape, const std::vector<std::size_t>& lengths) {
  const TemporaryFolder folder;
  const Tensors tensors = model_tensors(family, shape);
  write_model(folder, model_config(family, shape), tensors);
  const Encoder encoder = Encoder::load(folder.path(), revector::Precision::float32);
  CHECK(encoder.info().family == family && encoder.info().dimension == shape.hidden);
  CHECK(encoder.info().max_length == shape.positions - offset_of(family) && !encoder.info().normalized);
  check_against_reference(encoder, ReferenceTransformer(family, shape, tensors), shape, lengths);
}

TEST(every_family_equals_the_reference_for_odd_sizes) {
  for (const char* family : families)
    for (const ModelShape& shape :
         {ModelShape{}, ModelShape{50, 52, 3, 2, 33, 40, 1}, ModelShape{50, 16, 1, 16, 5, 40, 3}})
      check_family(family, shape, short_lengths);
}

TEST(every_family_equals_the_reference_with_heads_of_26) {
  for (const char* family : families) check_family(family, {60, 312, 3, 12, 200, 30, 2}, {0, 1, 2, 19});
}

TEST(every_family_equals_the_reference_for_texts_of_full_length) {
  for (const char* family : families)
    check_family(family, {50, 12, 2, 2, 20, 512 + offset_of(family), 2}, {512, 511, 1, 2, 0, 300});
}

TEST(a_padding_token_within_a_text_has_no_position_of_its_own) {
  for (const char* family : families) {
    const TemporaryFolder folder;
    const ModelShape shape;
    const Tensors tensors = model_tensors(family, shape);
    write_model(folder, model_config(family, shape), tensors);
    const std::vector<std::int32_t> ids = {7, 1, 1, 9, 12, 1};
    const std::vector<std::int64_t> offsets = {0, 6};
    std::vector<float> out(shape.hidden);
    Encoder::load(folder.path(), revector::Precision::float32)
        .encode(ids, offsets, {out.data(), 1, shape.hidden}, {.normalize = false});
    const auto exact = pooled(ReferenceTransformer(family, shape, tensors).states(ids), Pooling::mean, shape.hidden);
    for (std::size_t j = 0; j < shape.hidden; ++j) CHECK_NEAR(out[j], exact[j], 2e-5);
  }
}

TEST(checkpoints_may_have_the_prefix_of_their_family) {
  for (const char* family : families) {
    const TemporaryFolder folder;
    const ModelShape shape;
    write_model(folder, model_config(family, shape), model_tensors(family, shape, names_of(family).prefix));
    check_against_reference(Encoder::load(folder.path(), revector::Precision::float32),
                            ReferenceTransformer(family, shape, model_tensors(family, shape)), shape, {5, 1});
  }
}

double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double relu(double x) { return x > 0 ? x : 0; }

TEST(every_activation_is_the_one_that_is_named) {
  const ModelShape shape;
  const std::vector<std::pair<const char*, double (*)(double)>> activations = {{"gelu", gelu},
                                                                               {"gelu_python", gelu},
                                                                               {"gelu_new", gelu_tanh},
                                                                               {"gelu_fast", gelu_tanh},
                                                                               {"gelu_accurate", gelu_tanh},
                                                                               {"gelu_pytorch_tanh", gelu_tanh},
                                                                               {"gelu_python_tanh", gelu_tanh},
                                                                               {"relu", relu}};
  for (const char* family : {"bert", "distilbert"})
    for (const auto& [name, function] : activations) {
      const TemporaryFolder folder;
      json config = model_config(family, shape);
      config[family == std::string("bert") ? "hidden_act" : "activation"] = name;
      const Tensors tensors = model_tensors(family, shape);
      write_model(folder, config, tensors);
      check_against_reference(Encoder::load(folder.path(), revector::Precision::float32),
                              ReferenceTransformer(family, shape, tensors, function), shape, short_lengths);
    }
}

TEST(layer_norms_may_have_the_names_of_tensorflow) {
  const TemporaryFolder folder;
  const ModelShape shape;
  const Tensors tensors = bert_tensors(shape);
  Tensors renamed;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t at = name.find("LayerNorm.");
    const bool gain = name.ends_with("weight");
    renamed[at == std::string::npos ? name : name.substr(0, at + 10) + (gain ? "gamma" : "beta")] = tensor;
  }
  write_model(folder, bert_config(shape), renamed);
  check_against_reference(Encoder::load(folder.path(), revector::Precision::float32),
                          ReferenceTransformer("bert", shape, tensors), shape, {5, 20});
}

/// The message for a sound model of a family with one field of config.json set.
std::string refusal_with(const std::string& family, const char* field, const json& value) {
  const TemporaryFolder folder;
  json config = model_config(family, {});
  config[field] = value;
  write_model(folder, config, model_tensors(family, {}));
  return refusal(folder);
}

TEST(numbers_that_can_not_be_are_refused_by_their_name) {
  constexpr std::uint64_t huge = 1'000'000'000'000'000'000;
  for (const char* family : families) {
    const bool distil = family == std::string("distilbert");
    for (const char* field : {distil ? "dim" : "hidden_size", distil ? "n_heads" : "num_attention_heads",
                              distil ? "n_layers" : "num_hidden_layers", distil ? "hidden_dim" : "intermediate_size",
                              "vocab_size", "max_position_embeddings"}) {
      for (const json& value : {json(-1), json(1.5), json("12"), json::array(), json(nullptr), json(-1e300)})
        CHECK(says(refusal_with(family, field, value), std::string(field) + " is "));
      CHECK(says(refusal_with(family, field, 0), "expected at least 1"));
      CHECK(!refusal_with(family, field, huge).empty());
      CHECK(!refusal_with(family, field, ~std::uint64_t{0}).empty());
    }
    CHECK(says(refusal_with(family, distil ? "activation" : "hidden_act", "mish"),
               "is \"mish\", which is not supported"));
  }
  CHECK(says(refusal_with("roberta", "pad_token_id", 50), "pad_token_id is 50, expected a token of the vocabulary"));
  CHECK(says(refusal_with("roberta", "pad_token_id", 39), "max_position_embeddings is 40, expected more than 40"));
  CHECK(says(refusal_with("roberta", "pad_token_id", huge), "pad_token_id is"));
  CHECK(says(refusal_with("bert", "layer_norm_eps", -1), "layer_norm_eps is -1, expected a number from 0 to 1"));
  CHECK(says(refusal_with("bert", "type_vocab_size", 0), "expected at least 1"));
  CHECK(
      says(refusal_with("mpnet", "relative_attention_num_buckets", 16), "relative_attention_num_buckets is 16, which"));
  CHECK(says(refusal_with("mpnet", "relative_attention_num_buckets", 64), "has shape [32, 3], expected [64, 3]"));
}

}  // namespace

TEST_MAIN()
