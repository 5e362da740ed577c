/// @file
/// Reader of safetensors files: u64 length of the header (little-endian), the header in JSON, the tensors' bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapped_file.hpp"

namespace revector {

/// Element types that can be read; others may stand in a file as long as nobody asks for their tensor.
enum class Dtype { float32, float16, bfloat16, float64, int8, int32, int64, other };

/// A tensor of a file: what the header says of it, checked against the size of the file.
struct TensorEntry {
  Dtype dtype;
  std::string dtype_name;  ///< as the file spells it
  std::vector<std::size_t> shape;
  const unsigned char* bytes;  ///< inside the mapped file, not aligned
  std::size_t n_bytes;
};

using Shape = std::vector<std::size_t>;

/// The tensors of one file. Immutable; may be read from several threads.
class SafetensorsFile {
 public:
  /// @throws EncoderError naming the file and what is wrong with it: unreadable, truncated, a header that is longer
  ///         than the file, no JSON, offsets that do not fit shape, dtype or file, or tensors that share bytes
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  /// @throws EncoderError if there is no such tensor
  const TensorEntry& at(const std::string& name) const;

  /// The elements of a float32, float16, bfloat16 or float64 tensor as float32.
  /// @throws EncoderError if it is missing, of another dtype, or not of this shape
  std::vector<float> floats(const std::string& name, const Shape& shape) const;
  /// The elements of an int8 tensor as float32: steps of a size that the file does not say. Throws as floats() does.
  std::vector<float> steps(const std::string& name, const Shape& shape) const;
  /// The elements of an int32 or int64 tensor. Throws as floats() does.
  std::vector<std::int64_t> integers(const std::string& name, const Shape& shape) const;
  /// Names of all tensors, in order.
  std::vector<std::string> names() const;

 private:
  const TensorEntry& require(const std::string& name, const Shape& shape) const;

  std::string path_;
  MappedFile file_;
  std::map<std::string, TensorEntry> tensors_;
};

/// "[384, 384]", for messages.
std::string to_string(const Shape& shape);

}  // namespace revector
