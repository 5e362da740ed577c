# The file name is the compile flag: cpp/kernels/<family>/<isa>.cpp is compiled with the flags of <isa>, and nothing
# else is. A new ISA is one line here, one enumerator in device.hpp and a file in each family that gains by it; in the
# others kernels/dispatch.cpp takes the file of a weaker ISA.
set(REVECTOR_ISA_FLAGS_scalar "")
set(REVECTOR_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(REVECTOR_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mprefer-vector-width=512)
set(REVECTOR_ISA_FLAGS_avx512_bf16 ${REVECTOR_ISA_FLAGS_avx512} -mavx512bf16)
set(REVECTOR_ISA_FLAGS_amx ${REVECTOR_ISA_FLAGS_avx512_bf16} -mamx-tile -mamx-bf16 -mamx-int8)

set(REVECTOR_ISAS scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND REVECTOR_ISAS avx2 avx512 avx512_bf16 amx)
endif()

# revector_add_kernels(<target> <family>...): one object library for each ISA, linked into <target>.
function(revector_add_kernels target)
  foreach(isa IN LISTS REVECTOR_ISAS)
    set(sources)
    foreach(family IN LISTS ARGN)
      if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/${family}/${isa}.cpp)
        list(APPEND sources kernels/${family}/${isa}.cpp)
      endif()
    endforeach()
    add_library(revector_kernels_${isa} OBJECT ${sources})
    revector_kernel_options(revector_kernels_${isa} ${isa})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:revector_kernels_${isa}>)
    string(TOUPPER ${isa} upper)
    target_compile_definitions(${target} PRIVATE REVECTOR_HAVE_${upper})
  endforeach()
endfunction()

# How kernels of an ISA are compiled.
function(revector_kernel_options target isa)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cpp)
  target_compile_options(${target} PRIVATE ${REVECTOR_ISA_FLAGS_${isa}} -fno-exceptions -fno-rtti -fno-lto)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND isa MATCHES "avx512|amx")
    # gcc 12 warns falsely inside its own _mm512_reduce_* (GCC bug 105593).
    target_compile_options(${target} PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  if(REVECTOR_SANITIZE)
    # Here goes all the time of the tests; -O1 makes a call of every lane of a vector.
    target_compile_options(${target} PRIVATE -O3)
  endif()
  target_link_libraries(${target} PRIVATE revector_options)
endfunction()
