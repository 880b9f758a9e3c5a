# For a Debian or macOS machine with Rust (so for the make of macOS, 3.81): what else is needed is installed, or the
# command for it is printed.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test simulate mutate faults cluster failover fuzz fuzz-requests lint fmt bench bench-full deps test-deps bench-deps bench-peers-deps

# For `make simulate`
SEEDS ?= 1000000

# For `make faults`
FAULTS_ROUNDS ?= 60

# For `make cluster`
CLUSTER_ROUNDS ?= 40

# For `make failover`
FAILOVER_ROUNDS ?= 10

# For `make fuzz`
CASES ?= 10000
# For `make fuzz-requests`
REQUESTS ?= 200000

# For `make run`, e.g. RUN_ARGS='--listen 127.0.0.1:9090'
RUN_ARGS ?=

help:
	@echo "make run        start the ledger with a private PostgreSQL and NATS (RUN_ARGS='...' are its arguments)"
	@echo "make test       run all tests"
	@echo "make simulate   run the protocol machines together, SEEDS=$(SEEDS) times, each with its own faults"
	@echo "make mutate     break the protocol machines one way after the other, in a copy, and have the simulation find it"
	@echo "make faults     strike the program and its servers under load, FAULTS_ROUNDS=$(FAULTS_ROUNDS) rounds of one or two faults each"
	@echo "make cluster    strike a NATS cluster of three servers under load, at last CLUSTER_ROUNDS=$(CLUSTER_ROUNDS) times in a row"
	@echo "make failover   replace PostgreSQL's primary by its standby under load, FAILOVER_ROUNDS=$(FAILOVER_ROUNDS) times by hand, and by Patroni"
	@echo "make fuzz       have Schemathesis call the service from its own document, CASES=$(CASES) times at least"
	@echo "make fuzz-requests  send right, odd and changed requests to the program and its parsers, REQUESTS=$(REQUESTS) of each kind"
	@echo "make lint       check format and lints"
	@echo "make fmt        format the code"
	@echo "make bench      measure the ledger beside its yardsticks at a small scale, into bench/RESULTS-quick.md, which git"
	@echo "                ignores (under ten minutes; a quiet machine)"
	@echo "make bench-full the same at the scale of the goals, ten million events, into bench/RESULTS.md (an hour, 35 GB of disk)"
	@echo "make deps       install what 'make run' needs (PostgreSQL, nats-server)"
	@echo "make test-deps  install what else 'make test' needs (Prometheus, PgBouncer, Patroni, etcd; a second nats-server, Schemathesis"
	@echo "                and checks of manifests, under .tools/)"
	@echo "make bench-deps install what else 'make bench' needs (wrk)"
	@echo "make bench-peers-deps  install the event stores that 'make bench' sets beside the ledger, where they are there"

run: deps
	cargo run --release -- dev $(RUN_ARGS)

# Most tests wait for a server or a lease more than they compute: so twice as many at once as there are cores.
test: deps test-deps
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} cargo test

# Another first seed: SIMULATION_FROM=n. One seed alone, step by step: SIMULATION_SEED=n.
simulate:
	SIMULATION_SEEDS=$(SEEDS) cargo test --test client everything_together -- --nocapture

# One mutation alone: ONLY='a word of its name'.
mutate:
	scripts/mutate-machines

# The same rounds again: FAULTS_SEED=n, as it printed; one of them alone: FAULTS_ROUND=n besides; the table into a file:
# FAULTS_REPORT=path. As root it also fills a disk, which it mounts.
faults: deps test-deps
	FAULTS_ROUNDS=$(FAULTS_ROUNDS) cargo test --test client faults::all_of_them -- --ignored --nocapture

# The same changes of leader again: CLUSTER_SEED=n, as it printed. Another nats-server than the oldest: VTID_NATS_SERVER=path.
cluster: deps test-deps
	CLUSTER_ROUNDS=$(CLUSTER_ROUNDS) cargo test --test client cluster:: -- --include-ignored --nocapture

failover: deps test-deps
	FAILOVER_ROUNDS=$(FAILOVER_ROUNDS) cargo test --test client failover:: -- --include-ignored --nocapture --test-threads 1

# The same calls again: SCHEMATHESIS_SEED=n, as it printed.
fuzz: deps test-deps
	SCHEMATHESIS_CASES=$(CASES) cargo test --test client schemathesis -- --nocapture

# Another first case: FUZZ_FROM=n. One alone: FUZZ_FROM=n REQUESTS=1.
fuzz-requests: deps test-deps
	FUZZ_CASES=$(REQUESTS) cargo test --release --lib --test client fuzz_ -- --nocapture

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

fmt:
	cargo fmt

# Single lines, printed and not kept: BENCH_ONLY=creates,gets make bench; a wrong name prints all of them. Longer or shorter:
# BENCH_SECONDS a run, BENCH_ROUNDS of them, BENCH_SNAPSHOT_SECONDS of an open snapshot, BENCH_EVENTS of the largest log.
bench: deps bench-deps
	BENCH_SCALE=quick cargo bench --bench load

bench-full: deps bench-deps
	BENCH_SCALE=full cargo bench --bench load

deps:
	@scripts/install-deps run

test-deps:
	@scripts/install-deps test

bench-deps:
	@scripts/install-deps bench

bench-peers-deps: bench-deps
	@scripts/install-deps bench-peers
