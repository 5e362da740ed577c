#include "revector/hnsw.hpp"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <thread>

#include "check.hpp"
#include "core/hnsw/label_table.hpp"
#include "hnsw_rows.hpp"

namespace {

using revector::HnswIndex;
using revector::Metric;

constexpr Metric all_metrics[] = {Metric::cosine, Metric::inner_product, Metric::l2};

HnswIndex index_of(Rows& x, Metric metric = Metric::cosine, revector::HnswOptions options = {16, 100, 100}) {
  HnswIndex index(x.d, metric, options);
  index.add(x.view(), first_labels(x.n));
  return index;
}

TEST(it_finds_what_an_exact_search_finds) {
  for (Metric metric : all_metrics)
    for (std::size_t d : {1, 7, 16, 33}) {
      Rows x(800, d, 1), queries(40, d, 2);
      const HnswIndex index = index_of(x, metric);
      CHECK(index.size() == 800);
      if (d > 1) CHECK(recall(index, x, queries, 10, 128) >= 0.98);
      const Found found(index, queries, 10, 128);
      for (std::size_t q = 0; q < queries.n; ++q)
        for (std::size_t i = 0; i < 10; ++i) {
          CHECK_NEAR(found.score(q, i), exact_score(metric, queries.row(q), x.row(found.label(q, i)), d), 1e-4);
          CHECK(i == 0 || found.score(q, i) <= found.score(q, i - 1));
        }
    }
}

TEST(small_and_empty_indexes_pad_their_results) {
  Rows queries(3, 4, 1), x(2, 4, 2);
  HnswIndex index(4, Metric::l2);
  const Found nothing(index, queries, 2, 10);
  CHECK(nothing.label(2, 1) == -1 && nothing.score(2, 1) == -std::numeric_limits<float>::infinity());
  CHECK(index.size() == 0 && index.labels().empty() && !index.contains(0));
  index.add(x.view(), first_labels(2));
  const Found two(index, queries, 5, 10);
  CHECK(two.label(0, 0) >= 0 && two.label(0, 1) >= 0 && two.label(0, 2) == -1);
  index.add(x.view().slice(0, 0), {});
  CHECK(index.size() == 2);
}

TEST(equal_scores_are_ordered_by_label) {
  Rows x(20, 8, 1);
  for (std::size_t i = 1; i < x.n; ++i) std::copy_n(x.row(0), 8, x.row(i));
  std::vector<std::int64_t> labels = first_labels(20);
  std::reverse(labels.begin(), labels.end());
  HnswIndex index(8, Metric::cosine);
  index.add(x.view(), labels);
  Rows query(1, 8, 1);
  const Found found(index, query, 20, 64);
  for (std::size_t i = 0; i < 20; ++i) CHECK(found.label(0, i) == static_cast<std::int64_t>(i));
}

TEST(deleted_labels_are_hidden_until_they_are_unmarked_or_added) {
  Rows x(600, 12, 1), queries(30, 12, 2);
  HnswIndex index = index_of(x);
  std::vector<std::int64_t> gone;
  for (std::int64_t label = 0; label < 600; label += 2) gone.push_back(label);
  index.mark_deleted(gone);
  index.mark_deleted(gone);
  CHECK(index.size() == 300 && !index.contains(0) && index.contains(1) && index.labels().size() == 300);
  CHECK(recall(index, x, queries, 10, 128, {gone.begin(), gone.end()}) >= 0.98);
  CHECK_THROWS(revector::InvalidArgument, index.mark_deleted(std::vector<std::int64_t>{1, 600}));
  CHECK(index.contains(1));
  Rows out(1, 12, 3);
  CHECK_THROWS(revector::InvalidArgument, index.get_vectors(std::vector<std::int64_t>{0}, out.view()));
  index.add(x.view().slice(0, 1), std::vector<std::int64_t>{0});
  CHECK(index.contains(0));
  index.unmark_deleted(gone);
  CHECK(index.size() == 600);
  CHECK(recall(index, x, queries, 10, 128) >= 0.98);
}

TEST(an_index_of_deleted_labels_finds_nothing_and_can_grow) {
  Rows x(100, 6, 1), more(300, 6, 2), queries(20, 6, 3);
  HnswIndex index = index_of(x, Metric::l2);
  index.mark_deleted(first_labels(100));
  CHECK(Found(index, queries, 3, 10).label(0, 0) == -1);
  std::vector<std::int64_t> labels = first_labels(300);
  for (std::int64_t& label : labels) label += 1000;
  index.add(more.view(), labels);
  const Found found(index, queries, 5, 128);
  CHECK(std::all_of(found.labels.begin(), found.labels.end(), [](std::int64_t label) { return label >= 1000; }));
}

TEST(updated_vectors_are_found_where_they_are_now) {
  for (Metric metric : all_metrics) {
    Rows x(800, 16, 1), moved(800, 16, 2), queries(40, 16, 3);
    HnswIndex index = index_of(x, metric);
    index.add(moved.view().slice(0, 200), first_labels(200));
    std::copy_n(moved.row(0), 200 * 16, x.row(0));
    CHECK(index.size() == 800);
    CHECK(recall(index, x, queries, 10, 128) >= 0.98);
    index.add(moved.view(), first_labels(800));  // all at once
    CHECK(recall(index, moved, queries, 10, 128) >= 0.97);
  }
}

TEST(the_last_row_of_a_label_counts) {
  Rows x(4, 3, 1);
  HnswIndex index(3, Metric::l2);
  const std::vector<std::int64_t> labels = {7, 8, 7, 7};
  Rows out(2, 3, 2);
  for (int repetition = 0; repetition < 2; ++repetition) {  // first new, then an update
    index.add(x.view(), labels);
    index.get_vectors(std::vector<std::int64_t>{7, 8}, out.view());
    CHECK(index.size() == 2);
    CHECK(std::equal(out.row(0), out.row(0) + 3, x.row(3)) && std::equal(out.row(1), out.row(1) + 3, x.row(1)));
    std::swap_ranges(x.row(0), x.row(2), x.row(2));
  }
}

TEST(cosine_keeps_unit_rows_and_zero_rows) {
  Rows x(3, 5, 1), out(3, 5, 2);
  std::fill_n(x.row(1), 5, 0.0F);
  x.row(2)[0] = 3e38F;
  HnswIndex index = index_of(x);
  index.get_vectors(first_labels(3), out.view());
  CHECK_NEAR(exact_score(Metric::inner_product, out.row(0), out.row(0), 5), 1, 1e-6);
  CHECK(out.row(1)[0] == 0);
  CHECK_NEAR(out.row(2)[0], 1, 1e-6);
  Rows query(1, 5, 1);
  CHECK_NEAR(Found(index, query, 3, 10).score(0, 0), 1, 1e-6);
}

TEST(wrong_arguments_are_refused_and_change_nothing) {
  Rows x(10, 4, 1), narrow(10, 3, 2), bad(10, 4, 3);
  HnswIndex index = index_of(x, Metric::inner_product);
  bad.row(9)[2] = std::numeric_limits<float>::quiet_NaN();
  const auto labels = first_labels(10);
  CHECK_THROWS(revector::NumericalError, index.add(bad.view(), labels));
  CHECK_THROWS(revector::NumericalError, Found(index, bad, 1, 1));
  bad.row(9)[2] = 1e30F;
  CHECK_THROWS(revector::NumericalError, index.add(bad.view(), labels));
  CHECK_THROWS(revector::ShapeError, index.add(narrow.view(), labels));
  CHECK_THROWS(revector::ShapeError, index.add(x.view(), first_labels(9)));
  CHECK_THROWS(revector::ShapeError, Found(index, narrow, 1, 1));
  CHECK_THROWS(revector::InvalidArgument, index.add(x.view().slice(0, 1), std::vector<std::int64_t>{-1}));
  CHECK_THROWS(revector::InvalidArgument, Found(index, x, 0, 1));
  CHECK_THROWS(revector::InvalidArgument, HnswIndex(0, Metric::l2));
  CHECK_THROWS(revector::InvalidArgument, HnswIndex(4, Metric::l2, {1, 200, 100}));
  CHECK_THROWS(revector::InvalidArgument, HnswIndex(4, Metric::l2, {16, 0, 100}));
  CHECK(index.size() == 10);
  Rows out(10, 4, 4);
  index.get_vectors(labels, out.view());
  CHECK(out.values == x.values);
}

TEST(one_thread_and_one_seed_make_one_file) {
  const auto folder = std::filesystem::temp_directory_path();
  const std::string a = folder / ("hnsw_a_" + std::to_string(getpid())), b = a + "_b";
  Rows x(700, 8, 1);
  const std::size_t threads = revector::num_threads();
  revector::set_num_threads(1);
  index_of(x).save(a);
  HnswIndex half(8, Metric::cosine, {16, 100, 100});
  half.add(x.view().slice(0, 300), first_labels(300));
  half.save(b);
  HnswIndex whole = HnswIndex::load(b, 8, Metric::cosine);
  std::vector<std::int64_t> rest = first_labels(700);
  rest.erase(rest.begin(), rest.begin() + 300);
  whole.add(x.view().slice(300, 700), rest);
  whole.save(b);
  revector::set_num_threads(threads);
  std::FILE *first = std::fopen(a.c_str(), "rb"), *second = std::fopen(b.c_str(), "rb");
  int one = 0;
  do {
    one = std::fgetc(first);
    if (one != std::fgetc(second)) break;
  } while (one != EOF);
  CHECK(one == EOF);
  std::fclose(first);
  std::fclose(second);
  std::filesystem::remove(a);
  std::filesystem::remove(b);
}

TEST(readers_and_a_writer_work_side_by_side) {
  Rows x(600, 8, 1), queries(4, 8, 2);
  HnswIndex index(8, Metric::cosine, {8, 40, 100});
  index.add(x.view().slice(0, 100), first_labels(100));
  std::atomic<bool> done{false};
  std::atomic<int> searches{0}, wrong{0};
  const auto read = [&] {
    while (!done) {
      const Found found(index, queries, 3, 20);
      for (std::int64_t label : found.labels) wrong += label < 0 || label >= 600;
      wrong += index.size() < 100 || !index.contains(99);
      ++searches;
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back(read);
  const auto labels = first_labels(600);
  for (std::size_t begin = 100; begin < 600; begin += 50) {
    index.add(x.view().slice(begin, begin + 50), std::span(labels).subspan(begin, 50));
    index.add(x.view().slice(0, 20), std::span(labels).first(20));
    index.mark_deleted(std::span(labels).subspan(begin, 1));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0 && searches > 0);
  CHECK(index.size() == 590);
}

TEST(a_rotation_leaves_results_as_they_are) {
  Rows vectors(600, 8, 1), queries(20, 8, 2), turned(20, 8, 2);
  HnswIndex index = index_of(vectors);
  index.mark_deleted(std::vector<std::int64_t>{5});
  std::vector<float> w(64), scores(200), turned_scores(200);
  std::vector<std::int64_t> labels(200), turned_labels(200);
  for (std::size_t i = 0; i < 8; ++i) w[i * 8 + (i + 3) % 8] = i % 2 == 0 ? 1.0F : -1.0F;  // exchanges and mirrors axes
  for (std::size_t q = 0; q < 20; ++q)
    for (std::size_t i = 0; i < 8; ++i) turned.row(q)[(i + 3) % 8] = queries.row(q)[i] * w[i * 8 + (i + 3) % 8];
  index.search(queries.view(), 10, 50, {scores.data(), 20, 10}, {labels.data(), 20, 10});
  index.rotate({w.data(), 8, 8});
  index.search(turned.view(), 10, 50, {turned_scores.data(), 20, 10}, {turned_labels.data(), 20, 10});
  CHECK(labels == turned_labels);
  for (std::size_t i = 0; i < scores.size(); ++i) CHECK_NEAR(scores[i], turned_scores[i], 1e-6);
  w[3] = .9F;
  CHECK_THROWS(revector::InvalidArgument, index.rotate({w.data(), 8, 8}));
  CHECK_THROWS(revector::ShapeError, index.rotate({w.data(), 8, 7}));
}

TEST(labels_of_any_stride_are_told_apart) {
  for (std::int64_t stride : {std::int64_t{1}, std::int64_t{64}, std::int64_t{1} << 32U, std::int64_t{7919}}) {
    revector::hnsw::LabelTable table;
    for (std::uint32_t i = 0; i < 5000; ++i) table.insert(i * stride, i);
    for (std::uint32_t i = 0; i < 5000; i += 2) table.erase(i * stride);
    for (std::uint32_t i = 0; i < 5000; ++i) CHECK(table.find(i * stride) == (i % 2 ? std::optional(i) : std::nullopt));
    CHECK(!table.find(5000 * stride));
  }
}

}  // namespace

TEST_MAIN()
