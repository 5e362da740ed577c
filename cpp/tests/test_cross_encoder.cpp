// Sequence classifiers of every family against the reference in float64.
#include "revector/cross_encoder.hpp"

#include <limits>

#include "encoding.hpp"

namespace {

using nlohmann::json;
using revector::CrossEncoder;

const char* const families[] = {"bert", "roberta", "xlm-roberta", "camembert", "mpnet", "distilbert"};

/// Names of the head's two layers, and whether the first lies under the transformer's prefix.
struct HeadNames {
  std::string dense, out;
};
HeadNames head_of(const std::string& family) {
  if (family == "bert") return {"bert.pooler.dense", "classifier"};
  if (family == "distilbert") return {"pre_classifier", "classifier"};
  return {"classifier.dense", "classifier.out_proj"};
}

Tensors classifier_tensors(const std::string& family, const ModelShape& shape, std::size_t labels) {
  Tensors tensors = model_tensors(family, shape, names_of(family).prefix);
  const HeadNames names = head_of(family);
  tensors[names.dense + ".weight"] = random_tensor({shape.hidden, shape.hidden}, 90);
  tensors[names.dense + ".bias"] = random_tensor({shape.hidden}, 91);
  tensors[names.out + ".weight"] = random_tensor({labels, shape.hidden}, 92);
  tensors[names.out + ".bias"] = random_tensor({labels}, 93);
  return tensors;
}

json classifier_config(const std::string& family, const ModelShape& shape) {
  json config = model_config(family, shape);
  config["architectures"] = {"AnyForSequenceClassification"};
  return config;
}

/// Pairs with random ids whose second half is of type 1.
struct Pairs : Texts {
  Pairs(const std::vector<std::size_t>& lengths, const ModelShape& shape) : Texts(lengths, shape.vocabulary) {
    for (std::size_t length : lengths)
      for (std::size_t i = 0; i < length; ++i) types.push_back(i < length / 2 ? 0 : 1);
  }
  std::span<const std::int32_t> types_of(std::size_t i) const {
    return std::span(types).subspan(static_cast<std::size_t>(offsets[i]), (*this)[i].size());
  }
  std::vector<std::int32_t> types;
};

std::vector<double> exact_logits(const std::string& family, const ModelShape& shape, const Tensors& tensors,
                                 std::span<const std::int32_t> ids, std::span<const std::int32_t> types) {
  Tensors bare = tensors;  // the reference knows no prefix
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(names_of(family).prefix)) bare[name.substr(names_of(family).prefix.size())] = tensor;
  const ReferenceTransformer reference(family, shape, bare);
  const HeadNames names = head_of(family);
  States inner = reference.linear({reference.states(ids, types)[0]}, names.dense);
  for (double& value : inner[0]) value = family == "distilbert" ? std::max(value, 0.0) : std::tanh(value);
  return reference.linear(inner, names.out)[0];
}

void check_classifier(const std::string& family, std::size_t labels) {
  const ModelShape shape;
  const TemporaryFolder folder;
  const Tensors tensors = classifier_tensors(family, shape, labels);
  write_model(folder, classifier_config(family, shape), tensors);
  const CrossEncoder encoder = CrossEncoder::load(folder.path());
  const bool typed = names_of(family).has_types;
  CHECK(encoder.info().family == family && encoder.info().labels == labels && encoder.info().types == (typed ? 2 : 1));
  const Pairs pairs({1, 2, 38, 17, 3}, shape);
  std::vector<float> out(pairs.size() * labels);
  const std::span<const std::int32_t> none;
  encoder.score(pairs.ids, pairs.offsets, typed ? pairs.types : none, {out.data(), pairs.size(), labels});
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto exact = exact_logits(family, shape, tensors, pairs[i], typed ? pairs.types_of(i) : none);
    for (std::size_t j = 0; j < labels; ++j) CHECK_NEAR(out[i * labels + j], exact[j], 1e-4);
  }
}

TEST(every_family_equals_the_reference_with_one_label_and_several) {
  for (const char* family : families)
    for (std::size_t labels : {1, 3}) check_classifier(family, labels);
}

