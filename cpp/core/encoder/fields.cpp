#include "core/encoder/fields.hpp"

#include <filesystem>
#include <utility>

#include "core/encoder/model_file.hpp"

namespace revector {

using nlohmann::json;

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

json read_json(const std::string& path) {
  const MappedFile file = map_model_file(path);
  json value = json::parse(file.data(), file.data() + file.size(), nullptr, false);
  if (value.is_discarded()) throw EncoderError(path + " is not valid JSON; copy or download it again");
  return value;
}

std::string shown_json(const json& value) {
  constexpr std::size_t longest = 200;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= longest ? text : text.substr(0, longest) + "…";
}

Fields::Fields(std::string where, json object) : where_(std::move(where)), object_(std::move(object)) {
  if (!object_.is_object()) throw EncoderError(where_ + " is not a JSON object");
}

Fields Fields::read(const std::string& path) { return {path, read_json(path)}; }

std::optional<Fields> Fields::read_if_there(const std::string& path) {
  if (!file_exists(path)) return std::nullopt;
  return read(path);
}

const json* Fields::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::shown(const char* name) const {
  const json* value = find(name);
  return value ? shown_json(*value) : "absent";
}

void Fields::refuse(const char* name, const std::string& expected) const {
  throw EncoderError(where_ + ": " + name + " is " + shown(name) + ", expected " + expected);
}

void Fields::refuse_unsupported(const char* name, const std::string& supported) const {
  throw EncoderError(where_ + ": " + name + " is " + shown(name) + ", which is not supported (" + supported + " is)" +
                     way_out);
}

void Fields::refuse_order(const char* name, const std::string& expected) const { refuse(name, expected + way_out); }

std::size_t Fields::size(const char* name) const {
  const json* value = find(name);
  if (value == nullptr || !value->is_number_unsigned()) refuse(name, "a whole number");
  return value->get<std::size_t>();
}

std::size_t Fields::size_or(const char* name, std::size_t otherwise) const {
  return has(name) ? size(name) : otherwise;
}

double Fields::number_or(const char* name, double otherwise) const {
  const json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) refuse(name, "a number");
  return value->get<double>();
}

bool Fields::flag_or(const char* name, bool otherwise) const {
  const json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(name, "true or false");
  return value->get<bool>();
}

std::string Fields::string_or(const char* name, const std::string& otherwise) const {
  const json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) refuse(name, "a string");
  return value->get<std::string>();
}

std::vector<std::string> Fields::strings(const char* name) const {
  const json* value = find(name);
  const bool list = value != nullptr && value->is_array();
  std::vector<std::string> found;
  for (const json& item : list ? *value : json::array({value == nullptr ? json() : *value})) {
    if (!item.is_string()) refuse(name, "a string or a list of strings");
    found.push_back(item.get<std::string>());
  }
  return found;
}

json Fields::object(const char* name) const {
  const json* value = find(name);
  if (value == nullptr || !value->is_object()) refuse(name, "a JSON object");
  return *value;
}

}  // namespace revector
