#!/bin/sh
# Every check there is, the quick ones first; stops at the first that fails and names it.
set -eu
cd "$(dirname "$0")/.."

stage() {
	name=$1
	shift
	printf '\n== %s\n' "$name"
	if ! "$@"; then
		printf '\nFAILED: %s\n' "$name" >&2
		exit 1
	fi
}

agent_tests() {
	cargo test --locked --quiet --manifest-path agent/Cargo.toml
}

stage "set-up" sh scripts/setup.sh --tests
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
stage "generated files" node scripts/generate-protocol.ts --check
stage "format" npm run --silent format:check
stage "lint" npm run --silent lint
stage "types" npm run --silent types
stage "agent tests" agent_tests
stage "unit tests" npm run --silent test:unit
stage "registry tests" npm run --silent test:registry
# Every sandbox starts a process from our sources: compiled once, it starts in a third of the time.
stage "VM tests" env NODE_COMPILE_CACHE="$PWD/node_modules/.cache/compile" npm run --silent test:vm
printf '\nAll checks passed.\n'
