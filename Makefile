# dlroverd: `make` lists what can be made. Everything happens in .venv; only the tests on systemd hosts need root
# (`make test` installs the Debian packages that are missing where it may).

VENV := .venv
LOWEST := $(VENV)/lowest
BIN := $(VENV)/bin
# The first Python that is new enough and complete; `make PYTHON=/path/to/python3.12 …` chooses another.
CANDIDATES := python3 python3.13 python3.12 python3.11 /usr/bin/python3
COMPLETE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do "$$p" -c '$(COMPLETE)' 2>/dev/null && echo "$$p" && break; done)
# Most tests wait for other processes: three at once keep two processors busy, and more make timings of theirs meaningless.
JOBS ?= 3

INSTALLED_FROM := scripts/install.py requirements-dev.txt $(wildcard pyproject.toml */pyproject.toml */*/pyproject.toml)
SOURCES := dlroverd agent plugins tests benchmarks examples protos scripts
TYPED := $(wildcard dlroverd agent/dlroverd_agent agent/train/dlroverd_train plugins tests benchmarks examples scripts)

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench proto test-lowest deb debian clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(VENV)/installed ## everything for running it, in .venv

demo: install ## a real training run loses a rank to kill -9 and finishes all the same
	$(BIN)/dlroverctl demo

test: debian $(VENV)/installed-dev $(BIN)/promtool ## every test
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-dev ## the fast loop: format, lint, types, imports, tidy, unit, transcripts
	$(BIN)/ruff format --check $(wildcard $(SOURCES))
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n $(JOBS) $(wildcard tests/tidy tests/unit tests/transcripts)

bench: $(VENV)/installed-dev ## the benchmarks: what we cost beside a peer or a floor
	$(BIN)/python benchmarks/core.py
	$(BIN)/python benchmarks/recovery.py
	$(BIN)/python benchmarks/takeover.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/install.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/goodput.py
	$(BIN)/python benchmarks/stragglers.py
	$(BIN)/python benchmarks/bus.py
	$(BIN)/python benchmarks/health.py
	$(BIN)/python benchmarks/checkpoint.py

deb: $(VENV)/installed-dev ## packages for hosts, in dist/: .deb and .rpm of daemon, agent and command line
	$(BIN)/python scripts/package.py dist

proto: $(VENV)/installed-dev ## generate dlroverd/protocol/v1 anew from protos/
	$(BIN)/python protos/generate.py

test-lowest: $(LOWEST)/installed ## unit tests and one real job with the lowest versions that we declare
	$(LOWEST)/bin/pytest -q -n $(JOBS) tests/unit tests/system/test_standalone.py::test_a_killed_rank_is_told_of_and_the_job_goes_on

clean: ## back to a fresh checkout
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: $(INSTALLED_FROM)
	$(call with-python,$(VENV))
	@touch $@

$(VENV)/installed-dev: $(INSTALLED_FROM)
	$(call with-python,$(VENV) --dev)
	@touch $(VENV)/installed $@

# Made by the Python of .venv, so that torch is fetched once.
$(LOWEST)/installed: $(VENV)/installed-dev
	@$(BIN)/python scripts/install.py $(LOWEST) --lowest
	@touch $@

# Prometheus's own judge of what it is shown. Only that program of the Debian package, whose server nobody asked for.
$(BIN)/promtool: | $(VENV)/installed-dev
	@echo "· fetching promtool"; folder="$$(mktemp -d)" && cd "$$folder" && \
	{ apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }; } && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool && chmod +x promtool && \
	mv promtool "$(CURDIR)/$@" && rm -r "$$folder"

define with-python
	@"$(PYTHON)" -c '$(COMPLETE)' 2>/dev/null || { echo "dlroverd needs Python 3.11 or newer with venv and" \
	  "ensurepip; looked at: $(or $(PYTHON),$(CANDIDATES)). Install one (Debian: apt-get install python3-venv)" \
	  "or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" scripts/install.py $(1)
endef

# One test compiles a library that loses unsynced writes.
# What the tests need of Debian: a compiler, a kernel with every cgroup v2 controller, a clock that can be set.
debian:
	@missing="$$(for each in gcc:gcc gcc:libc6-dev linux.uml:user-mode-linux insmod:kmod faketime:faketime; \
		do command -v "$${each%%:*}" >/dev/null || echo "$${each#*:}"; done)"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then echo "· installing $$(echo $$missing)"; apt-get update -qq && apt-get install -y -qq $$missing; \
	else echo "make test needs these packages; install them: $$(echo $$missing)" >&2; exit 1; fi