/// @file
/// A file read through the page cache.
#pragma once

#include <cstddef>
#include <string>

namespace revector {

/// A whole file, mapped read-only for the life of this object. Who replaces the file by another leaves the mapping as
/// it is; who cuts it short makes reading beyond its end a SIGBUS.
class MappedFile {
 public:
  /// @throws IoError if the file cannot be opened or mapped
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const unsigned char* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  unsigned char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace revector
