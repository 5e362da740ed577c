# Library, headers and CMake package: inside the Python package for a wheel (revector/lib, revector/include), else by
# the usual GNU directories.
include(CMakePackageConfigHelpers)

install(TARGETS revector EXPORT revectorTargets LIBRARY DESTINATION ${REVECTOR_INSTALL_LIBDIR})
if(REVECTOR_BUNDLED_BLAS)
  install(FILES ${REVECTOR_BUNDLED_BLAS} DESTINATION ${REVECTOR_INSTALL_LIBDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/include/revector DESTINATION ${REVECTOR_INSTALL_INCLUDEDIR})
install(EXPORT revectorTargets NAMESPACE revector:: DESTINATION ${REVECTOR_INSTALL_CMAKEDIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/revectorConfig.cmake.in ${CMAKE_BINARY_DIR}/revectorConfig.cmake
  INSTALL_DESTINATION ${REVECTOR_INSTALL_CMAKEDIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/revectorConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/revectorConfig.cmake ${CMAKE_BINARY_DIR}/revectorConfigVersion.cmake
  DESTINATION ${REVECTOR_INSTALL_CMAKEDIR})
