#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "check.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;
namespace fs = std::filesystem;

/// A file of this process that goes when the test does.
struct TemporaryFile {
  TemporaryFile() : path(fs::temp_directory_path() / ("revector_hnsw_" + std::to_string(getpid()))) {}
  ~TemporaryFile() { fs::remove(path); }

  std::string read() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }

  const fs::path path;
};

constexpr std::size_t dim = 5, n_rows = 60, m = 3;
constexpr std::size_t header_bytes = 96, record_bytes = 4 * (2 * m + 1) + 4 * dim + 8;

std::string saved_index(const TemporaryFile& file) {
  Rows x(n_rows, dim, 1);
  HnswIndex index(dim, Metric::l2, {m, 20, 1});
  index.add(x.view(), first_labels(n_rows));
  index.mark_deleted(std::vector<std::int64_t>{3, 4});
  index.save(file.path);
  return file.read();
}

template <class T>
std::string with(std::string bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
  return bytes;
}

HnswIndex load(const TemporaryFile& file, const std::string& bytes) {
  file.write(bytes);
  return HnswIndex::load(file.path, dim, Metric::l2);
}

/// The message with which a file is refused, or "".
std::string refusal(const TemporaryFile& file, const std::string& bytes) {
  try {
    load(file, bytes);
  } catch (const revector::CorruptIndex& error) {
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

TEST(an_index_survives_its_file) {
  for (Metric metric : {Metric::cosine, Metric::inner_product, Metric::l2})
    for (std::size_t links : {4, 16, 48}) {
      const TemporaryFile file;
      Rows x(500, 24, 1), queries(30, 24, 2);
      HnswIndex index(24, metric, {links, 80, 7});
      index.add(x.view(), first_labels(500));
      index.mark_deleted(std::vector<std::int64_t>{1, 2, 3});
      index.save(file.path);
      const HnswIndex loaded = HnswIndex::load(file.path, 24, metric);
      CHECK(loaded.labels() == index.labels() && loaded.options().m == links);
      CHECK(loaded.options().ef_construction == 80 && loaded.size() == 497);
      const Found before(index, queries, 10, 40), after(loaded, queries, 10, 40);
      CHECK(before.labels == after.labels && before.scores == after.scores);
    }
}

TEST(an_empty_index_survives_its_file) {
  const TemporaryFile file;
  HnswIndex(dim, Metric::l2).save(file.path);
  HnswIndex loaded = HnswIndex::load(file.path, dim, Metric::l2);
  CHECK(loaded.size() == 0);
  Rows x(3, dim, 1);
  loaded.add(x.view(), first_labels(3));
  CHECK(Found(loaded, x, 1, 10).label(2, 0) == 2);
}

TEST(a_header_that_does_not_add_up_is_refused) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  CHECK(refused_for(file, with(good, 0, std::uint64_t{8}), 0, "offset of level 0"));
  CHECK(refused_for(file, with(good, 8, std::uint64_t{1}), 8, "capacity"));
  CHECK(refused_for(file, with(good, 16, std::uint64_t{1} << 60), 16, "too short"));
  CHECK(refused_for(file, with(good, 16, std::uint64_t{n_rows + 1}), 16, "capacity") ||
        !refusal(file, with(good, 16, std::uint64_t{n_rows + 1})).empty());
  CHECK(refused_for(file, with(good, 24, std::uint64_t{record_bytes + 4}), 24, "size of a record"));
  CHECK(refused_for(file, with(good, 32, std::uint64_t{0}), 32, "offset of the id"));
  CHECK(refused_for(file, with(good, 40, UINT64_MAX), 40, "offset of the vector"));
  CHECK(!refusal(file, with(good, 48, std::int32_t{-1})).empty());
  CHECK(!refusal(file, with(good, 48, std::int32_t{100})).empty());
  CHECK(refused_for(file, with(good, 52, std::uint32_t{n_rows}), 52, "entry point"));
  CHECK(refused_for(file, with(good, 56, std::uint64_t{m + 1}), 56, "maxM"));
  CHECK(refused_for(file, with(good, 64, std::uint64_t{m}), 64, "maxM0"));
  CHECK(refused_for(file, with(good, 72, std::uint64_t{1}), 72, "M is 1"));
  CHECK(refused_for(file, with(good, 72, std::uint64_t{100000}), 72, "M is 100000"));
  CHECK(refused_for(file, with(good, 80, 0.0), 80, "level multiplier"));
  CHECK(refused_for(file, with(good, 88, std::uint64_t{0}), 88, "efConstruction"));
}

TEST(records_and_lists_that_do_not_add_up_are_refused) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  const std::size_t second = header_bytes + record_bytes, vector = second + 4 * (2 * m + 1), label = vector + 4 * dim;
  const std::size_t upper = header_bytes + n_rows * record_bytes;
  CHECK(refused_for(file, with(good, second, std::uint16_t{2 * m + 1}), second, "links"));
  CHECK(refused_for(file, with(good, second + 2, std::uint8_t{2}), second, "unknown marks"));
  CHECK(refused_for(file, with(good, second + 4, std::uint32_t{n_rows}), second + 4, "a link to node 60"));
  CHECK(refused_for(file, with(good, vector + 4, std::numeric_limits<float>::quiet_NaN()), vector, "NaN"));
  CHECK(refused_for(file, with(good, label, std::int64_t{0}), label, "occurs twice"));
  CHECK(refused_for(file, with(good, upper, std::uint32_t{7}), upper, "upper lists"));
  CHECK(refused_for(file, with(good, upper, std::uint32_t{(m + 1) * 4000}), upper, "upper lists"));
  CHECK(refused_for(file, good + "x", good.size(), "1 bytes too many"));
}

