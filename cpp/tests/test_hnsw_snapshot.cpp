// Snapshots: graphs in a file of our own, searched where they lie.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "check.hpp"
#include "core/crc32c.hpp"
#include "core/hnsw/snapshot/format.hpp"
#include "core/hnsw/snapshot/rows.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::ElementType;
using revector::HnswIndex;
using revector::HnswSnapshot;
using revector::Metric;
using revector::hnsw::SnapshotHeader;
using revector::hnsw::SnapshotLayout;
using revector::hnsw::SnapshotTrailer;
namespace fs = std::filesystem;

constexpr Metric metrics[] = {Metric::cosine, Metric::inner_product, Metric::l2};
constexpr ElementType types[] = {ElementType::float32, ElementType::float16, ElementType::bfloat16, ElementType::int8};

/// A file of this process that goes when the test does.
struct TemporaryFile {
  TemporaryFile() : path(fs::temp_directory_path() / ("revector_snapshot_" + std::to_string(getpid()))) {}
  ~TemporaryFile() { fs::remove(path); }

  std::string read() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// A new file in the place of the old one: who has that open keeps it.
  void write(const std::string& bytes) const {
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
  }

  const fs::path path;
};

/// Labels 3 i, label 6 deleted.
HnswIndex index_of(Rows& x, Metric metric) {
  std::vector<std::int64_t> labels = first_labels(x.n);
  for (std::int64_t& label : labels) label *= 3;
  HnswIndex index = HnswIndex::build(x.view(), labels, metric, {8, 80, 7});
  if (x.n > 2) index.mark_deleted(std::vector<std::int64_t>{6});
  return index;
}

struct Answers {
  template <class Index>
  Answers(const Index& index, Rows& queries, std::size_t k, std::size_t ef,
          std::optional<std::span<const std::int64_t>> allowed = std::nullopt)
      : scores(queries.n * k), labels(queries.n * k) {
    index.search(queries.view(), k, ef, {scores.data(), queries.n, k}, {labels.data(), queries.n, k}, allowed);
  }
  /// By measuring all.
  template <class Index>
  Answers(const Index& index, Rows& queries, std::size_t k) : scores(queries.n * k), labels(queries.n * k) {
    index.search_exact(queries.view(), k, {scores.data(), queries.n, k}, {labels.data(), queries.n, k});
  }
  double share_of(const Answers& truth) const {
    std::size_t same = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) same += scores[i] >= truth.scores[i] - 1e-5F ? 1 : 0;
    return static_cast<double>(same) / static_cast<double>(scores.size());
  }

  std::vector<float> scores;
  std::vector<std::int64_t> labels;
};

TEST(a_snapshot_in_float32_answers_as_the_index_does) {
  const TemporaryFile file;
  for (Metric metric : metrics)
    for (std::size_t n : {0, 1, 2, 9, 700}) {
      Rows x(n, 24, 1), queries(20, 24, 2);
      const HnswIndex index = index_of(x, metric);
      index.save_snapshot(file.path, {ElementType::float32, true});
      const HnswSnapshot snapshot(file.path);
      snapshot.verify();
      const Answers ours(snapshot, queries, 5, 40), theirs(index, queries, 5, 40);
      CHECK(ours.labels == theirs.labels);
      CHECK(ours.scores == theirs.scores);
      CHECK(snapshot.size() == index.size() && snapshot.labels() == index.labels());
      CHECK(snapshot.dim() == 24 && snapshot.metric() == metric && snapshot.options().m == 8);
      CHECK(!snapshot.storage().rescore);
      CHECK(snapshot.health().degrees == index.health().degrees && snapshot.health().live == index.size());
      CHECK(!snapshot.contains(6) && !snapshot.contains(1) && snapshot.contains(0) == (n > 0));
    }
}

TEST(vectors_of_fewer_bits_find_the_same_and_are_scored_in_float32) {
  const TemporaryFile file;
  for (Metric metric : metrics)
    for (ElementType type : types) {
      Rows x(900, 40, 1), queries(40, 40, 2);
      const HnswIndex index = index_of(x, metric);
      index.save_snapshot(file.path, {type, true});
      const HnswSnapshot snapshot(file.path);
      const Answers truth(index, queries, 5), exact(snapshot, queries, 5);
      CHECK(exact.labels == truth.labels);
      CHECK(Answers(snapshot, queries, 5, 900).share_of(truth) > 0.995);
      const double floor = Answers(index, queries, 5, 60).share_of(truth) - 0.03;
      CHECK(Answers(snapshot, queries, 5, 60).share_of(truth) > floor);
      std::vector<float> row(40), copy(40);
      index.get_vectors(std::vector<std::int64_t>{30}, {row.data(), 1, 40});
      snapshot.get_vectors(std::vector<std::int64_t>{30}, {copy.data(), 1, 40});
      CHECK(row == copy);
    }
}

