# Two commands matter: `make run` and `make test`. Each sets up all it needs in .venv, once.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CORES  ?= all
INSTALL = HNSWLIB_NO_NATIVE=1 $(BIN)/python -m pip install -q --disable-pip-version-check -c envs/constraints.txt

.PHONY: run plan soak test test-gpu test-slurm bench lint format docs setup setup-dev

run: setup            ## run everything that config.yaml asks for
	@$(BIN)/snakemake --cores $(CORES)

plan: setup           ## what a run would cost, by what earlier ones took; ARGS: options for snakemake
	@$(BIN)/snakemake -n --quiet host $(ARGS) 2>&1 | PYTHONPATH=workflow_scripts $(BIN)/python -m datassay.costs $(ARGS)

test: setup-dev       ## all tests that need no GPU
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-gpu: setup-dev   ## the tests that need a GPU
	$(BIN)/python -m pytest -m gpu

test-slurm: setup-dev ## the workflow on a SLURM cluster started on this machine; skipped where there cannot be one
	timeout 2400 $(BIN)/python -m pytest tests/slurm

soak: setup-dev       ## kill jobs at a thousand random times, count what becomes of it; ARGS: --kills, --seconds, --seed
	PYTHONPATH=workflow_scripts:. $(BIN)/python -m tests.soak $(ARGS)

bench: $(VENV)-bench/.installed  ## speed and memory beside the peers: benchmarks/results.md
	$(VENV)-bench/bin/python benchmarks/run.py --peers-python $(VENV)-bench-peers/bin/python $(ARGS)

lint: setup-dev       ## style, types, workflow lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

format: setup-dev     ## format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: setup-dev       ## rewrite the generated pages: configuration, outputs, methods, schema
	PYTHONPATH=workflow_scripts $(BIN)/python -m datassay.documentation

setup: $(VENV)/.core
setup-dev: $(VENV)/.dev

$(VENV)/.core: envs/core.in envs/constraints.txt envs/prerequisites.sh
	@PYTHON=$(PYTHON) bash envs/prerequisites.sh
	@echo "Setting up $(VENV): about two minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r envs/core.in
	@touch $@

$(VENV)/.dev: $(VENV)/.core envs/dev.in
	@echo "Adding what the tests need to $(VENV)"
	@$(INSTALL) -r envs/dev.in
	@touch $@

# The peers pin older packages, so they live apart; what cannot be installed is reported by the bench.
$(VENV)-bench/.installed: envs/bench.txt envs/bench-peers.txt envs/constraints.txt envs/prerequisites.sh
	@PYTHON=$(PYTHON) bash envs/prerequisites.sh
	@echo "Setting up $(VENV)-bench and $(VENV)-bench-peers: about three minutes, once"
	@$(PYTHON) -m venv $(VENV)-bench
	@HNSWLIB_NO_NATIVE=1 $(VENV)-bench/bin/python -m pip install -q --disable-pip-version-check \
		-c envs/constraints.txt -r envs/bench.txt
	@$(PYTHON) -m venv $(VENV)-bench-peers
	-@$(VENV)-bench-peers/bin/python -m pip install -q --disable-pip-version-check -r envs/bench-peers.txt
	@touch $@
