#!/bin/sh
# Runs every fuzz target of every module for a while each: scripts/fuzz.sh [duration]. The targets are
# found by themselves; what they find is left under testdata/fuzz, as a test that fails until it is
# mended.
set -eu
cd "$(dirname "$0")/.."
time=${1:-20s}

# Lines of the form ./dir/file_test.go:FuzzName.
targets=$(find . -name '*_test.go' -not -path './.*' -exec grep -Ho '^func Fuzz[A-Za-z0-9_]*' {} + | sed 's/:func /:/' | sort)
if [ -z "$targets" ]; then
	echo 'fuzz: no targets'
	exit 0
fi
for target in $targets; do
	dir=$(dirname "${target%%:*}") name=${target##*:}
	echo "fuzz: $dir $name for $time"
	(cd "$dir" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" .)
done
