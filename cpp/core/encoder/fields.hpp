/// @file
/// JSON configuration files, with errors that name file, field and value.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "revector/errors.hpp"

namespace revector {

/// The fields of one JSON object. A field that is null counts as absent.
class Fields {
 public:
  /// @throws EncoderError if the file cannot be read or is not a JSON object
  static Fields read(const std::string& path);
  /// Nothing if there is no such file.
  static std::optional<Fields> read_if_there(const std::string& path);
  Fields(std::string where, nlohmann::json object);

  const std::string& where() const { return where_; }
  bool has(const char* name) const { return find(name) != nullptr; }
  /// Whether the field stands there at all, if only as null.
  bool mentions(const char* name) const { return object_.contains(name); }

  /// Each throws EncoderError if the field is of another type, or absent where there is no default.
  std::size_t size(const char* name) const;
  std::size_t size_or(const char* name, std::size_t otherwise) const;
  double number_or(const char* name, double otherwise) const;
  bool flag_or(const char* name, bool otherwise) const;
  std::string string_or(const char* name, const std::string& otherwise) const;
  /// A list of strings, or one string as a list.
  std::vector<std::string> strings(const char* name) const;
  /// A JSON object.
  nlohmann::json object(const char* name) const;

  /// The field as JSON text, for messages.
  std::string shown(const char* name) const;
  /// @throws EncoderError: "<file>: <field> is <value>, <expected>"
  [[noreturn]] void refuse(const char* name, const std::string& expected) const;
  /// Like refuse, for what is sound but not built: names the way out.
  [[noreturn]] void refuse_unsupported(const char* name, const std::string& supported) const;
  /// Like refuse, for what sentence-transformers may run all the same: names the way out.
  [[noreturn]] void refuse_order(const char* name, const std::string& expected) const;

 private:
  const nlohmann::json* find(const char* name) const;

  std::string where_;
  nlohmann::json object_;
};

/// JSON as text for messages, cut where it is long.
std::string shown_json(const nlohmann::json& value);

/// A file as JSON. @throws EncoderError if it cannot be read or parsed
nlohmann::json read_json(const std::string& path);
bool file_exists(const std::string& path);

/// What to do with a model that is not supported here; the end of every such message.
inline constexpr const char* way_out =
    "; use the sentence-transformers encoder for this model (revector.SentenceTransformersEncoder)";

}  // namespace revector
