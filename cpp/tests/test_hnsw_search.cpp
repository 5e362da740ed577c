// Searches of other kinds: among some labels, within a radius, exact; and what is seen while somebody adds.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <thread>

#include "check.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;
using Labels = std::vector<std::int64_t>;

constexpr Metric all_metrics[] = {Metric::cosine, Metric::inner_product, Metric::l2};

/// Every label with its score, best first.
std::vector<std::pair<double, std::int64_t>> ranking(Metric metric, const float* query, Rows& x,
                                                     const std::set<std::int64_t>& allowed) {
  std::vector<std::pair<double, std::int64_t>> all;
  for (std::int64_t label : allowed)
    all.emplace_back(-exact_score(metric, query, x.row(static_cast<std::size_t>(label)), x.d), label);
  std::sort(all.begin(), all.end());
  for (auto& one : all) one.first = -one.first;
  return all;
}

struct Some {
  Some(const HnswIndex& index, Rows& queries, std::size_t k, std::size_t ef,
       std::optional<std::span<const std::int64_t>> allowed)
      : k(k), scores(queries.n * k), labels(queries.n * k) {
    index.search(queries.view(), k, ef, {scores.data(), queries.n, k}, {labels.data(), queries.n, k}, allowed);
  }
  std::size_t k;
  std::vector<float> scores;
  Labels labels;
};

Labels every(std::size_t step, std::size_t n) {
  Labels labels;
  for (std::size_t i = 0; i < n; i += step) labels.push_back(static_cast<std::int64_t>(i));
  return labels;
}

TEST(only_allowed_labels_are_found_and_those_are_the_nearest) {
  Rows x(4000, 16, 1), queries(20, 16, 2);
  for (Metric metric : all_metrics) {
    const HnswIndex index = HnswIndex::build(x.view(), first_labels(x.n), metric, {8, 100, 100});
    for (std::size_t step : {2, 5, 400}) {  // the last is few enough to be measured one by one
      const Labels allowed = every(step, x.n);
      const Some found(index, queries, 5, 100, allowed);
      std::size_t hits = 0;
      for (std::size_t q = 0; q < queries.n; ++q) {
        const auto expected = ranking(metric, queries.row(q), x, {allowed.begin(), allowed.end()});
        for (std::size_t i = 0; i < 5; ++i) {
          CHECK(found.labels[q * 5 + i] % static_cast<std::int64_t>(step) == 0);
          hits += found.labels[q * 5 + i] == expected[i].second ? 1 : 0;
        }
      }
      CHECK(static_cast<double>(hits) >= .95 * 100);
    }
  }
}

TEST(labels_that_are_not_there_or_deleted_are_not_found) {
  Rows x(50, 6, 1), queries(3, 6, 2);
  HnswIndex index(6, Metric::l2);
  index.add(x.view(), first_labels(50));
  index.mark_deleted(Labels{7});
  const Some found(index, queries, 4, 10, Labels{7, 9, 1000, 9, 3});
  for (std::size_t q = 0; q < queries.n; ++q) {
    const std::set<std::int64_t> first_two(found.labels.begin() + static_cast<std::ptrdiff_t>(q * 4),
                                           found.labels.begin() + static_cast<std::ptrdiff_t>(q * 4 + 2));
    CHECK(first_two == (std::set<std::int64_t>{3, 9}));
    CHECK(found.labels[q * 4 + 2] == -1 && found.labels[q * 4 + 3] == -1);
  }
  const Some nothing(index, queries, 1, 10, Labels{});
  CHECK(nothing.labels[0] == -1 && nothing.scores[0] == -std::numeric_limits<float>::infinity());
}

TEST(a_range_holds_what_scores_enough_and_nothing_else) {
  Rows x(3000, 8, 1), queries(20, 8, 2);
  for (Metric metric : all_metrics) {
    HnswIndex index = HnswIndex::build(x.view(), first_labels(x.n), metric, {16, 200, 100});
    index.mark_deleted(Labels{11});
    for (std::size_t rank : {0, 10, 300}) {
      std::size_t expected = 0, found = 0;
      for (std::size_t q = 0; q < queries.n; ++q) {
        std::set<std::int64_t> live;
        for (std::int64_t label = 0; label < 3000; ++label)
          if (label != 11) live.insert(label);
        const auto ranked = ranking(metric, queries.row(q), x, live);
        const auto least = static_cast<float>((ranked[rank].first + ranked[rank + 1].first) / 2);
        const auto range = index.range({queries.row(q), 1, 8}, least, 64);
        CHECK(range.offsets == (std::vector<std::size_t>{0, range.scores.size()}));
        CHECK(std::is_sorted(range.scores.rbegin(), range.scores.rend()));
        for (std::size_t i = 0; i < range.indices.size(); ++i) {
          CHECK(range.scores[i] >= least && range.indices[i] != 11);
          CHECK_NEAR(range.scores[i],
                     exact_score(metric, queries.row(q), x.row(static_cast<std::size_t>(range.indices[i])), 8), 1e-4);
        }
        expected += rank + 1;
        found += range.indices.size();
        CHECK(range.indices.size() <= rank + 1);
      }
      CHECK(static_cast<double>(found) >= .97 * static_cast<double>(expected));
    }
    const Labels some = every(10, x.n);
    const auto everything = index.range(queries.view(), -std::numeric_limits<float>::infinity(), 10, some);
    CHECK(everything.scores.size() == some.size() * queries.n);
    CHECK_THROWS(revector::InvalidArgument, index.range(queries.view(), NAN, 10));
    CHECK_THROWS(revector::InvalidArgument, index.range(queries.view(), 0, 0));
  }
}

