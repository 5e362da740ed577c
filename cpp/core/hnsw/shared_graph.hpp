/// @file
/// A graph that many threads search while one changes it.
#pragma once

#include <mutex>
#include <utility>

#include "core/hnsw/gate.hpp"
#include "core/hnsw/graph.hpp"
#include "core/hnsw/links.hpp"
#include "core/hnsw/search.hpp"

namespace revector::hnsw {

/// Who changes the graph holds `writer` from beginning to end, so there is one at a time. Whoever looks at the graph
/// shares `gate`; the writer takes it alone only while vectors, labels, marks or the size change, which is short. Links
/// and the entry point change beside the searches, which then read them under `locks`.
struct SharedGraph {
  explicit SharedGraph(Graph graph) : graph(std::move(graph)) {}

  /// What a search must lock. The caller shares the gate, and goes on sharing it while it searches.
  NodeLocks* locks_to_read() { return linking ? &locks : nullptr; }

  Graph graph;
  NodeLocks locks;
  ScratchPool scratches;
  Gate gate;
  std::mutex writer;
  bool linking = false;  ///< links are being written; changes while the gate is held alone
};

}  // namespace revector::hnsw