TEST(no_types_are_types_of_zero) {
  const ModelShape shape;
  const TemporaryFolder folder;
  write_model(folder, classifier_config("bert", shape), classifier_tensors("bert", shape, 1));
  const CrossEncoder encoder = CrossEncoder::load(folder.path());
  const Pairs pairs({20, 7}, shape);
  const std::vector<std::int32_t> zeros(27, 0);
  std::vector<float> without(2), with_zeros(2), with_types(2);
  encoder.score(pairs.ids, pairs.offsets, {}, {without.data(), 2, 1});
  encoder.score(pairs.ids, pairs.offsets, zeros, {with_zeros.data(), 2, 1});
  encoder.score(pairs.ids, pairs.offsets, pairs.types, {with_types.data(), 2, 1});
  CHECK(without == with_zeros);
  CHECK(without != with_types);
}

TEST(bad_pairs_are_refused) {
  const ModelShape shape;
  const TemporaryFolder folder;
  write_model(folder, classifier_config("bert", shape), classifier_tensors("bert", shape, 1));
  const CrossEncoder encoder = CrossEncoder::load(folder.path());
  std::vector<float> out(2);
  const auto run = [&](std::vector<std::int32_t> ids, std::vector<std::int64_t> offsets,
                       std::vector<std::int32_t> types, std::size_t labels = 1) {
    encoder.score(ids, offsets, types, {out.data(), offsets.size() - 1, labels});
    return 0;
  };
  CHECK(run({1, 2}, {0, 2}, {0, 1}) == 0 && run({}, {0}, {}) == 0);
  CHECK_THROWS(revector::InvalidArgument, run({1, 2}, {0, 2}, {0}));
  CHECK_THROWS(revector::InvalidArgument, run({1, 2}, {0, 2}, {0, 2}));
  CHECK_THROWS(revector::InvalidArgument, run({1, 2}, {0, 2}, {0, -1}));
  CHECK_THROWS(revector::InvalidArgument, run({1, 50}, {0, 2}, {}));
  CHECK_THROWS(revector::InvalidArgument, run({1, 2}, {0, 2, 2}, {}));
  CHECK_THROWS(revector::InvalidArgument, run(std::vector<std::int32_t>(41, 1), {0, 41}, {}));
  CHECK_THROWS(revector::ShapeError, run({1, 2}, {0, 2}, {}, 2));
}

std::string refusal_of(const TemporaryFolder& folder) {
  try {
    CrossEncoder::load(folder.path());
    return "";
  } catch (const revector::EncoderError& error) {
    return error.what();
  }
}

std::string refusal_with(const json& change) {
  const TemporaryFolder folder;
  json config = classifier_config("bert", {});
  config.update(change);
  write_model(folder, config, classifier_tensors("bert", {}, 2));
  return refusal_of(folder);
}

TEST(what_is_no_cross_encoder_is_refused) {
  CHECK(refusal_with(json::object()).empty());
  CHECK(refusal_with({{"num_labels", 2}, {"id2label", {{"0", "no"}, {"1", "yes"}}}}).empty());
  CHECK(says(refusal_with({{"architectures", {"BertModel"}}}), "this is not a cross-encoder"));
  CHECK(says(refusal_with({{"model_type", "t5"}}), "model_type is \"t5\", which is not supported"));
  CHECK(says(refusal_with({{"num_labels", 3}}), "num_labels is 3, expected 2, the rows of classifier.weight"));
  CHECK(says(refusal_with({{"id2label", {{"0", "no"}}}}), "expected 2 labels"));
  CHECK(says(refusal_with({{"id2label", 3}}), "expected a JSON object"));
  const TemporaryFolder folder;
  write_model(folder, bert_config({}), bert_tensors({}));
  CHECK(says(refusal_of(folder), "no tensor 'classifier.weight'"));
  folder.write("modules.json", R"([{"type": "a.Transformer"}, {"type": "a.Pooling", "path": "p"}])");
  folder.write("p/config.json", "{}");
  CHECK(says(refusal_of(folder), "describes a model of single texts"));
  folder.write("modules.json", R"([{"type": "a.Transformer"}])");
  write_model(folder, classifier_config("bert", {}), classifier_tensors("bert", {}, 1));
  CHECK(refusal_of(folder).empty());
}

TEST(weights_that_give_nan_are_reported) {
  const TemporaryFolder folder;
  Tensors tensors = classifier_tensors("bert", {}, 1);
  tensors["classifier.bias"].values[0] = std::numeric_limits<float>::quiet_NaN();
  write_model(folder, classifier_config("bert", {}), tensors);
  const CrossEncoder encoder = CrossEncoder::load(folder.path());
  const Pairs pairs({5}, {});
  float out = 0;
  CHECK_THROWS(revector::EncoderError, (encoder.score(pairs.ids, pairs.offsets, {}, {&out, 1, 1}), 0));
}

}  // namespace

TEST_MAIN()
