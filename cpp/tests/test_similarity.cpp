#include "revector/similarity.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "check.hpp"
#include "random_rows.hpp"

namespace {

TEST(normalize_gives_unit_rows_and_keeps_zero_rows) {
  for (std::size_t d : {1, 3, 16, 17, 384}) {
    Rows x(5, d, 1);
    std::fill(x.row(2), x.row(2) + d, 0.0F);
    Rows out(5, d, 2);
    revector::normalize(x.view(), out.view());
    for (std::size_t i = 0; i < 5; ++i) CHECK_NEAR(cosine(out.row(i), x.row(i), d), i == 2 ? 0 : 1, 1e-6);
    CHECK(std::all_of(out.row(2), out.row(2) + d, [](float v) { return v == 0; }));
  }
}

TEST(normalize_handles_rows_at_the_ends_of_the_float_range) {
  for (float magnitude : {1e-44F, 1e-38F, 1e-20F, 1e20F, 3e38F}) {
    std::vector<float> x = {magnitude, -magnitude}, out(2);
    revector::normalize(revector::MatrixView<const float>(x.data(), 1, 2), {out.data(), 1, 2});
    CHECK_NEAR(out[0], std::sqrt(0.5), 1e-6);
    CHECK_NEAR(out[1], -std::sqrt(0.5), 1e-6);
  }
  std::vector<double> huge = {1e300, 0}, tiny = {1e-320, 0};
  std::vector<float> out(2);
  revector::normalize(revector::MatrixView<const double>(huge.data(), 1, 2), {out.data(), 1, 2});
  CHECK(out[0] == 1.0F);
  revector::normalize(revector::MatrixView<const double>(tiny.data(), 1, 2), {out.data(), 1, 2});
  CHECK(out[0] == 1.0F);
}

TEST(normalize_refuses_nan_infinity_and_wrong_shapes) {
  Rows x(3, 8, 1), out(3, 8, 2), other(3, 7, 3);
  CHECK_THROWS(revector::ShapeError, revector::normalize(x.view(), other.view()));
  x.row(1)[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS(revector::NumericalError, revector::normalize(x.view(), out.view()));
  x.row(1)[5] = std::numeric_limits<float>::infinity();
  CHECK_THROWS(revector::NumericalError, revector::normalize(x.view(), out.view()));
}

TEST(topk_equals_a_sort_of_all_scores) {
  Rows queries(7, 33, 1), documents(1000, 33, 2);
  const std::size_t k = 10;
  std::vector<float> scores(7 * k);
  std::vector<std::int64_t> indices(7 * k);
  revector::cosine_topk(queries.view(), documents.view(), k, {scores.data(), 7, k}, {indices.data(), 7, k});
  for (std::size_t q = 0; q < 7; ++q) {
    std::vector<double> all(1000);
    for (std::size_t i = 0; i < 1000; ++i) all[i] = cosine(queries.row(q), documents.row(i), 33);
    std::vector<std::int64_t> order(1000);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return all[a] > all[b]; });
    for (std::size_t i = 0; i < k; ++i) {
      CHECK(indices[q * k + i] == order[i]);
      CHECK_NEAR(scores[q * k + i], all[static_cast<std::size_t>(order[i])], 1e-6);
    }
  }
}

TEST(topk_breaks_ties_by_lower_index_across_blocks) {
  const std::size_t n = 10000;
  std::vector<float> documents(n * 2, 1.0F), query = {1.0F, 1.0F}, scores(3);
  std::vector<std::int64_t> indices(3);
  revector::cosine_topk({query.data(), 1, 2}, {documents.data(), n, 2}, 3, {scores.data(), 1, 3},
                        {indices.data(), 1, 3});
  CHECK(indices == std::vector<std::int64_t>({0, 1, 2}));
}

TEST(topk_refuses_bad_arguments) {
  Rows queries(2, 4, 1), documents(3, 4, 2), other(3, 5, 3);
  std::vector<float> scores(8);
  std::vector<std::int64_t> indices(8);
  const auto search = [&](Rows& n, std::size_t k) {
    revector::cosine_topk(queries.view(), n.view(), k, {scores.data(), 2, k}, {indices.data(), 2, k});
  };
  CHECK_THROWS(revector::InvalidArgument, search(documents, 0));
  CHECK_THROWS(revector::InvalidArgument, search(documents, 4));
  CHECK_THROWS(revector::ShapeError, search(other, 1));
  documents.row(2)[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS(revector::NumericalError, search(documents, 1));
}

}  // namespace

TEST_MAIN()
