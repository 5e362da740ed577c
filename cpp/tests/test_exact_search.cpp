// Exact search beside a sort of all cosines in float64: element types, filters, ranges, copies, extreme rows.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

#include "check.hpp"
#include "core/similarity/search.hpp"
#include "core/similarity/unit_rows_packed.hpp"
#include "random_rows.hpp"
#include "revector/exact_index.hpp"
#include "revector/similarity.hpp"

namespace {

using revector::ElementType;
using revector::ExactIndex;
using revector::Precision;
using revector::RowsView;
using revector::TopKOptions;

struct Results {
  Results(std::size_t q, std::size_t k) : q(q), k(k), scores(q * k), indices(q * k) {}
  revector::MatrixView<float> score_view() { return {scores.data(), q, k}; }
  revector::MatrixView<std::int64_t> index_view() { return {indices.data(), q, k}; }
  bool operator==(const Results& other) const { return scores == other.scores && indices == other.indices; }

  std::size_t q, k;
  std::vector<float> scores;
  std::vector<std::int64_t> indices;
};

Results topk(Rows& queries, RowsView documents, std::size_t k, const TopKOptions& options = {}) {
  Results found(queries.n, k);
  revector::cosine_topk(queries.view(), documents, k, found.score_view(), found.index_view(), options);
  return found;
}

Results topk_of_index(const ExactIndex& index, Rows& queries, std::size_t k,
                      std::span<const std::uint8_t> allowed = {}) {
  Results found(queries.n, k);
  index.search(queries.view(), k, found.score_view(), found.index_view(), allowed);
  return found;
}

/// The definition: every cosine in float64, rounded to float32, sorted; ties by lower index.
Results sorted_cosines(Rows& queries, Rows& documents, std::size_t k, std::span<const std::uint8_t> allowed = {}) {
  Results found(queries.n, k);
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<std::pair<float, std::int64_t>> all;
    for (std::size_t i = 0; i < documents.n; ++i)
      if (allowed.empty() || allowed[i] != 0)
        all.emplace_back(-static_cast<float>(cosine(queries.row(q), documents.row(i), documents.d)), i);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), all.end());
    for (std::size_t i = 0; i < k; ++i) {
      found.scores[q * k + i] = -all[i].first;
      found.indices[q * k + i] = all[i].second;
    }
  }
  return found;
}

/// Scores within float32's rounding, and the same documents but for ties of that size.
void check_same(const Results& found, const Results& expected) {
  for (std::size_t i = 0; i < found.scores.size(); ++i) {
    CHECK_NEAR(found.scores[i], expected.scores[i], 1.2e-7);
    const bool tied = i + 1 < found.scores.size() && std::abs(expected.scores[i] - expected.scores[i + 1]) < 2e-7;
    const bool tied_before = i > 0 && std::abs(expected.scores[i] - expected.scores[i - 1]) < 2e-7;
    CHECK(tied || tied_before || found.indices[i] == expected.indices[i]);
  }
}

TEST(results_are_those_of_a_sort_in_float64) {
  for (std::size_t d : {2, 63, 64, 100, 384})
    for (std::size_t n : {12, 256, 257, 3000}) {
      Rows documents(n, d, 1), many(300, d, 2), few(3, d, 3);
      const ExactIndex index(documents.view());
      for (Rows* queries : {&many, &few}) {
        const Results expected = sorted_cosines(*queries, documents, 10);
        const Results once = topk(*queries, documents.view(), 10);
        check_same(once, expected);
        CHECK(topk_of_index(index, *queries, 10) == once);
      }
    }
}

TEST(documents_that_nearly_tie_are_told_apart) {
  Rows documents(4000, 128, 1), queries(20, 128, 2);
  for (std::size_t i = 1; i < documents.n; ++i)  // one direction and a little noise: int8 sees hardly a difference
    for (std::size_t j = 0; j < documents.d; ++j)
      documents.row(i)[j] = documents.row(0)[j] + 1e-3F * documents.row(i)[j];
  check_same(topk(queries, documents.view(), 10), sorted_cosines(queries, documents, 10));
}

TEST(copies_are_listed_by_index_however_many_there_are) {
  Rows documents(20000, 64, 1), queries(2, 64, 2);
  for (std::size_t i = 1; i < documents.n; ++i) std::copy_n(documents.row(0), 64, documents.row(i));
  std::fill_n(queries.row(1), 64, 0.0F);  // a zero query ties with everything
  std::vector<std::int64_t> first(10);
  std::iota(first.begin(), first.end(), 0);
  const ExactIndex index(documents.view());
  for (const Results& found : {topk(queries, documents.view(), 10), topk_of_index(index, queries, 10)})
    for (std::size_t q = 0; q < 2; ++q)
      CHECK(std::equal(first.begin(), first.end(), found.indices.begin() + static_cast<std::ptrdiff_t>(10 * q)));
}

