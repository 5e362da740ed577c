#include "core/encoder/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/encoder/model_file.hpp"
#include "kernels/vec/half.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

using nlohmann::json;

constexpr std::size_t prefix_bytes = 8;
constexpr std::uint64_t max_header_bytes = 100'000'000;  // the limit of the format's own reader

struct DtypeRow {
  const char* name;
  Dtype dtype;
  std::size_t bytes;
};
constexpr DtypeRow dtypes[] = {
    {"F32", Dtype::float32, 4}, {"F16", Dtype::float16, 2}, {"BF16", Dtype::bfloat16, 2}, {"F64", Dtype::float64, 8},
    {"I32", Dtype::int32, 4},   {"I64", Dtype::int64, 8},   {"I8", Dtype::int8, 1},       {"U8", Dtype::other, 1},
    {"BOOL", Dtype::other, 1},  {"I16", Dtype::other, 2},   {"U16", Dtype::other, 2},     {"U32", Dtype::other, 4},
    {"U64", Dtype::other, 8},
};

const DtypeRow* find_dtype(const std::string& name) {
  for (const DtypeRow& row : dtypes)
    if (name == row.name) return &row;
  return nullptr;
}

/// Error about one file, all with the same remedy: nothing but another copy of the file helps.
[[noreturn]] void throw_malformed(const std::string& path, const std::string& reason) {
  throw EncoderError(path + " is not a sound safetensors file: " + reason + "; copy or download it again");
}

std::uint64_t little_endian_u64(const unsigned char* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < prefix_bytes; ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

/// The header as JSON, and where the tensors' bytes begin.
json parse_header(const std::string& path, const MappedFile& file, std::size_t& data_begin) {
  if (file.size() < prefix_bytes)
    throw_malformed(path, "it has " + std::to_string(file.size()) + " bytes, expected at least 8");
  const std::uint64_t length = little_endian_u64(file.data());
  if (length > max_header_bytes || length > file.size() - prefix_bytes)
    throw_malformed(path, "its header claims " + std::to_string(length) + " bytes, but the file has " +
                              std::to_string(file.size()));
  data_begin = prefix_bytes + static_cast<std::size_t>(length);
  json header = json::parse(file.data() + prefix_bytes, file.data() + data_begin, nullptr, false);
  if (!header.is_object()) throw_malformed(path, "its header is not a JSON object");
  return header;
}

std::vector<std::size_t> sizes_of(const std::string& path, const std::string& tensor, const json& entry,
                                  const char* field) {
  const auto found = entry.find(field);
  if (found == entry.end() || !found->is_array())
    throw_malformed(path, "tensor '" + tensor + "' has no list '" + field + "'");
  std::vector<std::size_t> sizes;
  for (const json& value : *found) {
    if (!value.is_number_unsigned())
      throw_malformed(
          path, std::string(field) + " of tensor '" + tensor + "' holds " + value.dump() + ", expected whole numbers");
    sizes.push_back(value.get<std::size_t>());
  }
  return sizes;
}

/// Bytes of a tensor, or the largest size_t where they do not fit in one (which no file can hold).
std::size_t bytes_of(const Shape& shape, std::size_t item_bytes) {
  std::size_t total = item_bytes;
  for (std::size_t extent : shape)
    if (__builtin_mul_overflow(total, extent, &total)) return std::numeric_limits<std::size_t>::max();
  return total;
}

TensorEntry read_entry(const std::string& path, const std::string& name, const json& entry, const MappedFile& file,
                       std::size_t data_begin) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string())
    throw_malformed(path, "tensor '" + name + "' has no dtype");
  const std::string dtype = entry["dtype"].get<std::string>();
  const Shape shape = sizes_of(path, name, entry, "shape");
  const std::vector<std::size_t> offsets = sizes_of(path, name, entry, "data_offsets");
  const std::size_t available = file.size() - data_begin;
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > available)
    throw_malformed(path, "tensor '" + name + "' should lie at " + entry["data_offsets"].dump() + " of " +
                              std::to_string(available) + " bytes (is the file truncated?)");
  const DtypeRow* row = find_dtype(dtype);
  if (row != nullptr && bytes_of(shape, row->bytes) != offsets[1] - offsets[0])
    throw_malformed(path, "tensor '" + name + "' of shape " + to_string(shape) + " and dtype " + dtype + " has " +
                              std::to_string(offsets[1] - offsets[0]) + " bytes");
  return {row ? row->dtype : Dtype::other, dtype, shape, file.data() + data_begin + offsets[0],
          offsets[1] - offsets[0]};
}

