#include "core/file_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20U;

/// Closes the file if the constructor does not come to its end.
class Closing {
 public:
  explicit Closing(int descriptor) : descriptor_(descriptor) {}
  ~Closing() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  int release() { return std::exchange(descriptor_, -1); }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

FileReader::FileReader(const std::string& path) : path_(path), buffer_(buffer_bytes), from_(buffer_.data()) {
  Closing file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not hold us up
  struct stat status{};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) fail_io("open", errno);
  if (S_ISDIR(status.st_mode)) fail_io("read", EISDIR);
  if (!S_ISREG(status.st_mode)) fail(0, "this is not a regular file");
  size_ = static_cast<std::uint64_t>(status.st_size);
  descriptor_ = file.release();
}

FileReader::FileReader(std::span<const char> bytes, std::string name)
    : path_(std::move(name)), size_(bytes.size()), from_(bytes.data()), end_(bytes.size()) {}

FileReader::~FileReader() {
  if (descriptor_ >= 0) close(descriptor_);
}

void FileReader::read(void* to, std::size_t bytes) {
  char* target = static_cast<char*>(to);
  for (std::size_t done = 0; done < bytes;) {
    if (begin_ == end_) refill(bytes - done);
    const std::size_t piece = std::min(bytes - done, end_ - begin_);
    std::memcpy(target + done, from_ + begin_, piece);
    begin_ += piece;
    offset_ += piece;
    done += piece;
  }
}

void FileReader::refill(std::size_t wanted) {
  begin_ = end_ = 0;
  ssize_t got = 0;
  if (descriptor_ >= 0) do {
      got = ::read(descriptor_, buffer_.data(), buffer_.size());
    } while (got < 0 && errno == EINTR);
  if (got < 0) fail_io("read", errno);
  if (got == 0) fail(offset_, "the file ends here, expected " + std::to_string(wanted) + " more bytes");
  end_ = static_cast<std::size_t>(got);
}

void FileReader::fail(std::uint64_t offset, const std::string& reason) const {
  throw CorruptIndex(path_ + ", offset " + std::to_string(offset) + ": " + reason +
                     "; restore the file or build the index anew");
}

void FileReader::refuse(std::uint64_t offset, const std::string& reason) const {
  throw UnsupportedIndex(path_ + ", offset " + std::to_string(offset) + ": " + reason);
}

void FileReader::fail_io(const char* what, int code) const {
  throw IoError("cannot " + std::string(what) + " " + path_ + ": " + std::strerror(code), code, path_);
}

}  // namespace revector
