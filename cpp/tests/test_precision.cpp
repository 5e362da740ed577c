// Transformers in bfloat16 and int8 beside float32.
#include <algorithm>

#include "core/kernels.hpp"
#include "core/packed_matrix.hpp"
#include "encoding.hpp"
#include "random_rows.hpp"

namespace {

using revector::Encoder;
using revector::Precision;

const char* const families[] = {"bert", "roberta", "mpnet", "distilbert"};
const std::vector<std::size_t> lengths = {1, 2, 17, 38, 3, 16, 33, 20, 9};

struct Model {
  Model(const std::string& family, const ModelShape& shape) : shape(shape) {
    write_model(folder, model_config(family, shape), model_tensors(family, shape));
  }
  Encoder load(Precision precision) const { return Encoder::load(folder.path(), precision); }

  ModelShape shape;
  TemporaryFolder folder;
};

/// The smallest cosine of a text's vectors in float32 and in a lower precision.
double smallest_cosine(const Model& model, Precision precision) {
  const Texts texts(lengths, model.shape.vocabulary);
  const auto exact = encode(model.load(Precision::float32), texts), rounded = encode(model.load(precision), texts);
  double smallest = 1;
  for (std::size_t i = 0; i < texts.size(); ++i)
    smallest = std::min(smallest, cosine(exact.data() + i * model.shape.hidden, rounded.data() + i * model.shape.hidden,
                                         model.shape.hidden));
  return smallest;
}

void check_close_to_float32(const Model& model) {
  CHECK(smallest_cosine(model, Precision::bfloat16) > .9995);
  CHECK(smallest_cosine(model, Precision::int8) > .99);
}

TEST(every_family_stays_close_to_float32) {
  for (const char* family : families)
    for (const ModelShape& shape : {ModelShape{}, ModelShape{50, 52, 3, 2, 33, 40, 1}})
      check_close_to_float32({family, shape});
}

TEST(sizes_that_no_tile_divides_stay_close_to_float32) {
  check_close_to_float32({"mpnet", {60, 312, 3, 12, 200, 40, 2}});
}

/// As trained models have them: the norm behind the embeddings makes two channels fifty times as large as the others.
Tensors tensors_with_outlier_channels(const ModelShape& shape) {
  Tensors tensors = model_tensors("bert", shape);
  std::vector<float>& gain = tensors.at("embeddings.LayerNorm.weight").values;
  gain[3] *= 50;
  gain[shape.hidden - 1] *= 50;
  return tensors;
}

TEST(channels_far_beyond_the_others_do_not_coarsen_int8) {
  Model model("bert", {60, 312, 1, 12, 200, 40, 2});
  write_model(model.folder, model_config("bert", model.shape), tensors_with_outlier_channels(model.shape));
  CHECK(smallest_cosine(model, Precision::int8) > .9995);
}

TEST(a_text_does_not_depend_on_its_batch) {
  const Model model("mpnet", {60, 312, 3, 12, 200, 40, 2});
  for (Precision precision : {Precision::bfloat16, Precision::int8}) {
    const Encoder encoder = model.load(precision);
    const Texts together(lengths, model.shape.vocabulary);
    const auto rows = encode(encoder, together), again = encode(encoder, together, {.threads = 1});
    CHECK(rows == again);
    for (std::size_t i = 0; i < together.size(); ++i) {
      const auto ids = together[i];
      const std::int64_t offsets[] = {0, static_cast<std::int64_t>(ids.size())};
      std::vector<float> alone(model.shape.hidden);
      encoder.encode(ids, offsets, {alone.data(), 1, alone.size()});
      CHECK(std::equal(alone.begin(), alone.end(), rows.begin() + static_cast<std::ptrdiff_t>(i * alone.size())));
    }
  }
}

TEST(an_encoder_tells_its_precision) {
  const Model model("bert", {});
  CHECK(model.load(Precision::int8).info().precision == Precision::int8);
  CHECK(Encoder::load(model.folder.path()).info().precision == revector::fastest_precision());
  CHECK(revector::fastest_precision() != Precision::int8);
  TemporaryFolder table;
  table.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({9, 5}, 1)}}));
  CHECK(Encoder::load(table.path(), Precision::int8).info().precision == Precision::float32);
}

TEST(weights_that_are_not_numbers_are_reported_in_every_precision) {
  Tensors tensors = model_tensors("bert", {});
  tensors.at("encoder.layer.1.output.dense.weight").values[3] = std::numeric_limits<float>::quiet_NaN();
  const TemporaryFolder folder;
  write_model(folder, model_config("bert", {}), tensors);
  for (Precision precision : {Precision::float32, Precision::bfloat16, Precision::int8})
    CHECK_THROWS(revector::EncoderError, encode(Encoder::load(folder.path(), precision), Texts({4}, 20)));
}

TEST(int8_sums_that_may_not_fit_their_integers_are_refused) {
  using revector::PackedMatrix;
  Rows column(66312, 1, 1);
  const auto longest = PackedMatrix::from_rows({column.row(0), 66311, 1}, Precision::int8);
  CHECK(longest.rows() == 66311);
  CHECK_THROWS(revector::InvalidArgument, PackedMatrix::from_rows(column.view(), Precision::int8));
  CHECK(PackedMatrix::from_rows(column.view(), Precision::bfloat16).rows() == 66312);
}

TEST(the_longest_int8_sum_is_exact_on_every_instruction_set) {
  const std::size_t n = 66311;
  std::vector<float> ones(n, 1), sum(1);
  revector::Operand operand(Precision::int8, 1, n);
  operand.assign(revector::MatrixView<const float>(ones.data(), 1, n));
  revector::PackedMatrix::from_rows({ones.data(), n, 1}, Precision::int8)
      .multiply(operand, nullptr, {sum.data(), 1, 1});
  CHECK_NEAR(sum[0], static_cast<double>(n), .01);
}

}  // namespace

TEST_MAIN()
