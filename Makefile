# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs in .venv.
# The rest is for developers; see CONTRIBUTING.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .make
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
JOBS ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? cores : 4)))
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile
BUILD := build/wheel
FROM_SOURCE := --no-deps --no-build-isolation --config-settings build-dir=$(BUILD)
SOURCES := $(shell find src cpp cmake -type f -not -name '*.pyc') CMakeLists.txt pyproject.toml
CPP_FILES = $(shell git ls-files 'cpp/*.cpp' 'cpp/*.hpp' 'cpp/*.h' 'cpp/*.inl')
PRESET_BUILD = PATH="$(CURDIR)/$(BIN):$$PATH" sh -c 'cmake --preset $(1) -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" >/dev/null && cmake --build --preset $(1)'
PRESET_TEST = PATH="$(CURDIR)/$(BIN):$$PATH" ctest --preset $(1)

CLANGXX ?= $(shell command -v clang++-19 || command -v clang++)
STORES ?= chroma lancedb milvus milvus-lite qdrant redis
STRATEGY_TESTS := $(addprefix tests/migration/test_,verbs.py verbs_twice.py strategies.py rollout.py representation.py state_machine.py) \
  $(addprefix tests/search/test_,on_read.py shadowing.py explained.py search_thresholds.py)

FUZZ_SECONDS ?= 300
# Tests commit by the ten thousand, and a disk takes milliseconds for each: in memory, where there is
# room and programs may run, they take half.
TEST_TMPDIR := $(shell probe=$$(mktemp /dev/shm/revector-XXXXXX 2>/dev/null) && chmod +x $$probe && $$probe 2>/dev/null \
  && [ "$$(df -k --output=avail /dev/shm | tail -n 1)" -gt 8000000 ] && echo /dev/shm || echo /tmp; rm -f "$$probe")
test test-python test-peers test-integrations test-ray test-stores bench-smoke fuzz: export TMPDIR ?= $(TEST_TMPDIR)

.PHONY: demo test test-python test-cpp test-peers test-integrations test-ray test-stores weekly lint format develop asan tsan fuzz coverage bench bench-smoke wheel clean

demo: $(STAMPS)/demo  ## build, fetch two models, migrate a live collection of real text
	$(BIN)/revector demo

test: $(STAMPS)/test test-cpp test-python  ## the whole suite: C++ tests, pytest, consumer builds

test-cpp: $(STAMPS)/test  ## the wheel's own objects, with the test programs beside them
	PATH="$(CURDIR)/$(BIN):$$PATH" sh -c 'cmake -DREVECTOR_TESTS=ON $(BUILD) >/dev/null && cmake --build $(BUILD) && ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)'

test-python: $(STAMPS)/test
	$(PYTEST) -m "not peers and not integrations and not ray" --ignore tests/stores

test-peers: $(STAMPS)/peers  ## live comparison with sentence-transformers, scipy, hnswlib …
	$(PYTEST) -m peers

test-integrations: $(STAMPS)/integrations  ## LangChain's and Haystack's own suites, and ours, in every phase of a migration
	$(PYTEST) -m integrations tests/integrations

test-ray: $(STAMPS)/test $(STAMPS)/ray  ## actors, machines and drivers that die, in clusters on this machine; minutes
	$(BIN)/python -m pytest -q -m ray tests/distributed

test-stores: $(STAMPS)/stores $(STAMPS)/milvus-server  ## stores of vectors against their servers, killed and cut off too; two hours
	$(BIN)/python -m pytest -q tests/stores  # one after the other: two servers of Milvus have a port in common
	for kind in $(STORES); do echo "strategies on $$kind"; \
	  REVECTOR_TEST_KINDS=$$kind $(BIN)/python -m pytest -q -W ignore::pytest.PytestUnraisableExceptionWarning $(STRATEGY_TESTS) || exit 1; done

weekly: test-integrations test-ray test-stores  ## what takes too long for every commit

lint: $(STAMPS)/lint  ## ruff, mypy --strict, clang-format, clang-tidy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)
	PATH="$(CURDIR)/$(BIN):$$PATH" run-clang-tidy.py -quiet -p $(BUILD) '$(CURDIR)/cpp/(core|capi|kernels)/[^.]*\.cpp' >build/clang-tidy.log 2>&1 \
	  || { grep -E 'warning:|error:' build/clang-tidy.log; exit 1; }

format: $(STAMPS)/lint  ## rewrite what `make lint` would refuse
	$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .
	$(BIN)/clang-format -i $(CPP_FILES)

