# Every target makes what it needs: the virtualenv from the lock file, and the Debian packages that it uses.
#
#   make demo          the whole story on a real disk; KEEP=1 leaves the service up afterwards
#   make test          all tests;   TESTS="tests/unit -k nbd" runs a part
#   make test-ceph     the contracts of buckets and object stores against a Ceph cluster: half a minute
#   make lint          style, types, floors, budgets
#   make bench         measurements against the peers
#   make lock          resolve the dependencies anew
#   make clean         remove everything that was made

VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
# Tests are bound by two cores; more workers than that only add start-up and noise. Machines with more take four.
WORKERS := --numprocesses logical --maxprocesses 4 --dist worksteal
# CI keeps one order, so that a red run can be repeated; everywhere else the order is shuffled to find dependencies.
ORDER := $(if $(CI),-p no:randomly)
TESTS :=
KEEP :=

.PHONY: demo test test-ceph lint bench lock clean
.DEFAULT_GOAL := demo

demo: $(READY)
	@scripts/ensure-programs demo
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

test: $(READY)
	@scripts/ensure-programs test
	@$(BIN)/python -m pytest $(ORDER) $(if $(TESTS),$(TESTS),$(WORKERS))
	@echo "make test: every test that ran has passed; what was skipped, and why, is listed above"

# Apart from the rest: Ceph's packages take 300 MB beyond what the other tests need.
test-ceph: $(READY)
	@scripts/ensure-programs ceph
	@$(BIN)/python -m pytest $(ORDER) --ceph tests/contracts/test_ceph.py

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest --quiet tests/tidy
	@echo "make lint: clean"

bench: $(READY)
	@scripts/ensure-programs bench
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/peers.py

lock:
	@scripts/lock

# The stamp lives in the virtualenv and goes with it; FORCE is for one whose interpreter has gone.
$(READY): requirements-dev.lock pyproject.toml scripts/ensure-venv $(if $(wildcard $(BIN)/python),,FORCE)
	@scripts/ensure-venv $(VENV)
	@touch $@

FORCE:

clean:
	rm -rf $(VENV) build dist bench-results src/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find src tests demo benchmarks scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