TEST(without_float32_vectors_scores_are_those_of_the_rounded_ones) {
  const TemporaryFile file;
  for (Metric metric : metrics)
    for (ElementType type : types) {
      Rows x(500, 33, 1), queries(30, 33, 2);
      const HnswIndex index = index_of(x, metric);
      index.save_snapshot(file.path, {type, false});
      const HnswSnapshot snapshot(file.path);
      CHECK(!snapshot.storage().rescore && snapshot.storage().type == type);
      const Answers truth(index, queries, 5), rounded(snapshot, queries, 5);
      const double scale = metric == Metric::cosine ? 1 : 33;
      const double step = type == ElementType::int8 ? 0.02 : type == ElementType::bfloat16 ? 0.01 : 0.002;
      for (std::size_t i = 0; i < truth.scores.size(); ++i)
        CHECK_NEAR(rounded.scores[i], truth.scores[i], step * scale + 1e-5);
      std::vector<float> row(33), copy(33);
      index.get_vectors(std::vector<std::int64_t>{30}, {row.data(), 1, 33});
      snapshot.get_vectors(std::vector<std::int64_t>{30}, {copy.data(), 1, 33});
      for (std::size_t i = 0; i < 33; ++i) CHECK_NEAR(copy[i], row[i], 0.02 * (1 + std::abs(row[i])));
    }
}

TEST(a_search_among_some_labels_finds_only_those) {
  const TemporaryFile file;
  Rows x(600, 16, 1), queries(20, 16, 2);
  const HnswIndex index = index_of(x, Metric::cosine);
  index.save_snapshot(file.path, {});
  const HnswSnapshot snapshot(file.path);
  for (std::size_t step : {2, 100}) {  // by a walk, and by measuring all
    std::vector<std::int64_t> allowed{6, 1, 99999};
    for (std::size_t i = 0; i < 600; i += step) allowed.push_back(static_cast<std::int64_t>(3 * i));
    const Answers found(snapshot, queries, 5, 100, allowed);
    for (std::int64_t label : found.labels) CHECK(label >= 0 && label % (3 * static_cast<std::int64_t>(step)) == 0);
    CHECK(found.share_of(Answers(index, queries, 5, 600, allowed)) > 0.97);
  }
  CHECK(Answers(snapshot, queries, 5, 100, std::vector<std::int64_t>{}).labels == std::vector<std::int64_t>(100, -1));
}

TEST(what_is_left_out_is_not_found_and_leads_on) {
  const TemporaryFile file;
  Rows x(900, 16, 1), queries(30, 16, 2);
  HnswIndex index = index_of(x, Metric::cosine);
  index.save_snapshot(file.path, {});
  const HnswSnapshot whole(file.path);
  const Answers before(whole, queries, 3, 100);
  std::vector<std::int64_t> gone = before.labels;
  gone.push_back(1);                                                                    // not there
  const HnswSnapshot rest = whole.without(gone).without(std::vector<std::int64_t>{6});  // deleted already
  std::sort(gone.begin(), gone.end());
  gone.erase(std::unique(gone.begin(), gone.end()), gone.end());
  CHECK(rest.size() == whole.size() - (gone.size() - 1));
  CHECK(rest.labels().size() == rest.size());
  const Answers found(rest, queries, 5, 100);
  for (std::int64_t label : found.labels) CHECK(!std::binary_search(gone.begin(), gone.end(), label));
  gone.erase(std::find(gone.begin(), gone.end(), 1));
  index.mark_deleted(gone);
  CHECK(Answers(rest, queries, 5).labels == Answers(index, queries, 5).labels);
  CHECK(found.share_of(Answers(rest, queries, 5)) > 0.97);
  CHECK(Answers(whole, queries, 3, 100).labels == before.labels);
  CHECK(Answers(rest, queries, 5, 100, gone).labels == std::vector<std::int64_t>(150, -1));
  CHECK(!rest.contains(gone[0]) && whole.contains(gone[0]));
}

