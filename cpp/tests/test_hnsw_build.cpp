#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "check.hpp"
#include "core/hnsw/bulk/build_all.hpp"
#include "core/hnsw/bulk/centroids.hpp"
#include "core/hnsw/bulk/clusters.hpp"
#include "core/hnsw/bulk/ranked.hpp"
#include "core/hnsw/bulk/reach.hpp"
#include "core/hnsw/graph.hpp"
#include "hnsw_rows.hpp"
#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;
using revector::hnsw::Graph;
using revector::hnsw::NodeId;

constexpr Metric all_metrics[] = {Metric::cosine, Metric::inner_product, Metric::l2};
constexpr revector::HnswOptions options{16, 100, 100};

HnswIndex built(Rows& x, Metric metric = Metric::cosine, revector::HnswOptions with = options) {
  return HnswIndex::build(x.view(), first_labels(x.n), metric, with);
}

Graph built_graph(Rows& x, Metric metric, revector::HnswOptions with = options) {
  Graph graph(x.d, metric, with);
  const revector::hnsw::Points points{x.n, x.d, [&](std::size_t i, float* out) { graph.prepare(x.row(i), out); }};
  revector::hnsw::build_all(graph, points, first_labels(x.n), nullptr);
  return graph;
}

/// Nodes that a walk from the entry point meets on a level.
std::size_t reached(const Graph& graph, std::size_t level) {
  std::vector<bool> seen(graph.size());
  std::vector<NodeId> open{graph.entry.id};
  seen[graph.entry.id] = true;
  std::size_t n = 0;
  while (!open.empty()) {
    const NodeId at = open.back();
    open.pop_back();
    ++n;
    for (NodeId link : graph.links(at, level))
      if (!seen[link]) {
        seen[link] = true;
        open.push_back(link);
      }
  }
  return n;
}

void check_sound(const Graph& graph) {
  std::size_t highest = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    highest = std::max(highest, graph.level(id));
    for (std::size_t level = 0; level <= graph.level(id); ++level) {
      const auto span = graph.links(id, level);
      std::vector<NodeId> links(span.begin(), span.end());
      CHECK(links.size() <= graph.capacity(level));
      std::sort(links.begin(), links.end());
      CHECK(std::adjacent_find(links.begin(), links.end()) == links.end());
      for (NodeId link : links) CHECK(link != id && link < graph.size() && graph.level(link) >= level);
    }
  }
  CHECK(graph.entry.level == highest && graph.level(graph.entry.id) == highest);
  for (std::size_t level = 0; level <= highest; ++level) {
    std::size_t nodes = 0;
    for (NodeId id = 0; id < graph.size(); ++id) nodes += graph.level(id) >= level;
    CHECK(reached(graph, level) == nodes);
  }
}

TEST(a_built_index_finds_what_an_exact_search_finds) {
  for (Metric metric : all_metrics)
    for (std::size_t d : {2, 7, 16, 96}) {
      Rows x(2000, d, 1), queries(20, d, 2);
      const HnswIndex index = built(x, metric);
      CHECK(index.size() == 2000);
      CHECK(recall(index, x, queries, 10, 128) >= (d == 96 ? 0.93 : 0.98));
      const Found found(index, queries, 10, 128);
      for (std::size_t q = 0; q < queries.n; ++q)
        for (std::size_t i = 0; i < 10; ++i)
          CHECK_NEAR(found.score(q, i), exact_score(metric, queries.row(q), x.row(found.label(q, i)), d), 1e-4);
    }
}

TEST(a_built_index_is_at_least_as_good_as_an_inserted_one) {
  for (Metric metric : all_metrics) {
    Rows x(3000, 64, 1), queries(100, 64, 2);
    HnswIndex inserted(64, metric, options);
    inserted.add(x.view(), first_labels(x.n));
    const HnswIndex index = built(x, metric);
    for (std::size_t ef : {10, 64})
      CHECK(recall(index, x, queries, 10, ef) >= recall(inserted, x, queries, 10, ef) - 0.01);
  }
}

TEST(every_node_is_reached_whatever_the_vectors) {
  for (Metric metric : all_metrics)
    for (std::size_t m : {2, 16}) {
      Rows x(1800, 12, 3);
      check_sound(built_graph(x, metric, {m, 40, 7}));
      for (std::size_t i = 0; i < 1200; ++i) std::copy_n(x.row(0), 12, x.row(i));  // copies of one
      for (std::size_t i = 1200; i < 1300; ++i) std::fill_n(x.row(i), 12, 0.0F);   // zero rows
      for (std::size_t i = 1300; i < 1400; ++i) x.row(i)[0] = 100;                 // a group far away
      check_sound(built_graph(x, metric, {m, 40, 7}));
    }
}