TEST(a_link_to_a_node_that_ends_below_is_refused) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  std::size_t offset = header_bytes + n_rows * record_bytes;
  std::vector<std::size_t> ground;
  std::size_t tall = 0;
  for (std::size_t node = 0; node < n_rows; ++node) {
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, good.data() + offset, 4);
    std::uint32_t n_links = 0;
    if (bytes > 0) std::memcpy(&n_links, good.data() + offset + 4, 4);
    if (bytes == 0) ground.push_back(node);
    if (n_links > 0) tall = offset;
    offset += 4 + bytes;
  }
  CHECK(tall > 0 && !ground.empty());
  CHECK(refused_for(file, with(good, tall + 8, static_cast<std::uint32_t>(ground[0])), tall, "ends at level 0"));
}

TEST(a_file_cut_off_anywhere_is_refused) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  for (std::size_t bytes = 0; bytes < good.size(); bytes += bytes < 200 ? 1 : 13)
    CHECK(!refusal(file, good.substr(0, bytes)).empty());
}

TEST(flipped_bytes_are_refused_or_give_an_index_that_works) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  Rows queries(3, dim, 2), more(5, dim, 3);
  std::mt19937 random(1);
  std::size_t loaded = 0;
  for (int trial = 0; trial < 600; ++trial) {
    std::string bytes = good;
    for (unsigned flips = 1 + random() % 3; flips > 0; --flips) bytes[random() % bytes.size()] ^= 1 << random() % 8;
    try {
      HnswIndex index = load(file, bytes);
      Found(index, queries, 10, 50);
      index.add(more.view(), std::vector<std::int64_t>{0, 1000, 1001, 2, 1002});
      ++loaded;
    } catch (const revector::CorruptIndex&) {      // the usual end
    } catch (const revector::ShapeError&) {        // the header now tells of another dimension
    } catch (const revector::UnsupportedIndex&) {  // an id above 2^63 - 1
    }
  }
  CHECK(loaded > 0);  // of vectors, most bits may be anything
}

