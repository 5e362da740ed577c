/// @file
/// A shared lock that lets nobody starve.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace revector::hnsw {

/// Readers share, a writer is alone. std::shared_mutex may prefer readers for ever (glibc's does); here a writer that
/// waits holds the turnstile, so that readers who come later wait behind it.
class Gate {
 public:
  std::shared_lock<std::shared_mutex> read() {
    const std::scoped_lock turn(turnstile_);
    return std::shared_lock(mutex_);
  }
  std::unique_lock<std::shared_mutex> write() {
    const std::scoped_lock turn(turnstile_);
    return std::unique_lock(mutex_);
  }

 private:
  std::mutex turnstile_;
  std::shared_mutex mutex_;
};

}  // namespace revector::hnsw
