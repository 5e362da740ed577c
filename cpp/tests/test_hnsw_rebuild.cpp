// An index for a new model: the old graph under new vectors, and a graph made anew; and what health() says of it.
#include <algorithm>
#include <numeric>

#include "check.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;
using Labels = std::vector<std::int64_t>;

/// Vectors whose neighbours are nearly those of x.
Rows shaken(Rows& x, float share) {
  Rows y(x.n, x.d, 77);
  for (std::size_t i = 0; i < x.values.size(); ++i) y.values[i] = x.values[i] + share * y.values[i];
  return y;
}

TEST(a_stale_graph_serves_vectors_like_the_old_ones) {
  Rows x(3000, 16, 1), queries(30, 16, 2);
  Rows y = shaken(x, .1F);
  for (Metric metric : {Metric::cosine, Metric::inner_product, Metric::l2}) {
    const HnswIndex old = HnswIndex::build(x.view(), first_labels(x.n), metric);
    const HnswIndex stale = old.serve_stale(y.view(), first_labels(x.n));
    CHECK(stale.size() == 3000 && stale.labels() == old.labels() && stale.options().m == old.options().m);
    CHECK(recall(stale, y, queries, 10, 64) >= .9);
    CHECK(recall(old, x, queries, 10, 64) >= .97);
  }
}

TEST(a_stale_graph_may_have_another_dimension_and_keeps_what_is_deleted) {
  Rows x(1000, 16, 1), queries(10, 9, 2);
  Rows y(1000, 9, 3);
  HnswIndex old = HnswIndex::build(x.view(), first_labels(x.n), Metric::cosine);
  Labels gone, live;
  for (std::int64_t label = 0; label < 1000; ++label) (label % 3 == 0 ? gone : live).push_back(label);
  old.mark_deleted(gone);
  std::vector<float> rows;
  for (std::int64_t label : live)
    rows.insert(rows.end(), y.row(static_cast<std::size_t>(label)), y.row(static_cast<std::size_t>(label)) + 9);
  HnswIndex stale = old.serve_stale({rows.data(), live.size(), 9}, live);
  CHECK(stale.dim() == 9 && stale.size() == live.size() && !stale.contains(0));
  CHECK(recall(stale, y, queries, 5, 1000, {gone.begin(), gone.end()}) >= .99);  // ef of all: every node is reached
  CHECK_THROWS(revector::InvalidArgument,
               old.serve_stale({rows.data(), live.size() - 1, 9}, std::span(live).subspan(1)));
  live[0] = 0;  // deleted
  CHECK_THROWS(revector::InvalidArgument, old.serve_stale({rows.data(), live.size(), 9}, live));
  live[0] = live[1];
  CHECK_THROWS(revector::InvalidArgument, old.serve_stale({rows.data(), live.size(), 9}, live));
}

TEST(a_rebuilt_index_has_no_deleted_nodes_and_the_same_vectors) {
  Rows x(2000, 12, 1), queries(20, 12, 2), before(3, 12, 3), after(3, 12, 4);
  HnswIndex index(12, Metric::cosine, {8, 60, 7});
  index.add(x.view(), first_labels(2000));
  Labels gone(500);
  std::iota(gone.begin(), gone.end(), 100);
  index.mark_deleted(gone);
  const HnswIndex again = index.rebuilt();
  CHECK(again.size() == 1500 && again.health().deleted == 0 && index.health().deleted == 500);
  CHECK(again.options().m == 8 && again.options().ef_construction == 60 && again.options().seed == 7);
  CHECK(recall(again, x, queries, 10, 100, {gone.begin(), gone.end()}) >= .97);
  const Labels some = {0, 99, 1999};
  index.get_vectors(some, before.view());
  again.get_vectors(some, after.view());
  CHECK(before.values == after.values);
  CHECK(HnswIndex(4, Metric::l2).rebuilt().size() == 0);
}

TEST(health_counts_what_is_there) {
  Rows x(1500, 10, 1);
  HnswIndex index = HnswIndex::build(x.view(), first_labels(x.n), Metric::l2, {6, 60, 100});
  index.mark_deleted(Labels{1, 2, 3});
  const revector::HnswHealth health = index.health();
  CHECK(health.live == 1497 && health.deleted == 3 && health.unreachable == 0 && health.levels >= 3);
  CHECK(health.degrees.size() == 13);
  CHECK(std::accumulate(health.degrees.begin(), health.degrees.end(), std::size_t{0}) == 1500);
  CHECK(health.degrees[0] == 0);
  const revector::HnswHealth nothing = HnswIndex(3, Metric::l2).health();
  CHECK(nothing.live == 0 && nothing.levels == 0 && nothing.unreachable == 0);
}

}  // namespace

TEST_MAIN()
