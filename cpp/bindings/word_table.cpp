#include "revector/word_table.hpp"

#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/registers.hpp"

namespace {

using revector::PackedTokens;
using revector::RecalledTexts;
using revector::WordTable;

/// The bytes of a str: its own where it is ASCII, else encoded here and kept alive in `encoded`.
/// @throws TypeError, UnicodeEncodeError
std::string_view utf8(py::handle text, std::vector<py::object>& encoded) {
  if (!PyUnicode_Check(text.ptr())) throw py::type_error("expected texts of str");
  if (PyUnicode_IS_ASCII(text.ptr()))
    return {static_cast<const char*>(PyUnicode_DATA(text.ptr())),
            static_cast<std::size_t>(PyUnicode_GET_LENGTH(text.ptr()))};
  PyObject* bytes = PyUnicode_AsUTF8String(text.ptr());
  if (bytes == nullptr) throw py::error_already_set();
  encoded.push_back(py::reinterpret_steal<py::object>(bytes));
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

RecalledTexts recall(const WordTable& table, const py::sequence& texts) {
  const py::tuple held(texts);  // nobody takes a text out of it meanwhile
  std::vector<py::object> encoded;
  std::vector<std::string_view> views;
  views.reserve(held.size());
  for (py::handle text : held) views.push_back(utf8(text, encoded));
  const py::gil_scoped_release nogil;
  return table.recall(views);
}

bool learn(WordTable& table, const std::vector<std::string>& words, const Array<std::int32_t>& ids,
           const Array<std::int64_t>& offsets) {
  const auto tokens = elements(ids, "ids");
  const auto bounds = elements(offsets, "offsets");
  const py::gil_scoped_release nogil;
  return table.learn(words, tokens, bounds);
}

template <class T>
Array<T> array_of(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  const py::capsule owner(owned, [](void* gone) { delete static_cast<std::vector<T>*>(gone); });
  return Array<T>({owned->size()}, {sizeof(T)}, owned->data(), owner);
}

py::tuple completed(const RecalledTexts& texts, const Array<std::int32_t>& ids, const Array<std::int64_t>& offsets,
                    const std::vector<std::int32_t>& head, const std::vector<std::int32_t>& tail) {
  const auto tokens = elements(ids, "ids");
  const auto bounds = elements(offsets, "offsets");
  PackedTokens all;
  {
    const py::gil_scoped_release nogil;
    all = texts.completed(tokens, bounds, head, tail);
  }
  return py::make_tuple(array_of(std::move(all.ids)), array_of(std::move(all.offsets)));
}

}  // namespace

void register_word_table(py::module_& m) {
  py::class_<RecalledTexts>(m, "RecalledTexts")
      .def_readonly("unknown", &RecalledTexts::unknown)
      .def("completed", &completed, py::arg("ids").noconvert(), py::arg("offsets").noconvert(), py::arg("head"),
           py::arg("tail"));
  py::class_<WordTable>(m, "WordTable")
      .def(py::init([](std::vector<std::string> marks, bool spaces_matter, std::size_t most_words) {
             return WordTable({.marks = std::move(marks), .spaces_matter = spaces_matter}, most_words);
           }),
           py::arg("marks"), py::kw_only(), py::arg("spaces_matter"), py::arg("most_words"))
      .def("recall", &recall, py::arg("texts"))
      .def("learn", &learn, py::arg("words"), py::arg("ids").noconvert(), py::arg("offsets").noconvert())
      .def("__len__", &WordTable::size);
}
