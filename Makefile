# One command per need. Assumes Python >= 3.11, a Rust toolchain and make; everything else is set up in $(VENV).

VENV ?= .venv
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BIN := $(VENV)/bin
WHEELS := $(TARGET)/wheels

# The first interpreter that works, is new enough, and can make an environment.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v $$python; break; }; done)
endif

RUST_SOURCES := Cargo.toml Cargo.lock pyproject.toml README.md $(shell find src -type f)
SOURCES := $(RUST_SOURCES) $(shell find python -type f -not -name '*.pyc' -not -name '*.so')

# What maturin tells PyO3's build scripts. Clippy says the same, else each would rebuild what the other built.
PYO3 = PYO3_PYTHON=$(abspath $(BIN)/python) PYO3_BUILD_EXTENSION_MODULE=1 \
	PYO3_ENVIRONMENT_SIGNATURE=$$($(BIN)/python -c 'import sys; print("{}-{}.{}-{}bit".format(sys.implementation.name, \
	*sys.version_info[:2], sys.maxsize.bit_length() + 1))') \
	PYO3_CONFIG_FILE=$$(echo $(TARGET)/maturin/pyo3-config-*-abi3.txt)

# The features that the Rust tests have: so the wheel is made of the same dependencies, built once.
FEATURES := python,tokio/test-util

# Prints the requirements of some extras of pyproject.toml: pip alone would build the package to read them.
REQUIREMENTS = $(BIN)/python -c 'import sys, tomllib; \
	project = tomllib.load(open("pyproject.toml", "rb")); \
	extras = project["project"]["optional-dependencies"]; \
	print(*project["build-system"]["requires"], *(line for name in sys.argv[1:] for line in extras[name]), sep="\n")'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak loom lint format schema strategies bench wheel dev clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.wheel  ## build, then watch real calls against local upstreams: no key, no network
	@$(BIN)/python examples/demo.py

test: lint  ## everything that must pass: formatting, lints, types, Rust tests, Python tests
	cargo test --locked --quiet
	@$(BIN)/pytest

soak: loom $(VENV)/.wheel $(VENV)/.extras  ## the long runs at full counts
	PROPTEST_CASES=20000 cargo test --locked --quiet
	@$(BIN)/pytest -m soak --timeout 3600

loom:  ## every interleaving of what threads change at once
	cargo test --locked --quiet --release --manifest-path tests/loom/Cargo.toml

lint: $(VENV)/.wheel $(VENV)/.extras  ## formatting, lints and types of both languages
	cargo fmt --check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	cargo check --locked --quiet --no-default-features
	cargo clippy --locked --quiet --all-targets -- -D warnings
	@echo cargo clippy --features python
	@$(PYO3) cargo clippy --locked --quiet --all-targets --features python -- -D warnings
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fairlead._core

format: $(VENV)/.extras  ## format both languages
	cargo fmt
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

schema:  ## write the JSON Schema of configurations into the package, after a change of the structs
	FAIRLEAD_WRITE_SCHEMA=1 cargo test --locked --quiet --test config the_schema_in_the_package

strategies:  ## write the table of docs/strategies.md, after a change of a strategy
	FAIRLEAD_WRITE_TABLE=1 cargo test --locked --quiet --test strategies the_page_tells

bench: wheel  ## measure beside the peers (12 minutes): a table, and docs/benchmark.svg
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --force-reinstall --no-deps dist/fairlead-*.whl
	.venv-bench/bin/python benchmarks/run.py

wheel: $(VENV)/.tools  ## the release wheel, in dist/
	rm -f dist/fairlead-*.whl
	$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out dist

dev: $(VENV)/.tools $(VENV)/.extras  ## an editable install, for work on the code
	@rm -f $(VENV)/.wheel
	$(BIN)/maturin develop --profile dev --locked --features $(FEATURES)

clean:  ## remove what was built and installed
	rm -rf $(TARGET) $(VENV) .venv-bench dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find python -name '*.so' -delete

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "fairlead needs Python >= 3.11 with venv"; exit 1; }
	@command -v cargo >/dev/null || { echo "fairlead needs a Rust toolchain: cargo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.tools: $(VENV)/.python pyproject.toml
	@$(REQUIREMENTS) > $(VENV)/tools.txt
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/tools.txt
	@touch $@

$(VENV)/.extras: $(VENV)/.python pyproject.toml
	@$(REQUIREMENTS) test lint > $(VENV)/extras.txt
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/extras.txt
	$(BIN)/python -m pip install --quiet --no-deps 'instructor>=1.10'
	@touch $@

# The development profile: dependencies optimised, our own code quick to build.
$(VENV)/.wheel: $(VENV)/.tools $(SOURCES)
	rm -f $(WHEELS)/fairlead-*.whl
	$(BIN)/maturin build --profile dev --locked --features $(FEATURES) --interpreter $(BIN)/python --out $(WHEELS)
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/fairlead-*.whl
	@touch $@
