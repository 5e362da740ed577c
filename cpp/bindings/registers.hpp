/// @file
/// One register function for each public header.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

void register_errors();
void register_device(py::module_& m);
void register_similarity(py::module_& m);
void register_procrustes(py::module_& m);
void register_hnsw(py::module_& m);
void register_hnsw_snapshot(py::module_& m);
void register_encoder(py::module_& m);
void register_cross_encoder(py::module_& m);
void register_word_table(py::module_& m);