TEST(what_the_caller_gets_wrong_is_told_apart_from_a_corrupt_file) {
  const TemporaryFile file;
  saved_index(file);
  CHECK_THROWS(revector::ShapeError, HnswIndex::load(file.path, dim + 1, Metric::l2));
  CHECK_THROWS(revector::InvalidArgument, HnswIndex::load(file.path, dim, Metric::cosine));  // rows are longer than 1
  CHECK_THROWS(revector::IoError, HnswIndex::load("/nowhere/index", dim, Metric::l2));
  CHECK_THROWS(revector::IoError, HnswIndex::load("/", dim, Metric::l2));
  CHECK_THROWS(revector::IoError, HnswIndex(dim, Metric::l2).save("/nowhere/index"));
  CHECK_THROWS(revector::CorruptIndex, HnswIndex::load("/dev/null", dim, Metric::l2));
}

TEST(what_is_sound_but_not_supported_is_told_apart_from_a_corrupt_file) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  const std::size_t label = header_bytes + record_bytes - 8;
  CHECK_THROWS(revector::UnsupportedIndex, load(file, with(good, label, UINT64_MAX)));
  std::string faiss = good, snapshot = good;
  faiss.replace(0, 4, "IHNf");
  snapshot.replace(0, 8, std::string("revhnsw\0", 8));
  CHECK_THROWS(revector::UnsupportedIndex, load(file, faiss));
  CHECK_THROWS(revector::UnsupportedIndex, load(file, snapshot));
  CHECK_THROWS(revector::CorruptIndex, load(file, with(good, 0, 'x')));
}

std::uint64_t capacity_in(const TemporaryFile& file) {
  std::uint64_t capacity = 0;
  std::memcpy(&capacity, file.read().data() + 8, sizeof(capacity));
  return capacity;
}

TEST(a_saved_file_has_room_for_more_vectors) {
  const TemporaryFile file;
  saved_index(file);
  CHECK(capacity_in(file) == n_rows + 10'000);
  HnswIndex(dim, Metric::l2).save(file.path);
  CHECK(capacity_in(file) == 10'000);
  Rows x(50'000, 1, 1);
  HnswIndex::build(x.view(), first_labels(x.n), Metric::l2, {2, 4, 1}).save(file.path);
  CHECK(capacity_in(file) == 62'500);
}

TEST(a_capacity_can_be_asked_for_but_not_below_what_is_there) {
  const TemporaryFile file;
  HnswIndex index = load(file, saved_index(file));
  for (std::size_t capacity : {n_rows, n_rows + 1, std::size_t{1'000'000}}) {
    index.save(file.path, capacity);
    CHECK(capacity_in(file) == capacity);
  }
  CHECK_THROWS(revector::InvalidArgument, index.save(file.path, n_rows - 1));  // deleted ones take room, too
  CHECK_THROWS(revector::InvalidArgument, index.save(file.path, SIZE_MAX));
  HnswIndex(dim, Metric::l2).save(file.path, 0);
  CHECK(capacity_in(file) == 1);  // hnswlib cannot open a file without room
}

TEST(the_capacity_of_the_file_that_was_read_is_kept) {
  const TemporaryFile file;
  const HnswIndex index = load(file, with(saved_index(file), 8, std::uint64_t{77'777}));
  index.save(file.path);
  CHECK(capacity_in(file) == 77'777);
}

TEST(an_index_survives_as_bytes_that_are_those_of_its_file) {
  const TemporaryFile file;
  const std::string good = saved_index(file);
  const HnswIndex index = load(file, good);
  const std::string bytes = index.to_bytes();
  CHECK(bytes == good);
  const HnswIndex copy = HnswIndex::from_bytes(bytes, dim, Metric::l2);
  CHECK(copy.labels() == index.labels() && copy.to_bytes() == good);
  for (std::size_t size = 0; size < good.size(); size += 37)
    CHECK_THROWS(revector::CorruptIndex,
                 HnswIndex::from_bytes(std::string_view(good).substr(0, size), dim, Metric::l2));
}

TEST(a_failed_save_leaves_the_old_file_and_nothing_else) {
  const fs::path folder = fs::temp_directory_path() / ("revector_hnsw_folder_" + std::to_string(getpid()));
  fs::create_directories(folder / "index" / "in the way");
  CHECK_THROWS(revector::IoError, HnswIndex(dim, Metric::l2).save(folder / "index"));  // a directory: rename fails
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);
  fs::remove_all(folder);
}

}  // namespace

TEST_MAIN()
