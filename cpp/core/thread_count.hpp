/// @file
/// How many threads the pool has when nobody says how many.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace revector {

constexpr std::size_t max_threads = 1024;

/// A number of threads, and where it comes from: "affinity 2, quota none".
struct ThreadCount {
  std::size_t threads;
  std::string reason;
};

/// What decides; the variables of the environment are null where they are not set.
struct ThreadBounds {
  std::size_t affinity;         ///< CPUs that this process may run on
  std::optional<double> quota;  ///< of its container, in CPUs; see cpu_quota()
  const char* own;              ///< REVECTOR_NUM_THREADS
  const char* omp;              ///< OMP_NUM_THREADS
};

/// REVECTOR_NUM_THREADS if it is set; else the least of affinity, quota (rounded up) and the first number of
/// OMP_NUM_THREADS, which is passed over where it is something else.
/// @throws InvalidArgument if REVECTOR_NUM_THREADS is not an integer from 1 to 1024
ThreadCount thread_count(const ThreadBounds& bounds);

/// The bounds of this process.
ThreadBounds thread_bounds();

}  // namespace revector
