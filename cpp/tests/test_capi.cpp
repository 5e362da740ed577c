#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "check.hpp"
#include "model_folder.hpp"
#include "random_rows.hpp"
#include "revector/revector.h"

namespace {

TEST(success_is_zero_and_failures_leave_a_message) {
  float x[4] = {3, 4, 0, 0}, out[4];
  CHECK(revector_normalize(x, 2, 2, out) == REVECTOR_OK);
  CHECK_NEAR(out[0], 0.6, 1e-6);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK(revector_normalize(x, 2, 2, out) == REVECTOR_NUMERICAL_ERROR);
  CHECK(std::strstr(revector_last_error(), "row 1") != nullptr);
  CHECK(std::string(revector_version()) == revector::version());
}

TEST(topk_checks_k) {
  Rows x(5, 3, 1);
  float score = 0;
  int64_t index = -1;
  CHECK(revector_cosine_topk(x.row(3), 1, x.values.data(), 5, 3, 1, &score, &index) == REVECTOR_OK);
  CHECK(index == 3);
  CHECK_NEAR(score, 1, 1e-6);
  CHECK(revector_cosine_topk(x.row(3), 1, x.values.data(), 5, 3, 6, &score, &index) == REVECTOR_INVALID_ARGUMENT);
}

TEST(documents_are_packed_once_and_searched) {
  Rows x(300, 64, 1);
  revector_exact_index* index = nullptr;
  float scores[2];
  int64_t found[2];
  CHECK(revector_exact_index_build(x.values.data(), 300, 64, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_exact_index_build(x.values.data(), 300, 64, &index) == REVECTOR_OK);
  CHECK(revector_exact_index_search(index, x.row(7), 1, 2, nullptr, scores, found) == REVECTOR_OK);
  CHECK(found[0] == 7);
  CHECK_NEAR(scores[0], 1, 1e-6);
  uint8_t allowed[300] = {};
  allowed[9] = allowed[200] = 1;
  CHECK(revector_exact_index_search(index, x.row(7), 1, 2, allowed, scores, found) == REVECTOR_OK);
  CHECK(found[0] + found[1] == 209);
  CHECK(revector_exact_index_search(index, x.row(7), 1, 3, allowed, scores, found) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_exact_index_search(nullptr, x.row(7), 1, 2, nullptr, scores, found) == REVECTOR_INVALID_ARGUMENT);
  x.row(7)[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(revector_exact_index_search(index, x.row(7), 1, 2, nullptr, scores, found) == REVECTOR_NUMERICAL_ERROR);
  revector_exact_index_free(index);
  revector_exact_index_free(nullptr);
}

TEST(a_map_is_fitted_described_and_applied) {
  Rows x(100, 4, 1);
  revector_accumulator* pairs = nullptr;
  revector_map* map = nullptr;
  CHECK(revector_accumulator_new(4, 4, &pairs) == REVECTOR_OK);
  CHECK(revector_accumulator_solve(pairs, 1, 0, &map) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_accumulator_add(pairs, x.values.data(), x.values.data(), 100) == REVECTOR_OK);
  CHECK(revector_accumulator_solve(pairs, 1, 0, &map) == REVECTOR_OK);
  revector_map_info info{};
  CHECK(revector_map_describe(map, &info) == REVECTOR_OK);
  CHECK(info.n_pairs == 100 && info.d_old == 4 && info.d_new == 4);
  float out[4], back[4];
  CHECK(revector_map_transform(map, x.row(7), 1, out) == REVECTOR_OK);
  CHECK(revector_map_inverse_transform(map, out, 1, back) == REVECTOR_OK);
  for (int i = 0; i < 4; ++i) CHECK_NEAR(out[i], back[i], 1e-5);
  revector_map_free(map);
  revector_accumulator_free(pairs);
}

TEST(a_graph_is_built_searched_saved_and_loaded) {
  Rows x(50, 4, 1);
  int64_t labels[50];
  for (int i = 0; i < 50; ++i) labels[i] = 100 + i;
  revector_hnsw *index = nullptr, *loaded = nullptr;
  CHECK(revector_hnsw_new(4, REVECTOR_COSINE, 1, 50, 100, &index) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_hnsw_new(4, REVECTOR_COSINE, 8, 50, 100, &index) == REVECTOR_OK);
  CHECK(revector_hnsw_add(index, x.values.data(), labels, 50) == REVECTOR_OK);
  CHECK(revector_hnsw_mark_deleted(index, labels, 2) == REVECTOR_OK);
  CHECK(revector_hnsw_unmark_deleted(index, labels, 1) == REVECTOR_OK);
  const std::string path = "capi_" + std::to_string(getpid()) + ".hnsw";
  CHECK(revector_hnsw_save(index, path.c_str()) == REVECTOR_OK);
  revector_hnsw_snapshot* snapshot = nullptr;
  const std::string copy = path + ".snapshot";
  CHECK(revector_hnsw_save_snapshot(index, copy.c_str(), REVECTOR_ELEMENT_INT8, 1) == REVECTOR_OK);
  CHECK(revector_hnsw_snapshot_open("nowhere", &snapshot) == REVECTOR_IO_ERROR);
  CHECK(revector_hnsw_snapshot_open(path.c_str(), &snapshot) == REVECTOR_UNSUPPORTED_INDEX);
  CHECK(revector_hnsw_snapshot_open(copy.c_str(), &snapshot) == REVECTOR_OK);
  size_t snapshot_size = 0, snapshot_dim = 0;
  float snapshot_score = 0;
  int64_t snapshot_label = -1;
  CHECK(revector_hnsw_snapshot_size(snapshot, &snapshot_size, &snapshot_dim) == REVECTOR_OK);
  CHECK(snapshot_size == 49 && snapshot_dim == 4);
  CHECK(revector_hnsw_snapshot_search(snapshot, x.row(9), 1, 1, 50, &snapshot_score, &snapshot_label) == REVECTOR_OK);
  CHECK(snapshot_label == labels[9]);
  CHECK(revector_hnsw_snapshot_verify(snapshot) == REVECTOR_OK);
  revector_hnsw_snapshot_free(snapshot);
  CHECK(revector_hnsw_load_faiss(path.c_str(), nullptr, 100, &loaded) == REVECTOR_UNSUPPORTED_INDEX);
  CHECK(revector_hnsw_load(copy.c_str(), 4, REVECTOR_COSINE, 100, &loaded) == REVECTOR_UNSUPPORTED_INDEX);
  std::remove(copy.c_str());
  CHECK(revector_hnsw_save_with_capacity(index, path.c_str(), 49) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_hnsw_save_with_capacity(index, path.c_str(), 50) == REVECTOR_OK);
  CHECK(revector_hnsw_load("nowhere", 4, REVECTOR_COSINE, 100, &loaded) == REVECTOR_IO_ERROR);
  CHECK(revector_hnsw_load(path.c_str(), 4, REVECTOR_COSINE, 100, &loaded) == REVECTOR_OK);
  std::remove(path.c_str());
  size_t size = 0;
  CHECK(revector_hnsw_size(loaded, &size) == REVECTOR_OK && size == 49);
  float score = 0, vector[4];
  int64_t label = 0;
  CHECK(revector_hnsw_search(loaded, x.row(7), 1, 1, 50, &score, &label) == REVECTOR_OK);
  CHECK(label == 107);
  CHECK_NEAR(score, 1, 1e-6);
  CHECK(revector_hnsw_get_vectors(loaded, &label, 1, vector) == REVECTOR_OK);
  CHECK(revector_hnsw_search(loaded, x.row(7), 1, SIZE_MAX, 50, &score, &label) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_hnsw_search(loaded, x.row(7), 1, 1, SIZE_MAX, &score, &label) == REVECTOR_OK && label == 107);
  const int64_t unknown = 5;
  CHECK(revector_hnsw_get_vectors(loaded, &unknown, 1, vector) == REVECTOR_INVALID_ARGUMENT);
  CHECK(std::strstr(revector_last_error(), "label 5 is not in the index; labels() lists what is") != nullptr);
  const int64_t allowed[] = {103, 1000};
  CHECK(revector_hnsw_search_allowed(loaded, x.row(7), 1, 1, 50, allowed, 2, &score, &label) == REVECTOR_OK);
  CHECK(label == 103);
  revector_hnsw_free(loaded);
  CHECK(revector_hnsw_build(x.values.data(), labels, 50, 4, REVECTOR_COSINE, 1, 50, 100, &loaded) ==
        REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_hnsw_build(x.values.data(), labels, 50, 4, REVECTOR_COSINE, 8, 50, 100, &loaded) == REVECTOR_OK);
  CHECK(revector_hnsw_search(loaded, x.row(7), 1, 1, 50, &score, &label) == REVECTOR_OK && label == labels[7]);
  revector_hnsw* stale = nullptr;
  CHECK(revector_hnsw_serve_stale(loaded, x.values.data(), labels, 49, 2, &stale) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_hnsw_serve_stale(loaded, x.values.data(), labels, 50, 2, &stale) == REVECTOR_OK);
  CHECK(revector_hnsw_size(stale, &size) == REVECTOR_OK && size == 50);
  revector_hnsw_free(stale);
  revector_hnsw_free(loaded);
  revector_hnsw_free(index);
}

TEST(an_encoder_is_loaded_described_and_run) {
  const TemporaryFolder folder;
  revector_encoder* encoder = nullptr;
  CHECK(revector_encoder_load(folder.path().c_str(), REVECTOR_PRECISION_FLOAT32, &encoder) == REVECTOR_ENCODER_ERROR);
  CHECK(std::strstr(revector_last_error(), "model.safetensors is missing") != nullptr);
  folder.write("model.safetensors", safetensors_of({{"embedding.weight", random_tensor({9, 5}, 1)}}));
  CHECK(revector_encoder_load(folder.path().c_str(), REVECTOR_PRECISION_FLOAT32, &encoder) == REVECTOR_OK);
  revector_encoder_info info{};
  CHECK(revector_encoder_describe(encoder, &info) == REVECTOR_OK);
  CHECK(info.dimension == 5 && info.vocabulary == 9 && info.max_length == 0 && info.normalized == 0);
  const int32_t ids[] = {3, 8, 0};
  const int64_t offsets[] = {0, 1, 3}, wrong[] = {0, 1, -3};
  float out[10];
  CHECK(revector_encoder_encode(encoder, ids, offsets, 2, out) == REVECTOR_OK);
  for (int i = 0; i < 2; ++i) {
    double squares = 0;
    for (int j = 0; j < 5; ++j) squares += static_cast<double>(out[i * 5 + j]) * out[i * 5 + j];
    CHECK_NEAR(squares, 1, 1e-6);
  }
  CHECK(revector_encoder_encode(encoder, ids, wrong, 2, out) == REVECTOR_INVALID_ARGUMENT);
  revector_encoder_free(encoder);
}

TEST(a_cross_encoder_is_loaded_described_and_run) {
  const TemporaryFolder folder;
  revector_cross_encoder* encoder = nullptr;
  CHECK(revector_cross_encoder_load(folder.path().c_str(), &encoder) == REVECTOR_ENCODER_ERROR);
  Tensors tensors = bert_tensors({}, "bert.");
  tensors["bert.pooler.dense.weight"] = random_tensor({39, 39}, 1);
  tensors["bert.pooler.dense.bias"] = random_tensor({39}, 2);
  tensors["classifier.weight"] = random_tensor({2, 39}, 3);
  tensors["classifier.bias"] = random_tensor({2}, 4);
  write_model(folder, bert_config({}), tensors);
  CHECK(revector_cross_encoder_load(folder.path().c_str(), &encoder) == REVECTOR_OK);
  revector_cross_encoder_info info{};
  CHECK(revector_cross_encoder_describe(encoder, &info) == REVECTOR_OK);
  CHECK(info.labels == 2 && info.vocabulary == 50 && info.types == 2 && info.max_length == 40);
  const int32_t ids[] = {3, 8, 3, 8}, types[] = {0, 0, 0, 1};
  const int64_t offsets[] = {0, 2, 4}, wrong[] = {0, 1, -3};
  float out[4], untyped[4];
  CHECK(revector_cross_encoder_score(encoder, ids, offsets, types, 2, out) == REVECTOR_OK);
  CHECK(revector_cross_encoder_score(encoder, ids, offsets, nullptr, 2, untyped) == REVECTOR_OK);
  CHECK(out[0] == untyped[0] && out[1] == untyped[1] && untyped[2] == untyped[0] && out[2] != untyped[2]);
  CHECK(revector_cross_encoder_score(encoder, ids, wrong, types, 2, out) == REVECTOR_INVALID_ARGUMENT);
  revector_cross_encoder_free(encoder);
}

TEST(null_handles_are_refused) {
  CHECK(revector_cross_encoder_load("/", nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_cross_encoder_score(nullptr, nullptr, nullptr, nullptr, 0, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_accumulator_new(4, 4, nullptr) == REVECTOR_INVALID_ARGUMENT);
  revector_encoder* nothing = nullptr;
  CHECK(revector_encoder_load("/", static_cast<revector_precision>(9), &nothing) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_encoder_load("/", REVECTOR_PRECISION_AUTO, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_encoder_load(nullptr, REVECTOR_PRECISION_AUTO, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_encoder_encode(nullptr, nullptr, nullptr, 0, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(revector_map_transform(nullptr, nullptr, 0, nullptr) == REVECTOR_INVALID_ARGUMENT);
  CHECK(std::strstr(revector_last_error(), "map is NULL") != nullptr);
}

}  // namespace

TEST_MAIN()
