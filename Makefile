# Thread spinning makes small operations 10-100 times slower on few cores; set before torch is imported.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0
PY := .venv/bin/python

.PHONY: setup demo test test-long test-gpu lint arch bench

setup: .venv/.done              # make .venv with everything the demo and the tests need
.venv/.done: pyproject.toml constraints.txt
	python3 -m venv .venv
	$(PY) -m pip install -q -c constraints.txt -e '.[test,train]'
	touch $@

demo: setup                     # render a clip of known motion, interpolate it, say how close it came
	$(PY) examples/demo.py

lint: setup                     # style
	.venv/bin/ruff check src tests bench examples docs
	.venv/bin/ruff format --check src tests bench examples docs

arch: setup                     # who may import whom
	.venv/bin/lint-imports

test: setup lint arch           # everything CI runs
	$(PY) -m pytest -n 2 --dist worksteal

test-long: setup                # what needs more time; run before a release
	$(PY) -m pytest -m long

test-gpu:                       # kernels on a real GPU; run by hand
	python3 -m pytest -m gpu

bench: setup                    # measure, write bench/results, redraw the tables
	$(PY) -m bench.run