TEST(an_exact_search_finds_what_is_nearest) {
  Rows x(5000, 12, 1), queries(70, 12, 2);
  for (Metric metric : all_metrics) {
    HnswIndex index = HnswIndex::build(x.view(), first_labels(x.n), metric, {4, 20, 100});
    index.mark_deleted(every(2, x.n));
    std::set<std::int64_t> live;
    for (std::int64_t label = 1; label < 5000; label += 2) live.insert(label);
    std::vector<float> scores(queries.n * 3);
    Labels labels(queries.n * 3);
    index.search_exact(queries.view(), 3, {scores.data(), queries.n, 3}, {labels.data(), queries.n, 3});
    for (std::size_t q = 0; q < queries.n; ++q) {
      const auto expected = ranking(metric, queries.row(q), x, live);
      for (std::size_t i = 0; i < 3; ++i) {
        CHECK(labels[q * 3 + i] == expected[i].second);
        CHECK_NEAR(scores[q * 3 + i], expected[i].first, 1e-4);
      }
    }
  }
}

TEST(numbers_of_the_question_take_no_memory) {
  Rows x(300, 8, 1), queries(5, 8, 2);
  HnswIndex index(8, Metric::l2, {4, 40, 1});
  index.add(x.view(), first_labels(300));
  const Found all(index, queries, 300, 300), broad(index, queries, 300, SIZE_MAX);
  CHECK(broad.labels == all.labels);
  CHECK(index.range(queries.view(), -1e30F, SIZE_MAX).indices == index.range(queries.view(), -1e30F, 300).indices);
  const Labels among = first_labels(300);
  CHECK(Some(index, queries, 3, SIZE_MAX, std::span(among)).labels ==
        Some(index, queries, 3, 300, std::nullopt).labels);
  std::vector<float> scores(queries.n);
  Labels labels(queries.n);
  const auto search = [&](std::size_t k) {
    index.search(queries.view(), k, 10, {scores.data(), queries.n, 1}, {labels.data(), queries.n, 1});
  };
  CHECK_THROWS(revector::InvalidArgument, search(SIZE_MAX));
  CHECK_THROWS(revector::InvalidArgument, search(0));
}

TEST(an_exact_search_may_be_among_some) {
  Rows x(300, 8, 1), queries(5, 8, 2);
  HnswIndex index(8, Metric::l2, {4, 40, 1});
  index.add(x.view(), first_labels(300));
  index.mark_deleted(Labels{7});
  const Labels among{7, 20, 21, 22, 9999};
  std::vector<float> scores(queries.n * 4);
  Labels labels(queries.n * 4);
  index.search_exact(queries.view(), 4, {scores.data(), queries.n, 4}, {labels.data(), queries.n, 4}, among);
  CHECK(labels == Some(index, queries, 4, 10, std::span(among)).labels);
  CHECK(std::count(labels.begin(), labels.end(), -1) == static_cast<std::ptrdiff_t>(queries.n));
}

TEST(searches_go_on_while_vectors_are_linked) {
  Rows x(6000, 24, 1), queries(4, 24, 2);
  HnswIndex index(24, Metric::cosine, {16, 200, 100});
  const Labels labels = first_labels(6000);
  index.add(x.view().slice(0, 500), std::span(labels).first(500));
  std::atomic<bool> done{false};
  std::atomic<int> meanwhile{0}, wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      while (!done) {
        const std::size_t before = index.size();
        const Some found(index, queries, 3, 40, std::nullopt);
        const Some among(index, queries, 3, 40, std::span(labels).first(3000));
        wrong += std::count(found.labels.begin(), found.labels.end(), -1) > 0 ? 1 : 0;
        wrong += std::any_of(among.labels.begin(), among.labels.end(), [](auto l) { return l < 0 || l >= 3000; });
        index.range(queries.view(), .9F, 20);
        meanwhile += index.size() > 500 && before < 5999 ? 1 : 0;
      }
    });
  index.add(x.view().slice(500, 6000), std::span(labels).subspan(500));  // one call: all that is seen is within it
  done = true;
  index.add(x.view().slice(0, 200), std::span(labels).first(200));
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(meanwhile > 0);
  CHECK(recall(index, x, queries, 10, 200) >= .9);
}

}  // namespace

TEST_MAIN()
