/// @file
/// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace revector {

/// Writes beside `path`, in pieces that are synced as they come, and takes its place when all is on the disk. Dropped
/// without commit(), nothing has happened. Every function throws IoError when the operating system refuses.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  /// Sync, rename, and sync the directory, so that the new file survives a crash after this returns.
  void commit();

 private:
  void flush();
  [[noreturn]] void fail(const char* what) const;

  std::string path_, temporary_;
  int descriptor_ = -1;
  std::size_t unsynced_ = 0;
  std::vector<char> buffer_;
};

}  // namespace revector