TEST(where_little_is_left_all_of_it_is_measured) {
  const TemporaryFile file;
  Rows x(600, 16, 1), queries(20, 16, 2);
  index_of(x, Metric::l2).save_snapshot(file.path, {});
  const HnswSnapshot whole(file.path);
  const std::vector<std::int64_t> labels = whole.labels();
  const HnswSnapshot rest = whole.without(std::span(labels).subspan(20));
  CHECK(rest.size() == 20);
  CHECK(Answers(rest, queries, 20, 20).labels == Answers(rest, queries, 20).labels);
  CHECK(Answers(rest.without(labels), queries, 2, 20).labels == std::vector<std::int64_t>(40, -1));
}

TEST(find_copies_out_what_is_there) {
  const TemporaryFile file;
  Rows x(100, 8, 1);
  const HnswIndex index = index_of(x, Metric::inner_product);
  index.save_snapshot(file.path, {});
  const HnswSnapshot snapshot(file.path);
  const std::vector<std::int64_t> wanted{30, 1, 6, 0, -1, INT64_MAX}, there{30, 0};
  std::array<bool, 6> found{};
  std::vector<float> out(6 * 8), expected(2 * 8);
  CHECK(snapshot.find_vectors(wanted, found, {out.data(), 6, 8}) == 2);
  CHECK((found == std::array<bool, 6>{true, false, false, true, false, false}));
  index.get_vectors(there, {expected.data(), 2, 8});
  CHECK(std::equal(expected.begin(), expected.end(), out.begin()));
  CHECK_THROWS(revector::ShapeError, snapshot.find_vectors(wanted, found, {out.data(), 5, 8}));
  CHECK_THROWS(revector::ShapeError, snapshot.find_vectors(wanted, std::span(found).first(5), {out.data(), 6, 8}));
}

TEST(a_snapshot_of_batches_is_that_of_the_whole) {
  const TemporaryFile file;
  for (Metric metric : metrics)
    for (std::size_t n : {0, 1, 900}) {
      Rows x(n, 200, 1);  // an index of 200 dimensions has coarse rows, a builder has none
      for (std::size_t i = 3; i < n; i += 7) std::copy_n(x.row(0), 200, x.row(i));  // twins
      const std::vector<std::int64_t> labels = first_labels(n);
      HnswIndex::build(x.view(), labels, metric, {8, 80, 7}).save_snapshot(file.path, {});
      const std::string whole = file.read();
      revector::SnapshotBuilder builder(200, metric, {8, 80, 7}, 500);
      for (std::size_t at = 0; at < n; at += 250) {
        const std::size_t here = std::min<std::size_t>(250, n - at);
        builder.add({x.row(at), here, 200}, std::span(labels).subspan(at, here));
      }
      CHECK(builder.size() == n);
      builder.write(file.path, {});
      CHECK(builder.size() == 0);
      CHECK(file.read() == whole);
    }
}

TEST(a_builder_checks_what_it_takes) {
  const TemporaryFile file;
  Rows x(20, 4, 1), narrow(2, 3, 3);
  revector::SnapshotBuilder builder(4, Metric::l2);
  builder.add(x.view(), first_labels(20));
  CHECK_THROWS(revector::ShapeError, builder.add(narrow.view(), first_labels(2)));
  CHECK_THROWS(revector::ShapeError, builder.add(x.view(), first_labels(19)));
  CHECK_THROWS(revector::InvalidArgument, builder.add({x.row(0), 1, 4}, std::vector<std::int64_t>{-1}));
  x.row(3)[1] = NAN;
  CHECK_THROWS(revector::NumericalError, builder.add(x.view(), first_labels(20)));
  CHECK(builder.size() == 20);
  builder.add({x.row(0), 1, 4}, std::vector<std::int64_t>{7});
  CHECK_THROWS(revector::InvalidArgument, builder.write(file.path, {}));  // 7 came twice
  CHECK(!fs::exists(file.path));
  revector::BuildWatch watch;
  watch.cancelled = true;
  builder.add({x.row(0), 1, 4}, std::vector<std::int64_t>{7});
  CHECK_THROWS(revector::Cancelled, builder.write(file.path, {}, &watch));
  CHECK(!fs::exists(file.path));
}

