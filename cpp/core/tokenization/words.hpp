/// @file
/// The words of a text.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "revector/word_table.hpp"

namespace revector {

inline std::uint64_t eight_bytes(const char* bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

/// Position of the first space at or behind `at`, or the size of the text. Eight bytes at a time: a byte that is a
/// space becomes zero, and the lowest zero byte is the lowest one whose top bit a subtraction of one from each byte
/// sets.
inline std::size_t next_space(std::string_view text, std::size_t at) {
  constexpr std::uint64_t ones = 0x0101010101010101U, tops = ones << 7U, spaces = ones * ' ';
  for (; std::endian::native == std::endian::little && at + 8 <= text.size(); at += 8) {
    const std::uint64_t bytes = eight_bytes(text.data() + at) ^ spaces;
    const std::uint64_t zeros = (bytes - ones) & ~bytes & tops;
    if (zeros != 0) return at + static_cast<std::size_t>(std::countr_zero(zeros)) / 8;
  }
  while (at < text.size() && text[at] != ' ') ++at;
  return at;
}

/// Whether the words of a text are not to be told apart.
inline bool is_single_word(std::string_view text, const WordRules& rules) {
  constexpr std::size_t longest_mean = 32;  // bytes
  if (rules.spaces_matter && text.ends_with(' ')) return true;
  const auto spaces = static_cast<std::size_t>(std::count(text.begin(), text.end(), ' '));
  if (text.size() > longest_mean * (spaces + 1)) return true;
  return std::any_of(rules.marks.begin(), rules.marks.end(),
                     [&](const std::string& mark) { return text.find(mark) != std::string_view::npos; });
}

/// Call visit(word) for each word of a text, in order. Where spaces matter, an empty text is one empty word.
template <class Visit>
void for_each_word(std::string_view text, const WordRules& rules, Visit visit) {
  if (is_single_word(text, rules)) return visit(text);
  std::size_t at = 0;
  do {
    const std::size_t border = at;
    while (at < text.size() && text[at] == ' ') ++at;
    const std::size_t begin = rules.spaces_matter ? border : at;
    at = next_space(text, at);
    if (begin < at || rules.spaces_matter) visit(text.substr(begin, at - begin));
  } while (at++ < text.size());
}

}  // namespace revector