/// Tensors that share bytes would let a small file ask for any amount of memory.
void require_disjoint(const std::string& path, const std::map<std::string, TensorEntry>& tensors) {
  std::vector<const std::pair<const std::string, TensorEntry>*> filled;
  for (const auto& tensor : tensors)
    if (tensor.second.n_bytes != 0) filled.push_back(&tensor);
  std::sort(filled.begin(), filled.end(), [](auto* a, auto* b) { return a->second.bytes < b->second.bytes; });
  const auto shared = std::adjacent_find(filled.begin(), filled.end(), [](auto* a, auto* b) {
    return a->second.bytes + a->second.n_bytes > b->second.bytes;
  });
  if (shared != filled.end())
    throw_malformed(path, "tensors '" + (*shared)->first + "' and '" + (*std::next(shared))->first + "' share bytes");
}

/// Elements of type Stored, read without assuming alignment and converted one by one.
template <class Stored, class Out, class Convert>
std::vector<Out> convert_all(const TensorEntry& tensor, Convert convert) {
  std::vector<Out> out(bytes_of(tensor.shape, 1));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, tensor.bytes + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(value);
  }
  return out;
}

template <class Stored, class Out>
Out plain(Stored value) {
  return static_cast<Out>(value);
}

[[noreturn]] void throw_wrong_dtype(const std::string& path, const std::string& name, const TensorEntry& tensor,
                                    const char* expected) {
  throw EncoderError(path + ": tensor '" + name + "' has dtype " + tensor.dtype_name + ", expected " + expected);
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text.append(i == 0 ? "" : ", ").append(std::to_string(shape[i]));
  return text.append("]");
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), file_(map_model_file(path)) {
  std::size_t data_begin = 0;
  const json header = parse_header(path, file_, data_begin);
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") tensors_.emplace(name, read_entry(path, name, entry, file_, data_begin));
  require_disjoint(path, tensors_);
}

const TensorEntry& SafetensorsFile::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw EncoderError(path_ + " has no tensor '" + name + "', which config.json calls for");
  return found->second;
}

const TensorEntry& SafetensorsFile::require(const std::string& name, const Shape& shape) const {
  const TensorEntry& tensor = at(name);
  if (tensor.shape != shape)
    throw EncoderError(path_ + ": tensor '" + name + "' has shape " + to_string(tensor.shape) + ", expected " +
                       to_string(shape) + " by config.json");
  return tensor;
}

std::vector<float> SafetensorsFile::floats(const std::string& name, const Shape& shape) const {
  const TensorEntry& tensor = require(name, shape);
  switch (tensor.dtype) {
    case Dtype::float32:
      return convert_all<float, float>(tensor, plain<float, float>);
    case Dtype::float16:
      return convert_all<std::uint16_t, float>(tensor, from_float16);
    case Dtype::bfloat16:
      return convert_all<std::uint16_t, float>(tensor, from_bfloat16);
    case Dtype::float64:
      return convert_all<double, float>(tensor, plain<double, float>);
    default:
      throw_wrong_dtype(path_, name, tensor, "F32, F16, BF16 or F64");
  }
}

std::vector<float> SafetensorsFile::steps(const std::string& name, const Shape& shape) const {
  const TensorEntry& tensor = require(name, shape);
  if (tensor.dtype != Dtype::int8) throw_wrong_dtype(path_, name, tensor, "I8");
  return convert_all<std::int8_t, float>(tensor, plain<std::int8_t, float>);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> found;
  found.reserve(tensors_.size());
  for (const auto& tensor : tensors_) found.push_back(tensor.first);
  return found;
}

std::vector<std::int64_t> SafetensorsFile::integers(const std::string& name, const Shape& shape) const {
  const TensorEntry& tensor = require(name, shape);
  switch (tensor.dtype) {
    case Dtype::int32:
      return convert_all<std::int32_t, std::int64_t>(tensor, plain<std::int32_t, std::int64_t>);
    case Dtype::int64:
      return convert_all<std::int64_t, std::int64_t>(tensor, plain<std::int64_t, std::int64_t>);
    default:
      throw_wrong_dtype(path_, name, tensor, "I32 or I64");
  }
}

}  // namespace revector
