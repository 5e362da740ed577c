#include "revector/word_table.hpp"

#include <mutex>
#include <unordered_map>

#include "core/checks.hpp"
#include "core/tokenization/word_store.hpp"
#include "core/tokenization/words.hpp"

namespace revector {
namespace {

/// Collects what is known of texts, word by word.
class Recalling {
 public:
  explicit Recalling(const WordStore& store) : store_(store) { found_.known.offsets.push_back(0); }

  void add_word(std::string_view word) {
    const WordStore::Ids ids = word.size() <= WordStore::longest_word ? store_.find(word) : WordStore::Ids{};
    std::vector<std::int32_t>& known = found_.known.ids;
    if (ids.first == nullptr) return add_gap(word);
    for (std::size_t i = 0; i < ids.n; ++i) known.push_back(ids.first[i]);
  }
  void end_text() { found_.known.offsets.push_back(static_cast<std::int64_t>(found_.known.ids.size())); }
  RecalledTexts take() { return std::move(found_); }

 private:
  void add_gap(std::string_view word) {
    const auto [entry, is_new] = numbers_.try_emplace(word, found_.unknown.size());
    if (is_new) found_.unknown.emplace_back(word);
    found_.gaps.push_back({found_.known.offsets.size() - 1, found_.known.ids.size(), entry->second});
  }

  const WordStore& store_;
  RecalledTexts found_;
  std::unordered_map<std::string_view, std::size_t> numbers_;  // of the unknown words
};

template <class T>
void append(std::vector<T>& all, std::span<const T> more) {
  all.insert(all.end(), more.begin(), more.end());
}

std::span<const std::int32_t> part(std::span<const std::int32_t> ids, std::int64_t begin, std::int64_t end) {
  return ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

void require_words(std::size_t n, std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets) {
  require_equal(offsets.size(), n + 1, "offsets of the words");
  require_offsets(offsets, ids.size());
}

}  // namespace

PackedTokens RecalledTexts::completed(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets,
                                      std::span<const std::int32_t> head, std::span<const std::int32_t> tail) const {
  require_words(unknown.size(), ids, offsets);
  PackedTokens all;
  all.ids.reserve(known.ids.size() + ids.size() + (known.offsets.size() - 1) * (head.size() + tail.size()));
  all.offsets.assign(1, 0);
  auto gap = gaps.begin();
  for (std::size_t text = 0; text + 1 < known.offsets.size(); ++text) {
    std::int64_t at = known.offsets[text];
    append(all.ids, head);
    for (; gap != gaps.end() && gap->text == text; ++gap) {
      append(all.ids, part(known.ids, at, static_cast<std::int64_t>(gap->at)));
      append(all.ids, part(ids, offsets[gap->word], offsets[gap->word + 1]));
      at = static_cast<std::int64_t>(gap->at);
    }
    append(all.ids, part(known.ids, at, known.offsets[text + 1]));
    append(all.ids, tail);
    all.offsets.push_back(static_cast<std::int64_t>(all.ids.size()));
  }
  return all;
}

struct WordTable::Impl {
  Impl(WordRules the_rules, std::size_t most_words) : rules(std::move(the_rules)), store(most_words) {}

  WordRules rules;
  WordStore store;
  std::mutex learning;  // only ever tried: a child of fork() may find it locked for good
};

WordTable::WordTable(WordRules rules, std::size_t most_words)
    : impl_(std::make_unique<Impl>(std::move(rules), most_words)) {}
WordTable::~WordTable() = default;
WordTable::WordTable(WordTable&&) noexcept = default;
WordTable& WordTable::operator=(WordTable&&) noexcept = default;

RecalledTexts WordTable::recall(std::span<const std::string_view> texts) const {
  Recalling recalling(impl_->store);
  for (std::string_view text : texts) {
    for_each_word(text, impl_->rules, [&](std::string_view word) { recalling.add_word(word); });
    recalling.end_text();
  }
  return recalling.take();
}

bool WordTable::learn(std::span<const std::string> words, std::span<const std::int32_t> ids,
                      std::span<const std::int64_t> offsets) {
  require_words(words.size(), ids, offsets);
  const std::unique_lock lock(impl_->learning, std::try_to_lock);
  if (!lock.owns_lock()) return true;
  for (std::size_t i = 0; i < words.size(); ++i)
    if (!impl_->store.add(words[i], part(ids, offsets[i], offsets[i + 1]))) return false;
  return true;
}

std::size_t WordTable::size() const { return impl_->store.size(); }

}  // namespace revector
