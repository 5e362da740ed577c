// The table of words, with a tokeniser whose ids tell the word they come from.
#include "revector/word_table.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.hpp"
#include "core/tokenization/words.hpp"

namespace {

using revector::PackedTokens;
using revector::RecalledTexts;
using revector::WordRules;
using revector::WordTable;
using Ids = std::vector<std::int32_t>;
using Words = std::vector<std::string>;

/// Two ids a byte, so that a word has as many as it may.
PackedTokens tokenised(const Words& words) {
  PackedTokens tokens{.ids = {}, .offsets = {0}};
  for (const std::string& word : words) {
    for (const char letter : word) tokens.ids.insert(tokens.ids.end(), {letter, -letter});
    tokens.offsets.push_back(static_cast<std::int64_t>(tokens.ids.size()));
  }
  return tokens;
}

RecalledTexts recall(const WordTable& table, const Words& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return table.recall(views);
}

/// Texts through the table, as a tokeniser does it.
PackedTokens through(WordTable& table, const Words& texts) {
  const RecalledTexts recalled = recall(table, texts);
  const PackedTokens learnt = tokenised(recalled.unknown);
  table.learn(recalled.unknown, learnt.ids, learnt.offsets);
  return recalled.completed(learnt.ids, learnt.offsets);
}

Words words_of(std::string_view text, const WordRules& rules) {
  Words words;
  revector::for_each_word(text, rules, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

Words numbered(std::size_t begin, std::size_t end) {
  Words words;
  for (std::size_t i = begin; i < end; ++i) words.push_back("word" + std::to_string(i));
  return words;
}

TEST(words_end_at_spaces_wherever_they_stand) {
  for (std::size_t before = 0; before < 20; ++before)
    for (std::size_t behind = 0; behind < 20; ++behind) {
      const std::string left(before, '\x1f'), right(behind, '!');  // the neighbours of a space
      Words expected;
      if (!left.empty()) expected.push_back(left);
      if (!right.empty()) expected.push_back(right);
      CHECK(words_of(left + " " + right, {}) == expected);
      CHECK(revector::next_space(left + " " + right, 0) == before);
    }
}

TEST(spaces_belong_to_the_word_behind_them_where_they_matter) {
  const WordRules plain, spaced{.marks = {}, .spaces_matter = true};
  CHECK(words_of("  a b   c ", plain) == (Words{"a", "b", "c"}));
  CHECK(words_of("  a b   c", spaced) == (Words{"  a", "b", "  c"}));
  CHECK(words_of("a b ", spaced) == Words{"a b "});
  CHECK(words_of("", plain).empty() && words_of("   ", plain).empty());
  CHECK(words_of("", spaced) == Words{""} && words_of("  ", spaced) == Words{"  "});
}

TEST(a_text_with_a_mark_or_without_words_is_one_word) {
  const WordRules rules{.marks = {"[SEP]", "▁"}};
  CHECK(words_of("a [SEP] b", rules) == Words{"a [SEP] b"});
  CHECK(words_of("a x▁y", rules) == Words{"a x▁y"});
  CHECK(words_of("a [SEP b", rules).size() == 3);
  const std::string long_words = std::string(70, 'x') + " y";
  CHECK(words_of(long_words, rules) == Words{long_words});
}

TEST(what_was_learnt_is_recalled) {
  WordTable table({});
  const Words texts = {"the cat", "", "the the dog", "cat"};
  const PackedTokens first = through(table, texts);
  CHECK(first.ids == tokenised({"the", "cat", "the", "the", "dog", "cat"}).ids);
  CHECK(first.offsets == (std::vector<std::int64_t>{0, 12, 12, 30, 36}));
  const RecalledTexts again = recall(table, texts);
  CHECK(again.unknown.empty() && again.gaps.empty() && table.size() == 3);
  CHECK(again.completed({}, std::vector<std::int64_t>{0}).ids == first.ids);
}

TEST(an_unknown_word_is_asked_for_once) {
  const WordTable table({});
  const RecalledTexts recalled = recall(table, {"b a b", "a"});
  CHECK(recalled.unknown == (Words{"b", "a"}));
  CHECK(recalled.gaps.size() == 4);
}

TEST(special_tokens_stand_around_every_text) {
  WordTable table({});
  through(table, {"a"});
  const Words texts = {"a b", ""};
  const RecalledTexts recalled = recall(table, texts);
  const PackedTokens learnt = tokenised(recalled.unknown);
  const PackedTokens all = recalled.completed(learnt.ids, learnt.offsets, Ids{1, 2}, Ids{3});
  CHECK(all.ids == (Ids{1, 2, 'a', -'a', 'b', -'b', 3, 1, 2, 3}));
  CHECK(all.offsets == (std::vector<std::int64_t>{0, 7, 10}));
}

TEST(words_of_any_bytes_and_lengths_are_told_apart) {
  WordTable table({});
  Words words;
  for (std::size_t n = 1; n <= 100; ++n)
    for (const char last : {'\0', 'a', 'b', '\xff'}) words.push_back(std::string(n - 1, 'a') + last);
  const Ids expected = tokenised(words).ids;
  for (int round = 0; round < 2; ++round) {
    Ids found;
    for (const std::string& word : words) {
      const Ids ids = through(table, {word + " a a a"}).ids;  // short ones, so that it is split
      found.insert(found.end(), ids.begin(), ids.end() - 6);
    }
    CHECK(found == expected);
  }
}

TEST(a_long_word_or_one_of_many_tokens_is_not_kept) {
  WordTable table({});
  const Words words = {std::string(64, 'x'), std::string(65, 'x'), "many"};
  const Ids ids(300, 7);
  CHECK(table.learn(words, ids, std::vector<std::int64_t>{0, 1, 2, 300}));
  CHECK(table.size() == 1);
}

TEST(it_grows_up_to_its_bound_and_says_that_it_is_full) {
  WordTable table({}, 10000);
  const Words fitting = numbered(0, 10000);
  const Ids ids(10000, 1);
  std::vector<std::int64_t> offsets(10001);
  for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<std::int64_t>(i);
  CHECK(table.learn(fitting, ids, offsets) && table.size() == 10000);
  CHECK(table.learn(fitting, ids, offsets));  // nothing new
  CHECK(!table.learn(numbered(10000, 20000), ids, offsets) && table.size() == 10000);
  for (const std::string& word : fitting) CHECK(recall(table, {word}).unknown.empty());
}

TEST(it_is_full_in_bytes_too) {
  WordTable table({}, 2);
  CHECK(!table.learn(Words{"word"}, Ids(200, 1), std::vector<std::int64_t>{0, 200}));
  CHECK(table.size() == 0);
  WordTable none({}, 0);
  CHECK(!none.learn(Words{"word"}, Ids{1}, std::vector<std::int64_t>{0, 1}));
  CHECK(recall(none, {"word"}).unknown.size() == 1);
}

TEST(wrong_offsets_are_refused) {
  WordTable table({});
  const Words words = {"a", "b"};
  const RecalledTexts recalled = recall(table, {"a b"});
  for (const std::vector<std::int64_t>& offsets : {std::vector<std::int64_t>{0, 3, 2}, {1, 1, 2}, {0, 1, 3}}) {
    CHECK_THROWS(revector::InvalidArgument, table.learn(words, Ids{1, 2}, offsets));
    CHECK_THROWS(revector::InvalidArgument, recalled.completed(Ids{1, 2}, offsets));
  }
  CHECK_THROWS(revector::ShapeError, table.learn(words, Ids{1, 2}, std::vector<std::int64_t>{0, 2}));
  CHECK_THROWS(revector::ShapeError, recalled.completed(Ids{1, 2}, std::vector<std::int64_t>{0, 2}));
}

TEST(threads_read_while_others_learn) {
  WordTable table({}, 4000);
  std::atomic<int> wrong{0};
  const auto work = [&](std::size_t seed) {
    for (std::size_t round = 0; round < 200; ++round) {
      const std::size_t begin = (seed * 31 + round * 17) % 5000;
      const Words words = numbered(begin, begin + 40);
      std::string text;
      for (const std::string& word : words) text += word + " ";
      if (through(table, {text}).ids != tokenised(words).ids) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

#ifndef __SANITIZE_THREAD__  // TSan does not follow threads across fork
TEST(a_forked_child_reads_on_whatever_the_parent_was_doing) {
  WordTable table({});
  std::atomic<bool> stopped{false};
  std::thread learner([&] {
    for (std::size_t i = 0; !stopped; i += 40) through(table, numbered(i % 100000, i % 100000 + 40));
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(through(table, {"a b"}).ids == tokenised({"a", "b"}).ids ? 0 : 1);
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  stopped = true;
  learner.join();
}
#endif

}  // namespace

TEST_MAIN()
