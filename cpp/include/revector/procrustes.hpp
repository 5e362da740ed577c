/// @file
/// Orthogonal Procrustes: the rotation that brings one embedding space closest to another.
///
/// W = argmin ||X W - Y||_F over W with orthonormal rows (d_old <= d_new) or columns (d_old > d_new), solved by
/// W = U V^T with X^T Y = U S V^T (Schoenemann, Psychometrika 31, 1966).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "revector/export.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// How a map was fitted and how well.
struct ProcrustesDiagnostics {
  std::uint64_t n_pairs = 0;  ///< pairs seen
  double residual = 0;        ///< ||s X W + b - Y||_F / ||Y - mean||_F, centred if the map is; 0 is perfect
  double effective_rank =
      0;                 ///< exp of the entropy of the singular values of the cross-covariance (Roy & Vetterli 2007)
  double condition = 0;  ///< largest over smallest singular value; infinity when rank-deficient
  std::size_t rank = 0;  ///< singular values above d * eps(float32) * largest: what rounding cannot explain
};

/// A fitted map: out = normalize(scale * (x - mean_old) W + mean_new). Immutable, so safe to share between threads.
class REVECTOR_API ProcrustesMap {
 public:
  /// Build from parameters, as a file holds them.
  /// @param rotation  [d_old x d_new]
  /// @param mean_old  d_old floats; @param mean_new  d_new floats
  /// @throws ShapeError on inconsistent sizes, NumericalError on NaN or infinity
  ProcrustesMap(MatrixView<const float> rotation, std::vector<float> mean_old, std::vector<float> mean_new, float scale,
                ProcrustesDiagnostics diagnostics = {});
  ~ProcrustesMap();
  ProcrustesMap(ProcrustesMap&&) noexcept;
  ProcrustesMap& operator=(ProcrustesMap&&) noexcept;

  /// Rotate rows of the old space into the new one.
  /// @param x    [n x d_old]; not aliased by out
  /// @param out  [n x d_new], owned by the caller; unit rows if renormalize
  /// @param precision  of the products: float32, or bfloat16 for many rows (W is packed anew in every call): some
  ///                   2^-9 of error in an element, relative to the row, at a fraction of the time where the CPU
  ///                   multiplies bfloat16
  /// @throws ShapeError, NumericalError (NaN or infinity in x), InvalidArgument (int8). Cost: n*d_old*d_new FMA.
  /// Thread-safe.
  void transform(MatrixView<const float> x, MatrixView<float> out, bool renormalize = true,
                 Precision precision = Precision::float32) const;

  /// Rotate rows of the new space back into the old one (the exact inverse if d_old <= d_new and nothing is
  /// renormalised, else the least-squares one). Arguments as for transform, with the dimensions exchanged.
  void inverse_transform(MatrixView<const float> y, MatrixView<float> out, bool renormalize = true,
                         Precision precision = Precision::float32) const;

  std::size_t d_old() const;
  std::size_t d_new() const;
  MatrixView<const float> rotation() const;
  const std::vector<float>& mean_old() const;
  const std::vector<float>& mean_new() const;
  float scale() const;
  const ProcrustesDiagnostics& diagnostics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Accumulates pairs in constant memory and solves for the map.
///
/// Products are formed in float32 over blocks of at most 512 rows, around the mean of the first block, and summed in
/// float64; so the result does not depend on how the pairs were cut into calls beyond rounding (about 1e-6 relative).
/// Not thread-safe: one accumulator a thread.
class REVECTOR_API ProcrustesAccumulator {
 public:
  /// @throws InvalidArgument if a dimension is 0
  ProcrustesAccumulator(std::size_t d_old, std::size_t d_new);
  ~ProcrustesAccumulator();
  ProcrustesAccumulator(ProcrustesAccumulator&&) noexcept;
  ProcrustesAccumulator& operator=(ProcrustesAccumulator&&) noexcept;

  /// Add pairs: row i of old_rows and row i of new_rows are the same text.
  /// @throws ShapeError, NumericalError (NaN or infinity; then nothing of the call is kept). Cost: n*d_old*d_new FMA.
  void add(MatrixView<const float> old_rows, MatrixView<const float> new_rows);

  std::uint64_t n_pairs() const;

  /// Solve for the map of everything added so far; more may be added afterwards.
  /// @param center  subtract the means of both sides first
  /// @param scale   fit one scale factor as well
  /// @throws InvalidArgument without pairs (or with one pair and center); NumericalError if the pairs do not vary or
  /// the
  ///         SVD fails; DeviceUnavailable if the library was built without LAPACK
  ProcrustesMap solve(bool center = true, bool scale = false) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
