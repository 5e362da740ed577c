/// @file
/// Approximate nearest neighbours in a navigable small-world graph (HNSW; Malkov & Yashunin, arXiv:1603.09320), in the
/// file format of hnswlib 0.8.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "revector/export.hpp"
#include "revector/matrix.hpp"
#include "revector/similarity.hpp"

namespace revector {

struct SnapshotOptions;

/// What "near" means. Scores are always "higher is better".
enum class Metric {
  cosine,         ///< score = cosine similarity; vectors and queries are scaled to unit length, zero rows stay zero
  inner_product,  ///< score = dot product (hnswlib: distance 1 - score)
  l2              ///< score = -squared Euclidean distance (hnswlib: distance -score)
};

/// Shape of a graph.
struct HnswOptions {
  std::size_t m = 16;                 ///< links a node chooses; 2 m at level 0 at most. 2 to 10,000
  std::size_t ef_construction = 200;  ///< candidates looked at to choose them, at least m
  std::uint64_t seed = 100;           ///< of the levels: level of node i = f(seed, i), so it survives save and load
};

/// For another thread to follow a build, and to call it off.
struct BuildWatch {
  std::atomic<bool> cancelled{false};  ///< set it, and the build throws Cancelled within a second
  std::atomic<double> share{0};        ///< of the work that is done, 0 to 1
};

/// What a graph looks like; see HnswIndex::health().
struct HnswHealth {
  std::size_t live = 0, deleted = 0;  ///< nodes; deleted ones still cost memory and time
  std::size_t levels = 0;
  std::size_t unreachable = 0;       ///< live nodes that no path of links leads to from the entry point, at level 0
  std::vector<std::size_t> degrees;  ///< at level 0: how many nodes have 0, 1, ... 2 m links
};

/// A graph of labelled vectors. Labels are chosen by the caller: unique, not negative.
///
/// Threads: any number of searches and other const calls run side by side, and beside one call that changes the index;
/// others that would change it, save(), health(), rebuilt() and serve_stale() wait for that one to end. add() keeps
/// searches waiting only while it copies vectors in, about a millisecond at a time, and links them beside the searches,
/// which see each vector as soon as it is linked; so do not other changes, which are short, but for rotate(). A waiting
/// writer goes before readers that come later, so neither starves. Every call locks for itself: the object may be
/// shared without further care (but for move and destruction).
///
/// With one thread (set_num_threads(1)) the graph depends on the options and the sequence of calls alone.
class REVECTOR_API HnswIndex {
 public:
  /// An empty index.
  /// @param dim  elements of a vector, 1 to 1,048,576
  /// @throws InvalidArgument if dim or an option is out of range
  HnswIndex(std::size_t dim, Metric metric, HnswOptions options = {});
  /// An index of many vectors, made at once for a fraction of what add() costs, and at least as good: candidates for
  /// links come from rough products of whole clusters, measured again in float32, not from searches; of equal vectors
  /// one is linked for all. Nodes are numbered by nearness, so labels() gives that order, and neighbours lie close in
  /// memory. The graph does not depend on the number of threads. Every node can be reached from the entry point.
  /// @param vectors  [n x dim]; copied
  /// @param labels   n of them, each once
  /// @param watch    lives longer than the call
  /// @throws as the constructor and add() do; InvalidArgument if a label occurs twice; Cancelled
  ///         Cost: about 7,000 products of int8 rows a vector, growing with log n; beside the index, in memory, dim +
  ///         12 m bytes a vector and some megabytes a thread.
  static HnswIndex build(MatrixView<const float> vectors, std::span<const std::int64_t> labels, Metric metric,
                         HnswOptions options = {}, BuildWatch* watch = nullptr);
  /// The same live vectors in a graph made anew by build(): what deleted nodes took is given back, and so is what a
  /// graph loses by many changes. Searches of this index go on meanwhile; changes wait.
  /// @throws Cancelled, std::bad_alloc
  HnswIndex rebuilt(BuildWatch* watch = nullptr) const;
  /// The same graph under other vectors, of another model, say, and of any dimension: a stop-gap that serves until
  /// build() has made a graph for them. Who was near in the one space is often near in the other; how many neighbours
  /// are found, search_exact() tells.
  /// @param vectors  [live labels x dim]; copied
  /// @param labels   all live ones, in any order
  /// @throws as build() does. Cost: that of copying.
  HnswIndex serve_stale(MatrixView<const float> vectors, std::span<const std::int64_t> labels) const;
  ~HnswIndex();
  HnswIndex(HnswIndex&&) noexcept;
  HnswIndex& operator=(HnswIndex&&) noexcept;

  /// Insert vectors, or replace those whose label exists (a deleted one lives again). On the pool's threads.
  /// A replaced vector keeps its node: the neighbours it had choose anew among each other, then it chooses its own, as
  /// hnswlib's updatePoint does. If a label occurs twice, its last row counts.
  /// @param vectors  [n x dim]; copied
  /// @param labels   n of them
  /// @throws ShapeError, InvalidArgument (negative label), NumericalError (NaN, infinity, or a length whose square
  ///         overflows float32): nothing has changed then. std::bad_alloc: no new label was added (searches may have
  ///         met some for a while), existing ones may already hold their new vectors, and the graph is valid.
  ///         Cost: about ef_construction * m * log(size) distances a row; memory of dim floats and 2 m links a row, and
  ///         of dim bytes more from 192 dimensions to 4,096, by which searches tell what they need not measure.
  void add(MatrixView<const float> vectors, std::span<const std::int64_t> labels);

