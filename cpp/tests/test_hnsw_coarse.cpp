// Coarse rows: their bounds hold for every vector, and walks that trust them are the walks that measure everything.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "check.hpp"
#include "core/hnsw/bulk/build_all.hpp"
#include "core/hnsw/coarse_rows.hpp"
#include "core/hnsw/file.hpp"
#include "core/hnsw/revectored.hpp"
#include "core/hnsw/rounding.hpp"
#include "core/hnsw/search.hpp"
#include "core/hnsw/shared_graph.hpp"
#include "core/hnsw/writer.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;
using revector::hnsw::CoarseQuery;
using revector::hnsw::CoarseRows;
using revector::hnsw::Distance;
using revector::hnsw::Graph;
using revector::hnsw::GraphDistances;
using revector::hnsw::Neighbor;
using revector::hnsw::NodeId;
using revector::hnsw::Scratch;

constexpr Metric all_metrics[] = {Metric::cosine, Metric::inner_product, Metric::l2};

/// Rows of every kind that may be hard to round: of all magnitudes, of one element, of one large among small ones.
Rows hard_rows(std::size_t d, unsigned seed) {
  Rows x(24, d, seed);
  const float magnitudes[] = {1, 0, 1e-18F, 1e-30F, 1e-44F, 1e17F, 1e-3F, 30};
  for (std::size_t i = 0; i < x.n; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      float& element = x.row(i)[j];
      if (i % 3 == 1 && j != i) element = 0;
      if (i % 3 == 2 && j != i) element *= 1e-4F;
      element *= magnitudes[i / 3];
    }
  return x;
}

/// What rounding takes from a row: the query that its coarse row is most wrong about.
std::vector<float> lost(const float* row, std::size_t d) {
  const float step = revector::hnsw::rounding_step(row, d, 127);
  std::vector<float> left(row, row + d);
  for (float& element : left)
    if (step > 0) element -= step * std::nearbyint(element / step);
  return left;
}

TEST(a_distance_is_never_below_what_its_coarse_row_says) {
  for (Metric metric : all_metrics)
    for (std::size_t d : {std::size_t{192}, std::size_t{197}, std::size_t{384}, std::size_t{4096}}) {
      Rows x = hard_rows(d, 1), queries = hard_rows(d, 2);
      CoarseRows coarse(d);
      coarse.reserve(x.n);
      for (std::size_t i = 0; i < x.n; ++i) {
        revector::hnsw::prepare_row(metric, x.row(i), x.row(i), d);
        coarse.set(i, x.row(i));
      }
      const Distance distance(metric, d);
      const auto check = [&](const float* vector) {
        std::vector<float> query(vector, vector + d);
        revector::hnsw::prepare_row(metric, vector, query.data(), d);
        const CoarseQuery coarse_query(metric, query.data(), d);
        for (std::size_t i = 0; i < x.n; ++i)
          CHECK(coarse_query.least_distance(coarse.row(i)) <= distance(query.data(), x.row(i)));
      };
      for (std::size_t q = 0; q < queries.n; ++q) {
        check(queries.row(q));
        check(lost(x.row(q), d).data());
      }
    }
}

TEST(it_says_little_less) {
  Rows x(100, 384, 1), queries(10, 384, 2);
  CoarseRows coarse(x.d);
  coarse.reserve(x.n);
  for (Metric metric : {Metric::cosine, Metric::l2})
    for (std::size_t q = 0; q < queries.n; ++q) {
      revector::hnsw::prepare_row(Metric::cosine, queries.row(q), queries.row(q), x.d);
      const CoarseQuery query(metric, queries.row(q), x.d);
      for (std::size_t i = 0; i < x.n; ++i) {
        revector::hnsw::prepare_row(Metric::cosine, x.row(i), x.row(i), x.d);
        coarse.set(i, x.row(i));
        CHECK(query.least_distance(coarse.row(i)) > Distance(metric, x.d)(queries.row(q), x.row(i)) - .025);
      }
    }
}

