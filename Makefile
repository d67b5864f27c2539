# corefuse: the commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CORES ?= 2
CONFIG ?= config/config.yaml
VENV := $(or $(COREFUSE_VENV),.venv)
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/workflow
# One thread a process: jobs run side by side, and CHGNet and GPAW are slower on two threads.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

# They mostly wait for jobs of their own, so they run beside the others.
SLOW_TESTS := tests/test_end_to_end.py tests/slurm

.PHONY: help setup run demo ni-k ni-k-models reference reference-models reference-continue test fuzz lint doctor bench site docs slurm-profile lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## install everything into .venv (done by the others when needed)
	@envs/setup.sh

# Snakemake's own lock outlives a kill; this one ends with the processes that hold it, so a killed
# run goes on where it was, once what the kill left running has ended.
define run
	@mkdir -p .snakemake
	@flock -n -E 75 .snakemake/make.lock true || \
		echo "corefuse: waiting for a run that still goes on in this folder" >&2
	@flock .snakemake/make.lock $(1) snakemake --nolock --rerun-incomplete \
		$(if $(PROFILE),--profile $(PROFILE),--cores $(CORES)) $(2)
endef

# Your own spectra, for every target that runs a config.
RUNS := run demo ni-k ni-k-models reference reference-models
in_folder = $(if $(DATA),env COREFUSE_DATA=$(DATA))
samples = $(if $(SAMPLES),--config 'infer={"samples_file": "$(SAMPLES)"}')
ifneq ($(filter command,$(origin SAMPLES) $(origin DATA)),)
ifeq ($(filter $(RUNS),$(MAKECMDGOALS)),)
$(error SAMPLES and DATA do nothing here. Fix: give them to one of $(RUNS))
endif
endif

run: setup ## any config, and again after a kill: CONFIG=my.yaml, on a cluster PROFILE=slurm
	@python -m corefuse.core.yaml_file $(CONFIG)
	$(call run,$(in_folder),--configfile $(CONFIG) $(samples) $(if $(TARGETS),-- $(TARGETS)))

demo: setup ## the main job end to end on config/config.yaml, with the report at the end
	$(call run,$(in_folder),--configfile config/config.yaml $(samples))
	@echo "Report: $(CURDIR)/results/demo/report.html"

ni-k: setup ## Li content of measured Ni K spectra, yours with SAMPLES=my.yaml DATA=folder
	$(call run,$(in_folder),--configfile config/ni_k.yaml $(samples))
	@echo "Report: $(CURDIR)/results/ni_k/report.html"

ni-k-models: ni-k ## put the models of that run where `corefuse read` finds them
	@python -m corefuse.learn.ship config/ni_k.yaml resources/ni_k/models all

reference: setup ## train on the stored cells of the reference library, with a report
	$(call run,$(in_folder),--configfile config/reference.yaml $(samples))
	@echo "Report: $(CURDIR)/results/reference/report.html"

reference-models: reference ## train on the reference library and put its models into resources/models
	@python -m corefuse.learn.ship config/reference.yaml resources/models soft_xas hard_xas eels

N ?= 8
STORE := python -m corefuse.simulate.stored config/reference.yaml --finished
reference-continue: setup ## compute and store the next N=8 missing cells of the reference library
	@$(STORE)
	@todo=$$(python -m corefuse.simulate.stored config/reference.yaml --next $(N)); \
	[ -z "$$todo" ] || snakemake --cores $(CORES) --rerun-incomplete --keep-going \
		--configfile config/reference.yaml --config 'simulation={"stored_only": false}' -- $$todo
	@$(STORE)

test: ## all tests: lint, physics, workflow, report in a browser
	@envs/setup.sh test
	@$(MAKE) --no-print-directory lint
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; failed=0; \
		python -m pytest $(SLOW_TESTS) > "$$log" 2>&1 & slow=$$!; \
		python -m pytest $(addprefix --ignore=,$(SLOW_TESTS)) || failed=1; \
		wait $$slow || failed=1; \
		cat "$$log"; exit $$failed

FUZZ ?= 200
fuzz: setup ## spoil FUZZ=200 files of every kind and read them; a table of what became of them
	@PYTHONPATH=$(CURDIR)/workflow:$(CURDIR)/tests python -m fuzz --count $(FUZZ)

lint: setup ## ruff, snakefmt, snakemake --lint
	@ruff check .
	@ruff format --check .
	@snakefmt --check Snakefile workflow/Snakefile workflow/rules
	@snakemake --lint

doctor: setup ## check every engine that CONFIG names, in seconds (CONFIG=config/config.yaml)
	@python -m corefuse.simulate.doctor $(CONFIG)

bench: setup ## cost of every stage, as a table with ratios
	@python -m corefuse.bench

site: setup ## the documentation as a site in site/, links checked
	@NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

docs: setup ## regenerate config/README.md and config/schema.json from the typed config
	@python -m corefuse.config.docs

SITE := PARTITION ACCOUNT MAX_MEM_MB MAX_RUNTIME
slurm-profile: ## PARTITION=.. ACCOUNT=.. and, if Slurm does not say, MAX_MEM_MB=.. MAX_RUNTIME=minutes
	@[ -n "$(strip $(foreach key,$(SITE),$($(key))))" ] || \
		{ echo "usage: make slurm-profile PARTITION=name ACCOUNT=name (either may be left out)" >&2; exit 2; }
	@printf '%s\n' $(foreach key,$(SITE),$(if $($(key)),$(key)=$($(key)))) > slurm/site.txt
	@echo "slurm/site.txt: $$(tr '\n' ' ' < slurm/site.txt)"

lock: setup ## resolve envs/requirements.in into envs/requirements.lock
	@pip freeze --exclude edrixs --exclude feff10-rs | sed 's/+cpu$$//' > envs/requirements.lock
	@grep -v '^torch==' envs/requirements.lock | uv pip compile - --quiet --no-deps --no-annotate \
		--no-header --generate-hashes --python-version 3.11 \
		--python-platform x86_64-unknown-linux-gnu -o envs/requirements-hashes.lock

clean: ## remove the environment and the results
	rm -rf .venv .snakemake results/*
