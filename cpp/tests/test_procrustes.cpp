#include "revector/procrustes.hpp"

#include <limits>

#include "check.hpp"
#include "random_rows.hpp"
#include "revector/errors.hpp"

namespace {

using revector::Precision;
using revector::ProcrustesAccumulator;
using revector::ProcrustesMap;

ProcrustesMap fit(Rows& x, Rows& y, bool center = true, bool scale = false) {
  ProcrustesAccumulator pairs(x.d, y.d);
  pairs.add(x.view(), y.view());
  return pairs.solve(center, scale);
}

/// Largest deviation of W^T W (or W W^T) from the identity.
double orthogonality_error(const ProcrustesMap& map) {
  const auto w = map.rotation();
  const bool rows = w.rows() <= w.cols();
  const std::size_t r = rows ? w.rows() : w.cols(), n = rows ? w.cols() : w.rows();
  double worst = 0;
  for (std::size_t i = 0; i < r; ++i)
    for (std::size_t j = 0; j < r; ++j) {
      double product = 0;
      for (std::size_t l = 0; l < n; ++l)
        product +=
            rows ? static_cast<double>(w.row(i)[l]) * w.row(j)[l] : static_cast<double>(w.row(l)[i]) * w.row(l)[j];
      worst = std::max(worst, std::abs(product - (i == j ? 1 : 0)));
    }
  return worst;
}

/// y = 2 (x rotated by a quarter turn in every plane) + 3
Rows turned(Rows& x) {
  Rows y(x.n, x.d, 0);
  for (std::size_t i = 0; i < x.n; ++i)
    for (std::size_t j = 0; j < x.d; j += 2) {
      y.row(i)[j] = -2 * x.row(i)[j + 1] + 3;
      y.row(i)[j + 1] = 2 * x.row(i)[j] + 3;
    }
  return y;
}

TEST(a_rotation_with_scale_and_offset_is_recovered) {
  Rows x(500, 16, 1);
  Rows y = turned(x);
  const ProcrustesMap map = fit(x, y, true, true);
  CHECK_NEAR(map.scale(), 2, 1e-5);
  CHECK(map.diagnostics().residual < 1e-3);
  CHECK(map.diagnostics().rank == 16);
  Rows out(500, 16, 2), back(500, 16, 3);
  map.transform(x.view(), out.view(), false);
  map.inverse_transform(out.view(), back.view(), false);
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    CHECK_NEAR(out.values[i], y.values[i], 1e-4);
    CHECK_NEAR(back.values[i], x.values[i], 1e-4);
  }
}

TEST(the_map_is_orthogonal_for_all_pairs_of_dimensions) {
  for (auto [d_old, d_new] : {std::pair{24, 24}, {24, 40}, {40, 24}, {1, 3}}) {
    Rows x(200, static_cast<std::size_t>(d_old), 1), y(200, static_cast<std::size_t>(d_new), 2);
    CHECK(orthogonality_error(fit(x, y)) <= 1e-5);
  }
}

TEST(it_stays_orthogonal_for_fewer_pairs_than_dimensions_and_for_duplicates) {
  Rows x(5, 32, 1), y(5, 32, 2);
  const ProcrustesMap few = fit(x, y);
  CHECK(orthogonality_error(few) <= 1e-5);
  CHECK(few.diagnostics().rank < 32);
  CHECK(std::isinf(few.diagnostics().condition));
}

TEST(the_residual_is_that_of_the_mapped_rows) {
  for (auto [d_old, d_new] : {std::pair{12, 12}, {12, 20}, {20, 12}}) {
    Rows x(300, static_cast<std::size_t>(d_old), 3), y(300, static_cast<std::size_t>(d_new), 4);
    for (float& value : x.values) value += 5;
    for (bool center : {true, false}) {
      const ProcrustesMap map = fit(x, y, center, true);
      Rows out(300, y.d, 0);
      map.transform(x.view(), out.view(), false);
      double error = 0, total = 0;
      for (std::size_t i = 0; i < y.n; ++i)
        for (std::size_t j = 0; j < y.d; ++j) {
          const double centred = static_cast<double>(y.row(i)[j]) - (center ? map.mean_new()[j] : 0);
          error += std::pow(static_cast<double>(out.row(i)[j]) - y.row(i)[j], 2);
          total += centred * centred;
        }
      CHECK_NEAR(map.diagnostics().residual, std::sqrt(error / total), 1e-4);
    }
  }
}