  /// Hide labels from every result; their nodes still lead searches onwards. Marking twice is the same as once.
  /// @throws InvalidArgument naming a label that was never added; nothing has changed then. Cost: O(labels).
  void mark_deleted(std::span<const std::int64_t> labels);
  /// Show marked labels again. Errors and cost as for mark_deleted.
  void unmark_deleted(std::span<const std::int64_t> labels);

  /// The k nearest live vectors of every query, approximately. Best first; ties by lower label. On the pool's threads.
  /// @param queries  [q x dim]
  /// @param ef       candidates kept while searching, the dial between recall and time; max(ef, k) is used, and no more
  ///                 than there are vectors
  /// @param scores   [q x k] owned by the caller; -infinity where fewer than k were found
  /// @param labels   [q x k] owned by the caller; -1 where fewer than k were found
  /// @param allowed  labels that may be found; those not in the index are passed over. Where they are few, all of them
  ///                 are measured, and the result is exact
  /// @throws ShapeError, InvalidArgument (k is 0, or more than any index holds), NumericalError (as for add).
  ///         Cost: about ef * m distances a query, more where few labels are allowed; scratch of 2 bytes a node and
  ///         thread, kept for the next search; a lookup and a byte a node for `allowed`.
  void search(MatrixView<const float> queries, std::size_t k, std::size_t ef, MatrixView<float> scores,
              MatrixView<std::int64_t> labels,
              std::optional<std::span<const std::int64_t>> allowed = std::nullopt) const;
  /// The k nearest live vectors of every query, by measuring all. As search() otherwise. Cost: size * dim FMA a query.
  void search_exact(MatrixView<const float> queries, std::size_t k, MatrixView<float> scores,
                    MatrixView<std::int64_t> labels,
                    std::optional<std::span<const std::int64_t>> allowed = std::nullopt) const;
  /// All live vectors whose score is at least `least_score`, approximately: those that a search which keeps ef
  /// candidates, and everything it finds above the score, comes by. Indices are labels.
  /// @param ef       as for search(); what lies apart from the rest is only found by a broad search
  /// @param allowed  as for search()
  /// @throws as search(); InvalidArgument (ef is 0, a score that is NaN)
  RangeResults range(MatrixView<const float> queries, float least_score, std::size_t ef,
                     std::optional<std::span<const std::int64_t>> allowed = std::nullopt) const;

  /// Rotate every vector in place, v W, deleted ones too: distances stay what they are, and so the graph stays right.
  /// @param rotation  [dim x dim] orthogonal: no element of W W^T - I above 1e-4
  /// @throws ShapeError, InvalidArgument (not orthogonal); nothing has changed then. Cost: size * dim^2 FMA.
  void rotate(MatrixView<const float> rotation);

  /// Copy out vectors, as they are stored (unit rows for cosine).
  /// @param out  [labels x dim] owned by the caller
  /// @throws ShapeError; InvalidArgument naming a label that is unknown or deleted
  void get_vectors(std::span<const std::int64_t> labels, MatrixView<float> out) const;

  /// Look at the whole graph. Cost: O(links), in one thread.
  HnswHealth health() const;

  /// Live labels, in the order in which they were first added.
  std::vector<std::int64_t> labels() const;
  /// Whether the label is there and not deleted.
  bool contains(std::int64_t label) const;
  /// Number of live labels.
  std::size_t size() const;

  std::size_t dim() const;
  Metric metric() const;
  HnswOptions options() const;

  /// Write hnswlib's format. The file appears whole or not at all: it is written beside `path`, synced, then renamed.
  /// @param capacity  vectors that hnswlib, which never makes room itself, will have room for; none: that of the file
  ///                  this index was read from, and a quarter more than it holds, or 10,000 more if that is more
  /// @throws InvalidArgument (a capacity below what is there, deleted ones included), IoError. Searches may go on
  ///         meanwhile.
  void save(const std::string& path, std::optional<std::size_t> capacity = std::nullopt) const;
  /// What save() writes, in memory.
  std::string to_bytes() const;
  /// Write a read-only copy in our own format, to be opened by HnswSnapshot (hnsw_snapshot.hpp). Files as in save().
  /// @throws IoError; NumericalError (float16, and an element above 65,504); InvalidArgument (int8 and more than
  ///         131,072 dimensions). Searches may go on meanwhile.
  void save_snapshot(const std::string& path, const SnapshotOptions& options) const;

  /// Read hnswlib's format, whoever wrote it. Neither metric nor seed is in the file.
  /// Everything is checked before it is believed: a damaged file never gives more than an exception, and no more memory
  /// is taken than the size of the file explains.
  /// @throws CorruptIndex naming offset and reason; ShapeError if the file holds vectors of another dimension;
  ///         InvalidArgument if they are longer than the metric makes them; UnsupportedIndex (another format); IoError
  static HnswIndex load(const std::string& path, std::size_t dim, Metric metric, std::uint64_t seed = 100);
  /// As load(), of what to_bytes() returned.
  static HnswIndex from_bytes(std::span<const char> bytes, std::size_t dim, Metric metric, std::uint64_t seed = 100);
  /// Read what faiss (1.7 to 1.15) writes of an IndexHNSWFlat, alone or in an IndexIDMap, whose ids become labels;
  /// otherwise labels count from 0.
  /// @param metric  none: that of the file. Cosine where all vectors are of unit length (or zero), which links them
  ///                alike
  /// @throws CorruptIndex naming offset and reason; UnsupportedIndex for other kinds of indexes, and for ids that are
  ///         negative or occur twice; InvalidArgument (the metric does not suit the file, or the vectors' lengths);
  ///         IoError
  static HnswIndex load_faiss(const std::string& path, std::optional<Metric> metric = std::nullopt,
                              std::uint64_t seed = 100);

 private:
  struct Impl;
  explicit HnswIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
