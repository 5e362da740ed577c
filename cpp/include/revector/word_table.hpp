/// @file
/// A memory for words: the token ids of those that were tokenised before.
///
/// Most words of a text were met before, and looking one up is far cheaper than tokenising it. The table does not
/// tokenise: it says which words it lacks, and the caller has somebody tokenise those. It is exact for tokenisers whose
/// tokens of a text are those of its words, one word after the other; which do is for the caller to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "revector/export.hpp"

namespace revector {

/// How a text falls into words. A word ends at U+0020.
struct WordRules {
  /// Strings that mean more than their characters, such as "[SEP]": a text that holds one is a single word.
  std::vector<std::string> marks;
  /// Whether a space is more than a border: of a run all spaces but the first belong to the word behind them, and a
  /// text that ends with a space is a single word.
  bool spaces_matter = false;
};

/// Texts as token ids: text i is ids[offsets[i] .. offsets[i + 1]).
struct PackedTokens {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets;  ///< texts + 1
};

/// Texts as far as a table knew their words.
struct REVECTOR_API RecalledTexts {
  /// A word that was not known.
  struct Gap {
    std::size_t text;  ///< it stands in this one,
    std::size_t at;    ///< before this position in known.ids
    std::size_t word;  ///< which of the unknown ones it is
  };

  PackedTokens known;                ///< without the words that were not known
  std::vector<Gap> gaps;             ///< in the order of the texts
  std::vector<std::string> unknown;  ///< each once; to be tokenised, without special tokens

  /// Close the gaps, and put special tokens around every text.
  /// @param ids, offsets  of the unknown words: word i is ids[offsets[i] .. offsets[i + 1])
  /// @param head, tail    ids before and behind each text
  /// @throws ShapeError unless there is one offset more than unknown words; InvalidArgument unless offsets ascend from
  ///         0 to the number of ids
  PackedTokens completed(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets,
                         std::span<const std::int32_t> head = {}, std::span<const std::int32_t> tail = {}) const;
};

/// Words and their ids. Thread-safe; reading takes no lock and never waits.
class REVECTOR_API WordTable {
 public:
  /// @param most_words  the table is full when it has so many, or 48 bytes for each of so many; with its hash table it
  /// takes at most
  ///                    80 bytes for each
  explicit WordTable(WordRules rules, std::size_t most_words = std::size_t{1} << 18U);
  ~WordTable();
  WordTable(WordTable&&) noexcept;
  WordTable& operator=(WordTable&&) noexcept;

  /// Look the words of texts up. Words longer than 64 bytes are never known; a text whose words are longer than 32
  /// bytes on the average (Chinese, base64) is a single word.
  /// @param texts  UTF-8, any bytes in truth
  /// Cost: about 30 ns a word.
  RecalledTexts recall(std::span<const std::string_view> texts) const;

  /// Keep words of up to 64 bytes and 255 ids. While another thread is learning, nothing is kept.
  /// @param ids, offsets  word i is ids[offsets[i] .. offsets[i + 1])
  /// @return false if the table was full before all were kept. It never forgets: make another one.
  /// @throws as RecalledTexts::completed() does
  bool learn(std::span<const std::string> words, std::span<const std::int32_t> ids,
             std::span<const std::int64_t> offsets);

  /// Number of words.
  std::size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
