#!/bin/sh
# Runs each fuzz target of the packages for FUZZTIME: go test takes one at a time.
set -eu
packages=$(go list "$@")
for package in $packages; do
	list=$(go test -list '^Fuzz' "$package")
	for target in $(echo "$list" | grep '^Fuzz'); do
		echo "== $package $target, $FUZZTIME"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 10x "$package"
	done
done
