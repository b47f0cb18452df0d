# `make help` lists what can be made. CARGO=… and ARGS=… are passed on.
CARGO ?= cargo
ARGS ?=
SOAK ?= 200000
FUZZ ?= 300
SLOTS ?= 100000
KILLS ?= 20
MINUTES ?= 10
CHAT ?= 10000
ATTACK ?= 20000
# Node.js of tools/install, and cargo of a fresh rustup
export PATH := $(CURDIR)/.huntzen/venv/bin:$(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help run test soak chaos fuzz fuzz-parsers slots timing chat attack bench lint advisories

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: ## Install what is missing, then start the program with its own database and demonstration data
	@tools/install database
	$(CARGO) run -- $(ARGS)

test: ## Install what is missing, then run every test
	@tools/install database redis tools browser journal schemathesis slots icalendar feeds s3 moto spreadsheets promtool
	$(CARGO) test $(ARGS)

soak: ## Ask 200,000 times on few connections while requests, transactions and statements fail (SOAK=…)
	@tools/install database tools
	HUNTZEN_SOAK=$(SOAK) $(CARGO) test --test it soak:: -- --nocapture $(ARGS)

chaos: ## Kill the server 20 times while 200 people book 50 slots (KILLS=…)
	@tools/install database tools
	HUNTZEN_KILLS=$(KILLS) $(CARGO) test --test it chaos:: -- --nocapture $(ARGS)

fuzz: ## Try the API against its document for FUZZ seconds a role (300)
	@tools/install database tools schemathesis
	HUNTZEN_FUZZ_SECONDS=$(FUZZ) $(CARGO) test --test it schemathesis:: -- --nocapture $(ARGS)

fuzz-parsers: ## Run libFuzzer on each parser of foreign bytes for MINUTES (10): envelopes, files, pictures, CSV, Markdown, calendars
	@tools/install compiler
	CARGO="$(CARGO)" fuzz/run $(MINUTES)

timing: ## Measure whether the time of an answer tells if an address is known: 500 + 500, interleaved
	@tools/install database
	LONG_TESTS=1 $(CARGO) test --test it -- --nocapture --test-threads=1 \
		the_time_of_a_refusal a_forgotten_password_takes $(ARGS)

slots: ## Look at 100,000 offers around clock changes, and compare 20,000 with a second implementation (SLOTS=…)
	@tools/install slots
	HUNTZEN_SLOTS=$(SLOTS) HUNTZEN_SLOTS_COMPARED=$$(($(SLOTS) / 5)) $(CARGO) test --test it slots::properties slots::reference -- --nocapture $(ARGS)

chat: ## Write CHAT messages (10,000) on two nodes over connections that break, nodes that die, databases that restart
	@tools/install database redis tools
	HUNTZEN_CHAT=$(CHAT) HUNTZEN_REVOCATIONS=300 $(CARGO) test --test it chat::nodes -- --nocapture --test-threads=1 $(ARGS)

attack: ## Try to get behind the counters of 20,000 companies by chance, 1,000 of them in the tables (ATTACK=…)
	@tools/install database
	HUNTZEN_ATTACK=$(ATTACK) $(CARGO) test --test it usage::attack -- --nocapture $(ARGS)

bench: ## Measure the workloads against their floors (ARGS="-- --scale 10")
	@tools/install database node
	$(CARGO) bench $(ARGS)

lint: ## Formatting, clippy; licences, sources and bans of the dependencies
	@tools/install lint
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) deny --log-level error check bans licenses sources

advisories: ## Known faults of the dependencies; fetches the advisory database of RustSec
	@tools/install lint
	$(CARGO) deny check advisories