TEST(rows_of_extreme_sizes_are_searched_exactly) {
  Rows documents(600, 96, 1), queries(40, 96, 2);
  for (std::size_t j = 0; j < 96; ++j) {
    documents.row(5)[j] *= 1e-38F;  // its squares vanish in float32
    documents.row(6)[j] *= 1e36F;   // overflow
    documents.row(7)[j] = 0;
    queries.row(3)[j] *= 1e-30F;
  }
  documents.row(8)[11] = 1e6F;  // one element takes all of int8's steps
  queries.row(4)[11] = -1e6F;
  const Results expected = sorted_cosines(queries, documents, 600);
  check_same(topk(queries, documents.view(), 600), expected);
  check_same(topk_of_index(ExactIndex(documents.view()), queries, 600), expected);
}

TEST(the_bound_of_the_kth_largest_is_never_above_it) {
  for (std::size_t k : {1, 7, 100}) {
    Rows numbers(1, 2000, static_cast<unsigned>(k));
    revector::KthLargest largest(k);
    std::vector<float> sorted;
    for (float number : numbers.values) {
      largest.push(number);
      sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), number, std::greater<>()), number);
      CHECK(largest.bound() <= (sorted.size() < k ? -std::numeric_limits<float>::infinity() : sorted[k - 1]));
    }
    largest.tighten();
    CHECK(largest.bound() == sorted[k - 1]);
  }
  revector::KthLargest none(0);
  none.push(1);
  none.tighten();
  CHECK(none.bound() == -std::numeric_limits<float>::infinity());
}

TEST(only_candidates_that_may_be_among_the_best_are_scored_exactly) {
  revector::Candidates found(2);
  for (int i = 0; i < 100; ++i) found.offer(static_cast<float>(i), 1.5F, i);
  struct Counting {
    float operator()(std::int64_t index) {
      ++*scored;
      return static_cast<float>(index) + .25F;
    }
    void expect(std::int64_t) const {}
    int* scored;
  };
  int scored = 0;
  found.decide(Counting{&scored});
  CHECK(found.results().size() == 2 && found.results()[0].index == 99 && found.results()[1].score == 98.25F);
  CHECK(scored == 3);  // 97 might have been 98.5, 96 at most 97.5
}

TEST(margins_hold_for_every_pair) {
  Rows documents(512, 200, 1), queries(100, 200, 2);
  for (std::size_t i = 0; i < 200; ++i) {
    documents.row(3)[i] = i == 7 ? 1.0F : 1e-3F;
    documents.row(4)[i] = 1;
    queries.row(5)[i] = std::abs(queries.row(5)[i]);
  }
  for (Precision precision : {Precision::float32, Precision::bfloat16, Precision::int8}) {
    const revector::UnitQueries unit(queries.view(), 0, queries.n, precision);
    revector::RowReader read(documents.view());
    revector::AlignedFloats memory;
    const auto block = revector::UnitBlock::pack(read, documents.d, 0, 256, precision, memory);
    std::vector<float> scores(queries.n * 256);
    block.panels.multiply(unit.operand(), nullptr, {scores.data(), queries.n, 256});
    for (std::size_t q = 0; q < queries.n; ++q)
      for (std::size_t i = 0; i < 256; ++i) {
        const double error = std::abs(scores[q * 256 + i] - cosine(queries.row(q), documents.row(i), documents.d));
        CHECK(error <= revector::score_margin(unit.rounding(q), block.rounding[i], documents.d));
      }
  }
}

TEST(only_allowed_documents_are_found) {
  Rows documents(2000, 80, 1), queries(50, 80, 2);
  std::vector<std::uint8_t> allowed(documents.n);
  for (std::size_t i = 0; i < documents.n; i += 37) allowed[i] = 1;
  const Results expected = sorted_cosines(queries, documents, 10, allowed);
  TopKOptions options;
  options.allowed = allowed;
  check_same(topk(queries, documents.view(), 10, options), expected);
  check_same(topk_of_index(ExactIndex(documents.view()), queries, 10, allowed), expected);
  CHECK_THROWS(revector::InvalidArgument, topk(queries, documents.view(), 56, options));  // 55 are allowed
  options.allowed = std::span(allowed).first(1999);
  CHECK_THROWS(revector::ShapeError, topk(queries, documents.view(), 10, options));
}