/// Measures everything.
struct AllDistances {
  float operator()(NodeId id) const { return graph.distance()(query, graph.vector(id)); }
  static void prefetch(NodeId) {}
  static bool excludes(NodeId, float) { return false; }
  const Graph& graph;
  const float* query;
};

template <class Distances>
std::vector<Neighbor> walked(const Graph& graph, const float* query, Scratch& scratch) {
  const Distances distance_to{graph, query};
  const revector::hnsw::PlainLinks read(graph);
  scratch.begin(graph.size());
  const Neighbor start = revector::hnsw::descend_to(distance_to, read.entry(), 0, read);
  revector::hnsw::walk_level(distance_to, start, 0, revector::hnsw::Beam(scratch.best, 40), scratch, read,
                             [](NodeId) { return true; });
  std::sort(scratch.best.begin(), scratch.best.end(), revector::hnsw::closer);
  return scratch.best;
}

/// Every walk is the one that measures everything, and most distances are not measured.
void check_walks(const Graph& graph, Rows& queries) {
  CHECK(graph.coarse() != nullptr);
  Scratch scratch;
  std::vector<float> query(queries.d);
  std::size_t excluded = 0;
  for (std::size_t q = 0; q < queries.n; ++q) {
    graph.prepare(queries.row(q), query.data());
    const auto expected = walked<AllDistances>(graph, query.data(), scratch);
    const auto found = walked<GraphDistances>(graph, query.data(), scratch);
    CHECK(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      CHECK(found[i].id == expected[i].id && found[i].distance == expected[i].distance);
    const GraphDistances distance_to(graph, query.data());
    for (NodeId id = 0; id < graph.size(); ++id) excluded += distance_to.excludes(id, found.back().distance) ? 1 : 0;
  }
  CHECK(excluded > graph.size() * queries.n * 3 / 4);
}

Graph built(Rows& x, Metric metric) {
  Graph graph(x.d, metric, {8, 60, 1});
  const revector::hnsw::Points points{x.n, x.d, [&](std::size_t i, float* out) { graph.prepare(x.row(i), out); }};
  revector::hnsw::build_all(graph, points, first_labels(x.n), nullptr);
  return graph;
}

TEST(walks_are_those_that_measure_everything_however_the_vectors_came) {
  Rows x(600, 200, 1), more(600, 200, 2), queries(20, 200, 3);
  for (Metric metric : all_metrics) {
    const Graph graph = built(x, metric);
    check_walks(graph, queries);
    check_walks(revector::hnsw::revectored(graph, more.view(), first_labels(more.n)), queries);
    const std::string path = std::filesystem::temp_directory_path() / ("revector_coarse_" + std::to_string(getpid()));
    revector::hnsw::save(graph, path, {});
    {
      revector::FileReader file(path);
      check_walks(revector::hnsw::load(file, x.d, metric, 1), queries);
    }
    std::filesystem::remove(path);
    revector::hnsw::SharedGraph inserted(Graph(x.d, metric, {8, 60, 1}));
    revector::hnsw::add(inserted, x.view(), first_labels(x.n));
    check_walks(inserted.graph, queries);
    revector::hnsw::add(inserted, more.view(), first_labels(more.n));  // in place
    check_walks(inserted.graph, queries);
  }
}

TEST(a_rotated_index_finds_what_it_found) {
  Rows x(600, 200, 1), queries(20, 200, 3);
  HnswIndex index = HnswIndex::build(x.view(), first_labels(x.n), Metric::cosine, {8, 60, 1});
  Rows turn(200, 200, 0), turned(queries.n, 200, 0);
  for (std::size_t i = 0; i < 200; ++i)
    for (std::size_t j = 0; j < 200; ++j) turn.row(i)[j] = j == (i + 1) % 200 ? 1.0F : 0.0F;
  for (std::size_t q = 0; q < queries.n; ++q)
    for (std::size_t i = 0; i < 200; ++i) turned.row(q)[(i + 1) % 200] = queries.row(q)[i];
  const Found before(index, queries, 10, 40);
  index.rotate(turn.view());
  CHECK(Found(index, turned, 10, 40).labels == before.labels);
}

}  // namespace

TEST_MAIN()