TEST(copies_are_all_found_and_hide_nothing) {
  for (Metric metric : all_metrics) {
    Rows x(3000, 24, 4);
    for (std::size_t i = 1; i < 300; ++i) std::copy_n(x.row(0), 24, x.row(i * 10));  // more than any list of candidates
    for (std::size_t i = 0; i < 5; ++i) std::copy_n(x.row(1), 24, x.row(i * 10 + 2));
    const Graph graph = built_graph(x, metric);
    check_sound(graph);
    const HnswIndex index = built(x, metric);
    Rows queries(30, 24, 6);
    std::copy_n(x.row(0), 24, queries.row(0));
    for (std::size_t q = 0; q < queries.n; ++q) {
      std::vector<float> exact(10), scores(10);
      std::vector<std::int64_t> labels(10);
      const revector::MatrixView<const float> query{queries.row(q), 1, 24};
      index.search_exact(query, 10, {exact.data(), 1, 10}, {labels.data(), 1, 10});
      index.search(query, 10, 200, {scores.data(), 1, 10}, {labels.data(), 1, 10});
      for (std::size_t i = 0; i < 10; ++i) CHECK_NEAR(scores[i], exact[i], 1e-5);
    }
    const std::size_t all = metric == Metric::inner_product ? 0 : 300;  // by product, longer rows come first
    const Found found(index, queries, 300, 600);
    for (std::size_t i = 0; i < all; ++i) CHECK(found.label(0, i) % 10 == 0);
  }
}

TEST(neighbours_rank_as_closer_orders_them) {
  const float distances[] = {-std::numeric_limits<float>::infinity(), -2, -1e-40F, -0.0F, 0, 1e-40F, 1, 3e38F};
  for (const float a : distances)
    for (const float b : distances)
      for (const NodeId id : {NodeId{0}, NodeId{7}, UINT32_MAX}) {
        const revector::hnsw::Neighbor one{a, id}, other{b, 7};
        const auto rank = revector::hnsw::ranked(a, id);
        CHECK((rank < revector::hnsw::ranked(b, 7)) == revector::hnsw::closer(one, other));
        CHECK(revector::hnsw::distance_of(rank) == a && revector::hnsw::id_of(rank) == id);
      }
}

TEST(the_first_of_many_are_those_of_a_sort) {
  std::mt19937_64 engine(1);
  for (const std::size_t n : {0U, 1U, 2U, 3U, 17U, 424U})
    for (const std::uint64_t distinct : {std::uint64_t{1}, std::uint64_t{5}, UINT64_MAX})
      for (std::size_t k = 0; k <= n + 1; k += 1 + n / 9) {
        std::vector<revector::hnsw::Ranked> all(n);
        for (auto& one : all) one = engine() % distinct;
        if (distinct == 5) std::sort(all.rbegin(), all.rend());
        std::vector<revector::hnsw::Ranked> sorted = all;
        std::sort(sorted.begin(), sorted.end());
        revector::hnsw::select_first(all, k);
        const auto first = static_cast<std::ptrdiff_t>(std::min(k, n));
        std::sort(all.begin(), all.begin() + first);
        std::sort(all.begin() + first, all.end());
        CHECK(all == sorted);
      }
}

TEST(unreached_parts_are_linked_even_where_all_lists_are_full) {
  Graph graph(2, Metric::l2, {2, 10, 1});
  for (NodeId id = 0; id < 40; ++id) {
    graph.append(id, 0);
    const float vector[] = {static_cast<float>(id), 0};
    graph.set_vector(id, vector);
  }
  std::vector<NodeId> all;
  for (NodeId id = 0; id < 40; ++id) {  // eight islands of five, each complete: every list is full
    std::vector<NodeId> links;
    for (NodeId other = id / 5 * 5; other < id / 5 * 5 + 5; ++other)
      if (other != id) links.push_back(other);
    graph.set_links(id, 0, links);
    all.push_back(id);
  }
  graph.entry = {0, 0};
  CHECK(reached(graph, 0) == 5);
  CHECK(revector::hnsw::make_reachable(graph, 0, all) == 7);
  CHECK(reached(graph, 0) == 40);
  CHECK(revector::hnsw::make_reachable(graph, 0, all) == 0);
}

TEST(tiny_collections_are_built_whole) {
  for (Metric metric : all_metrics)
    for (std::size_t n : {0, 1, 2, 3, 16, 17, 33, 100}) {
      Rows x(n, 5, 1), queries(4, 5, 2);
      const HnswIndex index = built(x, metric, {16, 40, 1});
      CHECK(index.size() == n);
      const std::size_t k = std::max<std::size_t>(n, 1);
      const Found found(index, queries, k, 256);
      for (std::size_t i = 0; i < n; ++i) CHECK(found.label(0, i) >= 0);
      if (n == 0) CHECK(found.label(0, 0) == -1);
    }
}

TEST(the_graph_does_not_depend_on_the_number_of_threads) {
  Rows x(2500, 32, 1);
  const std::size_t threads = revector::num_threads();
  revector::set_num_threads(1);
  const Graph one = built_graph(x, Metric::cosine);
  revector::set_num_threads(3);
  const Graph three = built_graph(x, Metric::cosine);
  revector::set_num_threads(threads);
  CHECK(one.entry.id == three.entry.id);
  for (NodeId id = 0; id < one.size(); ++id) {
    CHECK(one.label(id) == three.label(id) && one.level(id) == three.level(id));
    for (std::size_t level = 0; level <= one.level(id); ++level)
      CHECK(std::ranges::equal(one.links(id, level), three.links(id, level)));
  }
}

