#!/bin/sh
# Runs the tests that a pattern names and prints what they logged: reports.sh PATTERN PACKAGES…
set -eu
pattern=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "go test -v -run '$pattern' $*"
# shellcheck disable=SC2086 # TESTFLAGS are several words
if ! go test ${TESTFLAGS-} -v -run "$pattern" "$@" >"$log" 2>&1; then
	cat "$log"
	exit 1
fi
grep -v '^ *=== \|^ *--- \|^PASS$' "$log" | sed 's/^    [a-z_]*_test.go:[0-9]*: //'