TEST(arguments_are_checked) {
  const TemporaryFile file;
  Rows x(20, 4, 1), queries(2, 4, 2), narrow(2, 3, 3);
  HnswIndex index = index_of(x, Metric::inner_product);
  index.save_snapshot(file.path, {});
  const HnswSnapshot snapshot(file.path);
  CHECK_THROWS(revector::InvalidArgument, Answers(snapshot, queries, 0, 5));
  CHECK_THROWS(revector::ShapeError, Answers(snapshot, narrow, 2, 5));
  queries.row(1)[2] = NAN;
  CHECK_THROWS(revector::NumericalError, Answers(snapshot, queries, 2, 5));
  std::vector<float> row(4);
  CHECK_THROWS(revector::InvalidArgument, snapshot.get_vectors(std::vector<std::int64_t>{6}, {row.data(), 1, 4}));
  CHECK_THROWS(revector::InvalidArgument, snapshot.get_vectors(std::vector<std::int64_t>{1}, {row.data(), 1, 4}));
  CHECK_THROWS(revector::IoError, HnswSnapshot(file.path.string() + ".none"));
  CHECK_THROWS(revector::IoError, HnswSnapshot(fs::temp_directory_path()));

  const std::string before = file.read();
  x.row(3)[1] = 70000;
  index.add(x.view(), first_labels(20));
  CHECK_THROWS(revector::NumericalError, index.save_snapshot(file.path, {ElementType::float16, true}));
  CHECK(file.read() == before);
  index.save_snapshot(file.path, {ElementType::bfloat16, true});
}

TEST(an_open_snapshot_outlives_its_file) {
  const TemporaryFile file;
  Rows x(300, 8, 1), y(300, 8, 3), queries(10, 8, 2);
  index_of(x, Metric::cosine).save_snapshot(file.path, {});
  const HnswSnapshot old(file.path);
  const Answers before(old, queries, 3, 50);
  index_of(y, Metric::cosine).save_snapshot(file.path, {});
  CHECK(Answers(old, queries, 3, 50).labels == before.labels);
  CHECK(Answers(HnswSnapshot(file.path), queries, 3, 50).labels != before.labels);
}

