#!/usr/bin/env bash
# Runs every fuzz target for the time in $1, such as 30s, with one worker each and as many at a time
# as there are processors. After the first that fails no other one starts. What a target prints is
# shown when it ends.
#
# Go before 1.27 sometimes takes the end of that time for a failure (https://go.dev/issue/75804): the
# target fails with nothing but "context deadline exceeded". A real failure always leaves the input or
# says more, so that line alone counts as the end of the time.
set -euo pipefail
cd "$(dirname "$0")/.."
export FUZZTIME=$1

# fuzz FILE:DECLARATION runs one target. xargs takes the status 255 as the end of all.
fuzz() {
  local target=${1#*:func } package output said
  package=./$(dirname "${1%%:*}")
  if output=$("${GO:-go}" test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -parallel 1 \
    -fuzzminimizetime 10x 2>&1); then
    printf '== %s (%s)\n%s\n' "$target" "$package" "$output"
    return
  fi
  printf '== %s (%s)\n%s\n' "$target" "$package" "$output"
  # What the failed target says, from its line to the end that every failure has.
  said=$(sed -n '/^--- FAIL/,/^FAIL$/p' <<<"$output" | sed '1d;$d')
  # shellcheck disable=SC2086,SC2116 # the spaces around it do not count
  if [ "$(echo $said)" != "context deadline exceeded" ]; then
    echo "== failed: $target"
    exit 255
  fi
  echo "$target: the time was over, which is no failure"
}
export -f fuzz

# shellcheck disable=SC2016 # the inner shell expands it
grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' pkg tekton | sort |
  xargs -d '\n' -n 1 -P "$(nproc)" bash -c 'fuzz "$1"' fuzz
