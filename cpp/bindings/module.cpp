#include "bindings/registers.hpp"

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Binding of librevector. Use the modules of the package revector, not this one.";
  register_errors();
  register_device(m);
  register_similarity(m);
  register_procrustes(m);
  register_hnsw(m);
  register_hnsw_snapshot(m);
  register_encoder(m);
  register_cross_encoder(m);
  register_word_table(m);
}
