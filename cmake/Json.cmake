# nlohmann-json headers, from the PyPI package in the building Python or from the system.
add_library(revector_json INTERFACE)
if(NOT Python_EXECUTABLE)
  find_package(Python COMPONENTS Interpreter QUIET)
endif()
if(Python_EXECUTABLE)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import nlohmann_json as j; print(j.get_include() if hasattr(j, 'get_include') else j.include_dir)"
    OUTPUT_VARIABLE _json_include OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
find_path(REVECTOR_JSON_INCLUDE nlohmann/json.hpp HINTS ${_json_include})
if(NOT REVECTOR_JSON_INCLUDE)
  message(FATAL_ERROR "nlohmann/json.hpp not found: pip install nlohmann-json, or install nlohmann-json3-dev")
endif()
target_include_directories(revector_json SYSTEM INTERFACE ${REVECTOR_JSON_INCLUDE})
