#include "core/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20U;
/// Whoever syncs another file of the same file system meanwhile, a database for its commits, waits for about so much:
/// for all of a graph of a gigabyte that takes seconds.
constexpr std::size_t unsynced_bytes = std::size_t{16} << 20U;

/// A name in the directory of `path` that no other writer uses, in this process or another.
std::string temporary_beside(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return path + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(counter++);
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(temporary_beside(path_)) {
  buffer_.reserve(buffer_bytes);
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("create");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const std::size_t piece = std::min(bytes, buffer_bytes - buffer_.size());
    buffer_.insert(buffer_.end(), from, from + piece);
    from += piece;
    bytes -= piece;
    if (buffer_.size() == buffer_bytes) flush();
  }
}

void AtomicFile::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t written = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno != EINTR) fail("write");
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  unsynced_ += buffer_.size();
  buffer_.clear();
  if (unsynced_ < unsynced_bytes) return;
  if (fsync(descriptor_) != 0) fail("sync");
  unsynced_ = 0;
}

void AtomicFile::commit() {
  flush();
  if (fsync(descriptor_) != 0) fail("sync");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename");
  close(std::exchange(descriptor_, -1));
  const int directory = open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) fail("open the directory of");
  const int synced = fsync(directory);
  const int code = errno;
  close(directory);
  errno = code;
  // Some file systems cannot sync directories and say so with EINVAL: they order renames themselves.
  if (synced != 0 && errno != EINVAL) fail("sync the directory of");
}

void AtomicFile::fail(const char* what) const {
  const int code = errno;
  throw IoError("cannot " + std::string(what) + " " + path_ + ": " + std::strerror(code), code, path_);
}

}  // namespace revector
