/// @file
/// An HNSW graph as a file that is searched where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "revector/export.hpp"
#include "revector/hnsw.hpp"
#include "revector/matrix.hpp"
#include "revector/rows_view.hpp"

namespace revector {

/// What a snapshot holds; see HnswIndex::save_snapshot().
struct SnapshotOptions {
  /// How the vectors are stored that searches walk over. int8: a step for each vector, its largest element / 127.
  ElementType type = ElementType::int8;
  /// Whether the vectors are there in float32 too, so that what a walk finds is scored by them. Without them, scores
  /// are those of the rounded vectors. Nothing is stored twice where `type` is float32.
  bool rescore = true;
};

/// A read-only index in a file that is mapped into memory: opening reads the header alone; processes that open the same
/// file share its pages; what is not searched is not read. Vectors of fewer bits take fewer pages and less time; with
/// `rescore` the float32 ones are only read for the candidates of each query.
///
/// What searches follow is looked at as they follow it. A file whose damage leads out of it gives CorruptIndex, from
/// any call, never more; other damage gives wrong results until verify() tells.
///
/// The file must not be changed in place while it is open. save_snapshot() never does that: it puts a new file in the
/// place of the old one, which lives on for those who have it open.
///
/// Threads: any number of calls side by side (but for move and destruction).
class REVECTOR_API HnswSnapshot {
 public:
  /// Open a file of HnswIndex::save_snapshot(). Header and size are checked.
  /// @throws CorruptIndex naming offset and reason; UnsupportedIndex for other formats and newer versions; IoError.
  ///         Cost: about pages, however large the file is
  explicit HnswSnapshot(const std::string& path);
  ~HnswSnapshot();
  HnswSnapshot(HnswSnapshot&&) noexcept;
  HnswSnapshot& operator=(HnswSnapshot&&) noexcept;

  /// Read the whole file, compare all checksums and look at all that checksums do not tell: every link, every level,
  /// the order of the labels. @throws CorruptIndex naming offset and reason
  void verify() const;

  /// The same file without some labels, as if they were deleted in it: they lead searches onwards, and are not found.
  /// Both share the file and the memory that searches need, and may be used, and go, independently of each other.
  /// @param labels  those that are not there are passed over
  /// @throws CorruptIndex. Cost: a look-up a label, and a copy of an eighth of a byte a node
  HnswSnapshot without(std::span<const std::int64_t> labels) const;

  /// The k nearest live vectors of every query, approximately: as HnswIndex::search(), arguments and errors too.
  /// The ef candidates of a walk are scored in float32 where the file has float32 vectors. Where few vectors may be
  /// found, all of them are measured, which is faster then, and exact.
  void search(MatrixView<const float> queries, std::size_t k, std::size_t ef, MatrixView<float> scores,
              MatrixView<std::int64_t> labels,
              std::optional<std::span<const std::int64_t>> allowed = std::nullopt) const;
  /// The k nearest live vectors of every query by the most exact vectors of the file, by measuring all.
  void search_exact(MatrixView<const float> queries, std::size_t k, MatrixView<float> scores,
                    MatrixView<std::int64_t> labels,
                    std::optional<std::span<const std::int64_t>> allowed = std::nullopt) const;
  /// Copy out vectors, the most exact ones the file has.
  /// @param out  [labels x dim] owned by the caller
  /// @throws ShapeError; InvalidArgument naming a label that is unknown or deleted
  void get_vectors(std::span<const std::int64_t> labels, MatrixView<float> out) const;
  /// Copy out the vectors of those labels that are there, one after the other; the others are passed over.
  /// @param found  [labels] owned by the caller; whether each is there
  /// @param out    [labels x dim] owned by the caller; as many rows are written as labels were found
  /// @returns how many
  /// @throws ShapeError
  std::size_t find_vectors(std::span<const std::int64_t> labels, std::span<bool> found, MatrixView<float> out) const;

  /// Look at the whole graph; what was left out counts as deleted. @throws CorruptIndex. Cost: O(links), in one thread.
  HnswHealth health() const;

  /// Live labels, in the order of the nodes.
  std::vector<std::int64_t> labels() const;
  /// Whether the label is there and not deleted.
  bool contains(std::int64_t label) const;
  /// Number of live labels.
  std::size_t size() const;

  std::size_t dim() const;
  Metric metric() const;
  HnswOptions options() const;
  /// How the vectors are stored that searches walk over, and whether what they find is scored in float32.
  SnapshotOptions storage() const;

 private:
  struct Impl;
  explicit HnswSnapshot(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Makes a snapshot of vectors that come in batches. The file is the one that HnswIndex::build() and save_snapshot()
/// would write, but the vectors are in memory once. For one thread.
class REVECTOR_API SnapshotBuilder {
 public:
  /// @param expected  vectors that will come, more or fewer: room for them is made at once, and used as they come
  /// @throws InvalidArgument if dim or an option is out of range
  SnapshotBuilder(std::size_t dim, Metric metric, HnswOptions options = {}, std::size_t expected = 0);
  ~SnapshotBuilder();
  SnapshotBuilder(SnapshotBuilder&&) noexcept;
  SnapshotBuilder& operator=(SnapshotBuilder&&) noexcept;

  /// Take vectors. On the pool's threads.
  /// @param vectors  [n x dim]; copied
  /// @param labels   n of them, each once in all batches
  /// @throws as HnswIndex::add(); nothing was taken then
  void add(MatrixView<const float> vectors, std::span<const std::int64_t> labels);
  /// Link what has come, write it, and forget it. On the pool's threads.
  /// @throws InvalidArgument if a label came twice; Cancelled; as HnswIndex::save_snapshot(). Cost: as build()
  void write(const std::string& path, const SnapshotOptions& options, BuildWatch* watch = nullptr);
  /// Vectors that have come.
  std::size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
