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

/// A read-only index in a file that is mapped into memory: opening reads links and labels, not vectors; processes that
/// open the same file share its pages; what is not searched is not read. Vectors of fewer bits take fewer pages and
/// less time; with `rescore` the float32 ones are only read for the candidates of each query.
///
/// The file must not be changed in place while it is open. save_snapshot() never does that: it puts a new file in the
/// place of the old one, which lives on for those who have it open.
///
/// Threads: any number of calls side by side (but for move and destruction).
class REVECTOR_API HnswSnapshot {
 public:
  /// Open a file of HnswIndex::save_snapshot(). All that searches follow is checked before it is believed: checksums of
  /// header, labels and links, every link and every level. A damaged file gives an exception, never more; damage in the
  /// vectors themselves, which are not read here, gives wrong scores until verify() tells.
  /// @throws CorruptIndex naming offset and reason; UnsupportedIndex for other formats and newer versions; IoError.
  ///         Cost: that of reading the links: about 10 m bytes a node
  explicit HnswSnapshot(const std::string& path);
  ~HnswSnapshot();
  HnswSnapshot(HnswSnapshot&&) noexcept;
  HnswSnapshot& operator=(HnswSnapshot&&) noexcept;

  /// Read the whole file and compare all checksums. @throws CorruptIndex naming the section
  void verify() const;

  /// The k nearest live vectors of every query, approximately: as HnswIndex::search(), arguments and errors too.
  /// The ef candidates of a walk are scored in float32 where the file has float32 vectors.
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
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