TEST(streaming_equals_batch) {
  Rows x(1000, 24, 5), y(1000, 24, 6);
  for (float& value : x.values) value += 100;  // an offset that would eat the digits of naive sums
  ProcrustesAccumulator pieces(24, 24);
  for (std::size_t begin = 0; begin < 1000; begin += 70)
    pieces.add(x.view().slice(begin, std::min<std::size_t>(begin + 70, 1000)),
               y.view().slice(begin, std::min<std::size_t>(begin + 70, 1000)));
  const ProcrustesMap streamed = pieces.solve(), whole = fit(x, y);
  CHECK(pieces.n_pairs() == 1000);
  CHECK_NEAR(streamed.diagnostics().residual, whole.diagnostics().residual, 1e-6);
  for (std::size_t i = 0; i < 24 * 24; ++i) CHECK_NEAR(streamed.rotation().data()[i], whole.rotation().data()[i], 1e-3);
}

TEST(bad_pairs_are_refused_and_leave_the_sums_alone) {
  ProcrustesAccumulator pairs(4, 4);
  CHECK_THROWS(revector::InvalidArgument, pairs.solve());
  Rows x(3, 4, 1), y(3, 4, 2), fewer(2, 4, 3), narrow(3, 3, 4);
  CHECK_THROWS(revector::ShapeError, pairs.add(x.view(), fewer.view()));
  CHECK_THROWS(revector::ShapeError, pairs.add(narrow.view(), y.view()));
  y.row(2)[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS(revector::NumericalError, pairs.add(x.view(), y.view()));
  CHECK(pairs.n_pairs() == 0);
  Rows constant(3, 4, 5);
  for (float& value : constant.values) value = 1;
  pairs.add(constant.view(), x.view());
  CHECK_THROWS(revector::NumericalError, pairs.solve(true));
  CHECK_THROWS(revector::InvalidArgument, ProcrustesAccumulator(0, 4));
}

TEST(bfloat16_products_move_unit_rows_by_little_and_int8_is_refused) {
  Rows x(300, 16, 1);
  Rows y = turned(x);
  const ProcrustesMap map = fit(x, y, true, true);
  Rows exact(300, 16, 2), near(300, 16, 3);
  const auto check_near = [&] {
    for (std::size_t i = 0; i < exact.n; ++i) {
      CHECK(cosine(exact.row(i), near.row(i), 16) > .9999);
      CHECK_NEAR(cosine(near.row(i), near.row(i), 16), 1, 1e-6);
    }
  };
  map.transform(x.view(), exact.view());
  map.transform(x.view(), near.view(), true, Precision::bfloat16);
  check_near();
  map.inverse_transform(y.view(), exact.view());
  map.inverse_transform(y.view(), near.view(), true, Precision::bfloat16);
  check_near();
  CHECK_THROWS(revector::InvalidArgument, map.transform(x.view(), near.view(), true, Precision::int8));
}

TEST(transform_refuses_wrong_columns_and_nan) {
  Rows x(50, 4, 1), y(50, 4, 2), narrow(3, 3, 3), out(3, 4, 4), bad(3, 4, 5);
  const ProcrustesMap map = fit(x, y);
  CHECK_THROWS(revector::ShapeError, map.transform(narrow.view(), out.view()));
  bad.row(1)[2] = std::numeric_limits<float>::infinity();
  CHECK_THROWS(revector::NumericalError, map.transform(bad.view(), out.view()));
  CHECK_THROWS(revector::NumericalError, map.transform(bad.view(), out.view(), true, Precision::bfloat16));
}

}  // namespace

TEST_MAIN()
