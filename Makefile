# Two words do everything: `make run`, `make test`. The rest is for those who work on the project.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run serve test test-slow test-ops test-ray test-service crash-matrix faults audit sbom screenshots format bench-doctor bench-recall bench-speed bench-scale bench-exports bench-service needs-corpora clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: .venv/ready ## set up, then train, measure and publish the bundled corpora C, A, B
	$(BIN)/dssm run c a b

serve: .venv/ready ## a Prefect server with every corpus on its schedule, until Ctrl-C
	$(BIN)/dssm serve

# In the order of their names: the slow files of tests/flows come first, and no worker waits for them at the end.
test: .venv/ready-dev ## linter, type checker and all tests (8 to 12 minutes on two cores, by their age)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/ready-dev ## what `make test` leaves out for its length: many nights, kills at every point, long trainings (12 to 20 minutes)
	$(BIN)/pytest -m slow --numprocesses 2 --dist load

test-ops: .venv/ready-dev ## schedules, late runs, approval, cancelling: against real servers and a real clock (minutes)
	$(BIN)/pytest -m ops tests/ops --numprocesses 2 --dist loadfile

test-ray: .venv/ready-ray ## prepare, training and a whole run on a Ray cluster, a node killed in the middle (minutes)
	$(BIN)/pytest -n0 -m ray tests/ray_cluster

test-service: .venv/ready-dev ## the HTTP service: a real server, real HTTP, its page in Chromium (2 minutes)
	$(BIN)/pytest -n0 -m service tests/flows/api

crash-matrix: .venv/ready-dev ## every step x kill -9 x run again: the same bytes? (about 6 minutes)
	$(BIN)/python -m tests.ops.crash_matrix

screenshots: .venv/ready-dev ## docs/ui-*.png and report.png anew, in Debian's chromium
	$(BIN)/python -m tests.ops.screenshots

faults: .venv/ready-dev ## what goes wrong, tried: bad inputs, kills, races, full disks, machines; one table (minutes)
	$(BIN)/python -m tests.faults

audit: .venv-audit/ready ## known vulnerabilities of what is installed with us; asks over the network
	@.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --vulnerability-service osv \
	    2> .venv-audit/said; code=$$?; grep -q 'requests.exceptions' .venv-audit/said || { cat .venv-audit/said >&2; exit $$code; }; \
	    echo 'audit: nothing was looked up: api.osv.dev cannot be reached from here' >&2; exit 3

sbom: .venv/ready .venv-audit/ready ## sbom.json: every package of .venv with version and licence (CycloneDX)
	.venv-audit/bin/cyclonedx-py environment --output-reproducible --of JSON -o sbom.json .venv

format: .venv/ready-dev ## bring the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# --- what is measured, not asserted

CORPORA ?=
SPLIT ?= test
SEEDS ?= 3

bench-recall: needs-corpora .venv/ready .venv-peers/ready ## recall and time against what a user would pick instead: CORPORA="FOLDER..."; ENCODER=FOLDER
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m tests.benchmarks.recall $(CORPORA) --split $(SPLIT) --seeds $(SEEDS) \
	    --peers-python .venv-peers/bin/python --out data/bench/recall-$(SPLIT).jsonl \
	    $(if $(ENCODER),--encoder $(ENCODER) --prefix '$(PREFIX)')

bench-speed: needs-corpora .venv/ready .venv-peers/ready ## seconds against what a user would pick instead, and of one query
	OMP_NUM_THREADS=2 PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m tests.benchmarks.speed $(CORPORA) \
	    --peers-python .venv-peers/bin/python

needs-corpora:
	@test -n "$(CORPORA)" || { echo 'name folders with train.csv and test.csv: make bench-recall CORPORA="corpora/banking77" (docs/benchmarks.md)'; exit 2; }

bench-doctor: needs-corpora .venv/ready ## forecasts, wrong labels and mined queries of the doctor, against what is known: CORPORA="FOLDER..."
	$(BIN)/python -m tests.benchmarks.doctor $(CORPORA)

CORPUS ?= c

bench-service: .venv/ready ## the HTTP service under load, on loopback, while versions go live: CORPUS=bank, of DSSM_HOME
	$(BIN)/python -m tests.benchmarks.service $(CORPUS)

ROWS ?= 100_000 1_000_000 10_000_000

bench-scale: .venv/ready ## seconds, memory and disk of every step at 0.1, 1 and 10 million rows; one epoch, up to 1 million
	$(BIN)/python -m tests.benchmarks.scale --rows $(ROWS) --steps ingest validate prepare prove train evaluate \
	    --set training.epochs=1 training.choose=false model.ensemble=4

bench-exports: .venv/ready ## how every export of a folder of cases is read: exit code, rows, classes, what was said
	$(BIN)/python -m tests.benchmarks.exports $(if $(CASES),--folder $(CASES))

# The peers' packages never meet ours.
.venv-peers/ready: constraints.txt tests/benchmarks/peers.txt
	test -d .venv-peers || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet $$(grep -E '^torch==' constraints.txt)
	.venv-peers/bin/pip install --quiet --requirement tests/benchmarks/peers.txt
	touch $@

clean: ## forget runs and models of this checkout (not the settings)
	rm -rf data/runs data/models data/partial

# torch comes first: pip would otherwise prefer the newest build, with gigabytes of CUDA libraries.
# An installed torch within the bounds of pyproject.toml is kept.
.venv/ready: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet $$(grep -E '^torch==' constraints.txt)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready-ray: .venv/ready-dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[ray]'
	touch $@

# Its packages never meet ours, of which they tell.
.venv-audit/ready:
	test -d .venv-audit || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet 'pip-audit>=2.10,<3' 'cyclonedx-bom>=7.5,<8'
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
