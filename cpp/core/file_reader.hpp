/// @file
/// Files from which nothing is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace revector {

/// A file, or the bytes of one, that is read once from front to back, and that knows where it is when something is
/// wrong.
class FileReader {
 public:
  /// @throws IoError; CorruptIndex if this is not a regular file
  explicit FileReader(const std::string& path);
  /// @param bytes  outlive the reader
  /// @param name   what to call them in an error
  FileReader(std::span<const char> bytes, std::string name);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  std::uint64_t offset() const { return offset_; }
  /// Bytes from here to the end that the file had when it was opened.
  std::uint64_t left() const { return size_ > offset_ ? size_ - offset_ : 0; }

  /// @throws CorruptIndex if the file ends before, IoError
  void read(void* to, std::size_t bytes);
  template <class T>
  T read() {
    T value;
    read(&value, sizeof(T));
    return value;
  }

  /// Refuse the file. @throws CorruptIndex with path, offset, reason and remedy
  [[noreturn]] void fail(std::uint64_t offset, const std::string& reason) const;
  /// Refuse a file that may well be sound. @throws UnsupportedIndex with path, offset and what was found and expected
  [[noreturn]] void refuse(std::uint64_t offset, const std::string& reason) const;

 private:
  void refill(std::size_t wanted);
  [[noreturn]] void fail_io(const char* what, int code) const;

  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, offset_ = 0;
  std::vector<char> buffer_;
  const char* from_ = nullptr;       // the buffer, or all the bytes
  std::size_t begin_ = 0, end_ = 0;  // the part of it not yet taken
};

}  // namespace revector