develop: $(STAMPS)/lint $(STAMPS)/test  ## editable install; run it again after a change in cpp/ or *.pyx
	-$(PIP) uninstall -y revector
	$(PIP) install $(FROM_SOURCE) -e .

asan tsan: $(STAMPS)/test  ## C++ tests under sanitizers
	$(call PRESET_BUILD,$@)
	$(call PRESET_TEST,$@)

fuzz: $(STAMPS)/test  ## libFuzzer on what reads model folders and indexes; FUZZ_SECONDS for each target; needs clang 16 or newer
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset fuzz -DCMAKE_CXX_COMPILER="$(CLANGXX)" -DCMAKE_C_COMPILER="$(subst ++,,$(CLANGXX))" \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" >/dev/null
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset fuzz
	for target in safetensors config modules index hnsw faiss snapshot; do mkdir -p build/fuzz/found/$$target; \
	  build/fuzz/cpp/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -malloc_limit_mb=512 -max_len=4096 \
	    -print_final_stats=1 build/fuzz/found/$$target cpp/fuzz/corpus/$$target || exit 1; done

coverage: $(STAMPS)/test
	$(PIP) install gcovr
	$(call PRESET_BUILD,coverage)
	$(call PRESET_TEST,coverage)
	$(BIN)/gcovr -r . build/coverage --filter cpp/core --filter cpp/capi --print-summary

bench-smoke: $(STAMPS)/test  ## benchmarks with small inputs: answers asserted, times meaningless
	for subject in similarity procrustes maps mixture encoder precision stream hnsw migration curves paths rollout insurance plan live gateway scale million postgres import ray; do $(BIN)/python benchmarks/bench_$$subject.py --smoke || exit 1; done

bench: $(STAMPS)/bench  ## benchmarks beside their peers; writes benchmarks/results/
	for subject in similarity procrustes maps mixture encoder precision stream hnsw migration import; do \
	  $(BIN)/python benchmarks/bench_$$subject.py --json benchmarks/results/$$subject.json || exit 1; done

wheel: $(STAMPS)/venv  ## wheel and sdist into dist/
	$(PIP) install build
	$(BIN)/python -m build --outdir dist

clean:
	rm -rf build dist $(STAMPS) $(VENV)

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "revector needs Python 3.10 or newer; set PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

# What pyproject.toml names under [build-system]; kept in .venv, since a build tree does not outlive pip's own environment.
$(STAMPS)/build-tools: $(STAMPS)/venv pyproject.toml
	@sed -n '/^requires = \[/,/^\]/s/^ *"\(.*\)",$$/\1/p' pyproject.toml >$@.txt
	$(PIP) install -r $@.txt cmake ninja
	@mv $@.txt $@

# The package is built once for all extras, and again when the sources change, so tests never run against an old build.
# Wheel, C++ tests and clang-tidy share one tree, so the core is compiled once.
$(STAMPS)/wheel: $(STAMPS)/build-tools $(SOURCES)
	@rm -rf $(STAMPS)/dist
	$(PIP) wheel $(FROM_SOURCE) --wheel-dir $(STAMPS)/dist .
	$(PIP) install --no-deps --force-reinstall $(STAMPS)/dist/*.whl
	@touch $@

$(STAMPS)/demo $(STAMPS)/test $(STAMPS)/stores $(STAMPS)/peers $(STAMPS)/integrations $(STAMPS)/ray $(STAMPS)/bench: $(STAMPS)/%: $(STAMPS)/wheel
	@if test "$(@F)" = peers -o "$(@F)" = bench; then $(PIP) install torch==2.13.0; fi
	$(PIP) install "$$(echo $(STAMPS)/dist/*.whl)[$(@F)]"
	@touch $@

$(STAMPS)/lint: $(STAMPS)/test
	$(PIP) install "$$(echo $(STAMPS)/dist/*.whl)[$(@F)]"
	@touch $@

# The wheel of the Milvus server wants an old client, which would take the place of ours: an environment of its own.
$(STAMPS)/milvus-server: $(STAMPS)/venv
	@rm -rf $(STAMPS)/milvus
	$(PYTHON) -m venv $(STAMPS)/milvus
	$(STAMPS)/milvus/bin/python -m pip --disable-pip-version-check -q install milvus==2.3.5 'pymilvus<2.4' 'setuptools<80' marshmallow==3.20.1 \
	  || { echo "the Milvus server cannot be installed here: what needs it is skipped"; rm -rf $(STAMPS)/milvus; }
	@touch $@