TEST(a_range_is_all_from_the_threshold_up) {
  Rows documents(3000, 70, 1), queries(20, 70, 2);
  const float threshold = .25F;
  const auto once = revector::cosine_range(queries.view(), documents.view(), threshold);
  const auto index = ExactIndex(documents.view()).range(queries.view(), threshold);
  CHECK(once.offsets == index.offsets && once.scores == index.scores && once.indices == index.indices);
  CHECK(once.offsets.size() == queries.n + 1 && once.offsets.back() > 100);
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::size_t expected = 0;
    for (std::size_t i = 0; i < documents.n; ++i)
      expected += static_cast<float>(cosine(queries.row(q), documents.row(i), 70)) >= threshold;
    CHECK(once.offsets[q + 1] - once.offsets[q] == expected);
    CHECK(std::is_sorted(once.scores.begin() + static_cast<std::ptrdiff_t>(once.offsets[q]),
                         once.scores.begin() + static_cast<std::ptrdiff_t>(once.offsets[q + 1]), std::greater<>()));
  }
  CHECK_THROWS(revector::InvalidArgument,
               revector::cosine_range(queries.view(), documents.view(), std::numeric_limits<float>::quiet_NaN()));
}

TEST(stored_rows_of_every_type_are_searched_as_the_numbers_they_hold) {
  Rows documents(700, 72, 1), queries(30, 72, 2);
  std::vector<std::uint16_t> truncated(documents.values.size());
  std::vector<std::int8_t> bytes(documents.values.size());
  Rows as_bfloat16 = documents, as_int8 = documents;
  for (std::size_t i = 0; i < documents.values.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &documents.values[i], 4);
    truncated[i] = static_cast<std::uint16_t>(bits >> 16U);
    bits &= 0xFFFF0000U;
    std::memcpy(&as_bfloat16.values[i], &bits, 4);
    bytes[i] = static_cast<std::int8_t>(documents.values[i] * 20);
    as_int8.values[i] = bytes[i];
  }
  const RowsView stored_bfloat16(truncated.data(), ElementType::bfloat16, 700, 72, 72);
  const RowsView stored_int8(bytes.data(), ElementType::int8, 700, 72, 72);
  CHECK(topk(queries, stored_bfloat16, 10) == topk(queries, as_bfloat16.view(), 10));
  CHECK(topk(queries, stored_int8, 10) == topk(queries, as_int8.view(), 10));
  CHECK(topk_of_index(ExactIndex(stored_int8), queries, 10) == topk(queries, as_int8.view(), 10));
}

TEST(lower_precisions_are_near_and_need_the_rows_no_more) {
  Rows documents(1500, 128, 1), queries(25, 128, 2);
  const Results exact = topk(queries, documents.view(), 5);
  for (Precision precision : {Precision::bfloat16, Precision::int8}) {
    TopKOptions options;
    options.precision = precision;
    const Results near = topk(queries, documents.view(), 5, options);
    for (std::size_t i = 0; i < exact.scores.size(); ++i) CHECK_NEAR(near.scores[i], exact.scores[i], .01);
    Rows copy = documents;
    const ExactIndex index(copy.view(), precision);
    std::fill(copy.values.begin(), copy.values.end(), 0.0F);
    CHECK(topk_of_index(index, queries, 5) == near);
  }
}

TEST(an_empty_index_and_no_queries_are_fine) {
  Rows none(0, 8, 1), queries(2, 8, 2), documents(4, 8, 3);
  const ExactIndex index(none.view());
  CHECK(index.size() == 0);
  CHECK(index.range(queries.view(), 0).offsets == std::vector<std::size_t>({0, 0, 0}));
  CHECK_THROWS(revector::InvalidArgument, topk_of_index(index, queries, 1));
  CHECK(topk(none, documents.view(), 2).scores.empty());
}

TEST(rows_that_are_not_finite_are_named) {
  Rows documents(300, 64, 1), queries(9, 64, 2);
  documents.row(270)[3] = std::numeric_limits<float>::infinity();
  CHECK_THROWS(revector::NumericalError, topk(queries, documents.view(), 1));
  CHECK_THROWS(revector::NumericalError, ExactIndex(documents.view()));
  documents.row(270)[3] = 0;
  queries.row(8)[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS(revector::NumericalError, topk(queries, documents.view(), 1));
}

}  // namespace

TEST_MAIN()
