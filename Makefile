# Each target is one script in scripts/, which says what it does.
.DEFAULT_GOAL := help
.PHONY: help up down clean dev check test images soak mutants engine-test bench fresh-test

help:
	@echo 'make up      from nothing to a WordPress site that answers; leaves the control plane running'
	@echo 'make down    stop everything of this instance, keep its data'
	@echo 'make clean   remove every trace of this instance (asks; CONFIRM=yes does not)'
	@echo 'make dev     the API and the command line on a world in memory: no Docker'
	@echo 'make check   format, lints and the tests that need no Docker, without the fault harness: after each change'
	@echo 'make test    everything that CI runs'
	@echo 'make images  build the container images that are missing; REFRESH=1: all, with the newest packages'
	@echo 'make soak    random sequences of requests and faults: SEEDS=n'
	@echo 'make engine-test  a site on the newest Engine that Debian has, over TLS'
	@echo 'make mutants changes of the code that no test detects: hours; SHARD=k/n'
	@echo 'make bench   measure, and write docs/benchmarks.md; BENCH=part,part'
	@echo 'make fresh-test  the README on a bare Debian with an Engine of its own; fetches and builds everything'

up down clean dev check test images soak mutants engine-test bench fresh-test:
	@scripts/$@
