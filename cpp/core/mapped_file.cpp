#include "core/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "revector/errors.hpp"

namespace revector {
namespace {

[[noreturn]] void throw_unreadable(const std::string& path, const char* reason, int code) {
  throw IoError(path + " cannot be read: " + reason, code, path);
}

/// Closes the descriptor on every way out; the mapping outlives it. Opening a pipe must not hold us up.
struct Descriptor {
  explicit Descriptor(const std::string& path) : value(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (value >= 0) close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int value;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(path);
  struct stat status{};
  if (file.value < 0 || fstat(file.value, &status) != 0) throw_unreadable(path, std::strerror(errno), errno);
  if (!S_ISREG(status.st_mode)) throw_unreadable(path, "it is not a regular file", EINVAL);
  if (status.st_size == 0) return;  // nothing to map: mmap refuses a length of 0
  size_ = static_cast<std::size_t>(status.st_size);
  void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (mapped == MAP_FAILED) throw_unreadable(path, std::strerror(errno), errno);
  data_ = static_cast<unsigned char*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace revector