TEST(threads_share_a_snapshot) {
  const TemporaryFile file;
  Rows x(500, 16, 1), queries(40, 16, 2);
  index_of(x, Metric::l2).save_snapshot(file.path, {});
  const HnswSnapshot snapshot(file.path);
  const Answers alone(snapshot, queries, 5, 40);
  std::vector<char> same(4);
  std::vector<std::thread> threads;
  for (char& one : same)
    threads.emplace_back([&] { one = Answers(snapshot, queries, 5, 40).labels == alone.labels ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  CHECK(same == std::vector<char>(4, 1));
}

/// Bytes of a snapshot whose checksums are right again after a change.
std::string sealed(std::string bytes) {
  SnapshotHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.checksum = revector::crc32c(&header, offsetof(SnapshotHeader, checksum));
  std::memcpy(bytes.data(), &header, sizeof(header));
  const SnapshotLayout layout(header);
  if (layout.total != bytes.size()) return bytes;
  SnapshotTrailer trailer;
  for (std::size_t section = 0; section < revector::hnsw::n_sections; ++section)
    trailer.checksums[section] = revector::crc32c(bytes.data() + layout.begin[section], layout.bytes[section]);
  trailer.own = revector::crc32c(&trailer, offsetof(SnapshotTrailer, own));
  std::memcpy(bytes.data() + layout.trailer, &trailer, sizeof(trailer));
  return bytes;
}

template <class T>
std::string with(std::string bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
  return bytes;
}

std::string refusal(const TemporaryFile& file, const std::string& bytes) {
  file.write(bytes);
  try {
    HnswSnapshot(file.path).verify();
  } catch (const revector::Error& error) {
    return error.what();
  }
  return "";
}

bool refused_for(const TemporaryFile& file, const std::string& bytes, std::size_t offset, const char* reason) {
  const std::string message = refusal(file, bytes);
  const bool matches = message.find("offset " + std::to_string(offset) + ":") != std::string::npos &&
                       message.find(reason) != std::string::npos;
  if (!matches) std::printf("  wanted offset %zu, %s; got: %s\n", offset, reason, message.c_str());
  return matches;
}

struct Whole {
  explicit Whole(const TemporaryFile& file) {
    Rows x(60, 5, 1);
    index_of(x, Metric::cosine).save_snapshot(file.path, {ElementType::int8, true});
    bytes = file.read();
    std::memcpy(&header, bytes.data(), sizeof(header));
  }
  std::size_t at(revector::hnsw::Section section) const { return SnapshotLayout(header).begin[section]; }

  std::string bytes;
  SnapshotHeader header;
};

TEST(every_changed_byte_is_noticed) {
  const TemporaryFile file;
  const Whole whole(file);
  CHECK(refusal(file, whole.bytes).empty());
  const SnapshotLayout layout(whole.header);
  std::vector<bool> is_padding(whole.bytes.size(), true);
  std::fill_n(is_padding.begin(), sizeof(SnapshotHeader), false);
  for (std::size_t section = 0; section < revector::hnsw::n_sections; ++section)
    std::fill_n(is_padding.begin() + static_cast<std::ptrdiff_t>(layout.begin[section]), layout.bytes[section], false);
  std::fill(is_padding.begin() + static_cast<std::ptrdiff_t>(layout.trailer), is_padding.end(), false);
  for (std::size_t i = 0; i < whole.bytes.size(); i += 3) {
    std::string changed = whole.bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    CHECK(refusal(file, changed).empty() == is_padding[i]);
  }
}

TEST(a_file_cut_short_or_too_long_is_refused) {
  const TemporaryFile file;
  const Whole whole(file);
  for (std::size_t size = 0; size < whole.bytes.size(); size += 37)
    CHECK(!refusal(file, whole.bytes.substr(0, size)).empty());
  CHECK(refused_for(file, whole.bytes + "x", whole.bytes.size(), "expected"));
}

TEST(what_checksums_do_not_tell_is_checked) {
  using namespace revector::hnsw;
  const TemporaryFile file;
  const Whole whole(file);
  const auto refused = [&](std::size_t offset, auto value, std::size_t named, const char* reason) {
    return refused_for(file, sealed(with(whole.bytes, offset, value)), named, reason);
  };
  const std::uint32_t none = 1000;
  CHECK(refused(0, 'X', 0, "not a snapshot"));
  CHECK(refused(offsetof(SnapshotHeader, version), 2U, 8, "format version 2, expected 1"));
  CHECK(refused(offsetof(SnapshotHeader, metric), 3U, 12, "the metric is 3"));
  CHECK(refused(offsetof(SnapshotHeader, type), 4U, 16, "the type"));
  CHECK(refused(offsetof(SnapshotHeader, dim), std::uint64_t{1} << 40U, 24, "the dimension"));
  CHECK(refused(offsetof(SnapshotHeader, m), std::uint64_t{1} << 60U, 32, "M is"));
  CHECK(refused(offsetof(SnapshotHeader, count), UINT64_MAX, 56, "the number of nodes"));
  CHECK(refused(offsetof(SnapshotHeader, upper_lists), UINT64_MAX, 72, "upper lists"));
  CHECK(refused(offsetof(SnapshotHeader, entry), none, 80, "the entry point is 1000"));
  CHECK(refused(offsetof(SnapshotHeader, entry_level), none, 84, "the entry point is of level"));
  CHECK(refused(offsetof(SnapshotHeader, n_deleted), std::uint64_t{2}, 64, "2 nodes are deleted, expected 1"));
  CHECK(refused(whole.at(order_section), none, whole.at(order_section), "node 1000 of 60"));
  const std::uint32_t second = [&] {
    std::uint32_t value = 0;
    std::memcpy(&value, whole.bytes.data() + whole.at(order_section) + 4, 4);
    return value;
  }();
  CHECK(refused(whole.at(order_section), second, whole.at(order_section) + 4, "labels are not in order"));
  CHECK(refused(whole.at(deleted_section), 'b', whole.at(deleted_section), "a mark of 98"));
  CHECK(refused(whole.at(first_upper_section), 1U, whole.at(first_upper_section), "do not begin"));
  CHECK(refused(whole.at(first_upper_section) + 4, 9999U, whole.at(first_upper_section) + 4, "has upper lists"));
  CHECK(refused(whole.at(base_section), none, whole.at(base_section), "a list of 1000 links"));
  CHECK(refused(whole.at(base_section) + 4, none, whole.at(base_section) + 4, "a link to node 1000 of 60"));
}

/// Whatever a search, a look-up or a view of a file comes by; what it met.
std::string met(const TemporaryFile& file, const std::string& bytes) {
  file.write(bytes);
  Rows queries(5, 5, 2);
  try {
    const HnswSnapshot snapshot(file.path);
    Answers(snapshot, queries, 3, 3);  // by a walk
    Answers(snapshot, queries, 5, 60);
    for (std::int64_t label = 0; label < 60 * 3; label += 3) snapshot.contains(label);
    Answers(snapshot.without(std::vector<std::int64_t>{0, 9}), queries, 3, 3);
  } catch (const revector::CorruptIndex& error) {
    return error.what();
  }
  return "";
}

TEST(a_list_that_leads_out_of_the_file_is_met_with_an_exception) {
  using namespace revector::hnsw;
  const TemporaryFile file;
  const Whole whole(file);
  const auto with_lists = [&](std::size_t word, std::uint32_t value) {  // the same in all of level 0
    std::string bytes = whole.bytes;
    for (std::size_t node = 0; node < 60; ++node)
      bytes = with(bytes, whole.at(base_section) + (node * (2 * 8 + 1) + word) * sizeof(value), value);
    return met(file, bytes);
  };
  CHECK(with_lists(0, 1).empty());  // shorter lists lead nowhere else
  CHECK(with_lists(0, UINT32_MAX).find("a list of 4294967295 links") != std::string::npos);
  CHECK(with_lists(1, 60).find("a link to node 60 of 60") != std::string::npos);
  CHECK(met(file, with(whole.bytes, whole.at(order_section) + 30 * 4, UINT32_MAX)).find("node 4294967295 of 60") !=
        std::string::npos);
  SnapshotHeader header = whole.header;
  header.entry_level = UINT32_MAX;  // a descent that takes hours
  std::string bytes = whole.bytes;
  std::memcpy(bytes.data(), &header, sizeof(header));
  CHECK(refused_for(file, sealed(bytes), offsetof(SnapshotHeader, entry_level), "the entry point is of level"));
}

TEST(any_damage_of_what_is_followed_gives_an_exception_or_an_answer) {
  using namespace revector::hnsw;
  const TemporaryFile file;
  const Whole whole(file);
  std::size_t exceptions = 0, answers = 0;
  for (std::size_t at = whole.at(labels_section); at < whole.at(rows_section); at += 4) {
    const auto value = 0x80000001U + static_cast<std::uint32_t>(at);
    (met(file, with(whole.bytes, at, value)).empty() ? answers : exceptions) += 1;
  }
  CHECK(exceptions > 100);
  CHECK(answers > 100);
}

TEST(damaged_vectors_give_scores_but_no_crash) {
  const TemporaryFile file;
  const Whole whole(file);
  Rows queries(10, 5, 2);
  std::string bytes = whole.bytes;
  const SnapshotLayout layout(whole.header);
  for (const auto section : {revector::hnsw::rows_section, revector::hnsw::exact_section})
    std::memset(bytes.data() + layout.begin[section], 0xFF, layout.bytes[section]);  // NaN throughout
  file.write(bytes);
  const HnswSnapshot snapshot(file.path);
  for (std::int64_t label : Answers(snapshot, queries, 5, 40).labels) CHECK(label >= -1);
  CHECK_THROWS(revector::CorruptIndex, snapshot.verify());
}

TEST(checksums_are_crc_32c) {
  CHECK(revector::crc32c("123456789", 9) == 0xE3069283U);  // the check value of RFC 3720
  CHECK(revector::crc32c("6789", 4, revector::crc32c("12345", 5)) == 0xE3069283U);
  CHECK(revector::crc32c(nullptr, 0) == 0);
}

TEST(rounding_to_16_bits_is_to_the_nearest) {
  const auto& kernels = revector::kernels::table().rows;
  for (std::uint32_t bits = 0; bits < 0x7C00; bits += 7) {  // every seventh finite float16
    const auto half = static_cast<std::uint16_t>(bits), next = static_cast<std::uint16_t>(bits + 1);
    float low = 0, high = 0;
    kernels.widen_float16(&half, 1, &low);
    if (bits + 1 == 0x7C00) break;
    kernels.widen_float16(&next, 1, &high);
    const float middle = low + (high - low) / 2;
    CHECK(revector::hnsw::to_float16(low) == half);
    CHECK(revector::hnsw::to_float16(-low) == (half | 0x8000U));
    CHECK(revector::hnsw::to_float16(std::nextafter(middle, low)) == half);
    CHECK(revector::hnsw::to_float16(std::nextafter(middle, high)) == next);
    CHECK(revector::hnsw::to_float16(middle) == ((half & 1U) == 0 ? half : next));
  }
  CHECK(revector::hnsw::to_float16(65504) == 0x7BFF);
  CHECK(revector::hnsw::to_bfloat16(1) == 0x3F80);
  CHECK(revector::hnsw::to_bfloat16(1 + 0x1p-8F) == 0x3F80);
  CHECK(revector::hnsw::to_bfloat16(1 + 0x1p-8F + 0x1p-20F) == 0x3F81);
}

}  // namespace

TEST_MAIN()
