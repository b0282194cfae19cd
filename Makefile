# Every target does all the set-up it needs; nothing is needed before but Python >= 3.11 and a shell.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVICES := policy enrollment verification notification recovery
export UV_NO_PROGRESS := 1

.DEFAULT_GOAL := help
.PHONY: help run doctor test bench test-unit check format requirements schemas traceability chaos sabotage mutants clean-data clean

##@ Use
run: $(VENV)/.local ## Start everything on this machine and perform the main job (Ctrl-C stops it)
	@$(BIN)/watchword up
doctor: $(VENV)/.local ## Say what is wrong with the running system, and what to do about it
	@$(BIN)/watchword doctor
clean-data: ## Forget the data of the local system
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local.clean .watchword; else rm -rf .watchword; fi

##@ Develop
test: $(VENV)/.dev ## All tests, on real PostgreSQL, Valkey and Kafka that the tests start
	@$(BIN)/python -m pytest -n 2 --dist loadgroup
test-unit: $(VENV)/.dev ## The tests without any server
	@$(BIN)/python -m pytest tests/unit
check: $(VENV)/.dev ## Style, types, imports, schemas, pins
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tools.requirements --check
	$(BIN)/python -m tools.schemas --check
	$(BIN)/python -m tools.asyncapi_check
	$(BIN)/check-jsonschema -q --builtin-schema vendor.compose-spec docker-compose.yml
bench: $(VENV)/.dev ## Measure what a verification costs, and how soon one can follow an enrollment, 15 minutes; QUICK=1 for a look
	@$(if $(QUICK),true,$(BIN)/python -m bench.claim_latency)
	@$(if $(QUICK),true,$(BIN)/python -m bench.simulation)
	@$(BIN)/python -m bench.verify $(if $(QUICK),--quick)
format: $(VENV)/.dev ## Put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
requirements: $(VENV)/.dev ## Pin what pyproject.toml asks for, with hashes
	$(BIN)/python -m tools.requirements
schemas: $(VENV)/.dev ## Write the contract documents: JSON Schema and AsyncAPI
	$(BIN)/python -m tools.schemas
traceability: $(VENV)/.dev ## Say which tests show which promise, and how they last ended
	@$(BIN)/python -m tools.traceability
chaos: $(VENV)/.dev ## The long fault runs, about ten minutes; MINUTES=30 for more (docs/reliability.md)
	@$(BIN)/python -m tools.chaos --minutes $(or $(MINUTES),10) $(addprefix --only ,$(ONLY))
sabotage: $(VENV)/.dev ## Break the product on purpose, sixty times, and see a test fail each time
	@$(BIN)/python -m tools.sabotage $(addprefix --only ,$(ONLY))
mutants: $(VENV)/.dev ## Change the domain of verification a bit at a time; what no unit test notices is listed
	@$(BIN)/python -m tools.mutants
clean: ## Forget the environment
	rm -rf $(VENV)

##@ Help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

$(VENV)/.base: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making the environment in $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "python3 -m venv does not work here; on Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@
$(VENV)/.local: $(VENV)/.base requirements/local.txt pyproject.toml
	@echo "installing what the local system needs ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/local.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
$(VENV)/.dev: $(VENV)/.local requirements/dev.txt
	@echo "installing what the tests need ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@