TEST(a_built_index_takes_further_changes) {
  Rows x(3000, 16, 1), more(600, 16, 2), queries(40, 16, 3);
  HnswIndex index = built(x);
  std::vector<std::int64_t> labels = first_labels(600);
  index.add(more.view(), labels);  // an update of the first 600
  std::copy_n(more.row(0), 600 * 16, x.row(0));
  CHECK(index.size() == 3000);
  CHECK(recall(index, x, queries, 10, 128) >= 0.98);
  index.mark_deleted(labels);
  CHECK(recall(index, x, queries, 10, 128, {labels.begin(), labels.end()}) >= 0.97);
}

TEST(what_can_not_be_built_is_refused) {
  Rows x(10, 4, 1);
  std::vector<std::int64_t> labels = first_labels(10);
  labels[3] = 7;
  CHECK_THROWS(revector::InvalidArgument, HnswIndex::build(x.view(), labels, Metric::cosine));
  labels[3] = -1;
  CHECK_THROWS(revector::InvalidArgument, HnswIndex::build(x.view(), labels, Metric::cosine));
  CHECK_THROWS(revector::ShapeError, HnswIndex::build(x.view(), first_labels(9), Metric::cosine));
  x.row(4)[2] = NAN;
  CHECK_THROWS(revector::NumericalError, HnswIndex::build(x.view(), first_labels(10), Metric::cosine));
}

TEST(a_build_can_be_followed_and_called_off) {
  Rows x(4000, 16, 1);
  revector::BuildWatch watch;
  HnswIndex::build(x.view(), first_labels(x.n), Metric::cosine, options, &watch);
  CHECK_NEAR(watch.share.load(), 1, 1e-9);
  watch.cancelled = true;
  CHECK_THROWS(revector::Cancelled, HnswIndex::build(x.view(), first_labels(x.n), Metric::cosine, options, &watch));
}

TEST(clusters_hold_every_point_once_and_none_is_too_large) {
  Rows x(5000, 8, 1);
  for (std::size_t i = 0; i < 3000; ++i) std::copy_n(x.row(0), 8, x.row(i));
  const revector::hnsw::Points points{5000, 8, [&](std::size_t i, float* out) { std::copy_n(x.row(i), 8, out); }};
  const auto clusters = revector::hnsw::cluster(points, Metric::l2, {128, 6, 12, 1});
  std::vector<std::uint32_t> order = clusters.order;
  std::sort(order.begin(), order.end());
  for (std::uint32_t i = 0; i < 5000; ++i) CHECK(order[i] == i);
  for (std::size_t c = 0; c < clusters.size(); ++c) {
    CHECK(clusters.members(c) >= 1 && clusters.members(c) <= 256);
    CHECK(clusters.around.of(c)[0] == c);
    const auto near = clusters.near(c, {clusters.members(c), 8, [&](std::size_t i, float* out) {
                                          std::copy_n(x.row(clusters.order[clusters.begin[c] + i]), 8, out);
                                        }});
    for (std::size_t i = 0; i < clusters.members(c); ++i) CHECK(near.of(i)[0] == c);
  }
}

TEST(the_centroids_found_near_a_point_are_the_nearest_but_for_a_few_in_far_groups) {
  Rows x(20000, 24, 5);
  const revector::hnsw::Points points{x.n, x.d, [&](std::size_t i, float* out) { std::copy_n(x.row(i), x.d, out); }};
  const revector::hnsw::Centroids centroids(points, Metric::l2, 300, 1);
  CHECK(centroids.size() >= 300 && centroids.size() <= 320);
  const std::size_t width = 20;
  const std::vector<std::uint32_t> near = centroids.nearest(points, true, width);
  std::vector<float> rows(centroids.size() * x.d);
  for (std::size_t c = 0; c < centroids.size(); ++c) centroids.points().read(c, &rows[c * x.d]);
  std::size_t found = 0;
  for (std::size_t i = 0; i < x.n; i += 400) {
    std::vector<std::uint32_t> order(centroids.size());
    std::iota(order.begin(), order.end(), 0);
    std::vector<double> score;
    for (std::uint32_t c : order) score.push_back(exact_score(Metric::l2, x.row(i), &rows[c * x.d], x.d));
    std::partial_sort(order.begin(), order.begin() + width, order.end(),
                      [&](std::uint32_t a, std::uint32_t b) { return score[a] > score[b]; });
    for (std::size_t j = 0; j < width; ++j)
      found += std::count(order.begin(), order.begin() + width, near[i * width + j]);
  }
  CHECK(static_cast<double>(found) >= .9 * 50 * width);
}

}  // namespace

TEST_MAIN()
