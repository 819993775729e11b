#!/bin/bash
# Ends the cluster that up.sh made, and removes its directory. What was built stays in the cache.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
. "$(dirname "$0")/lib/node.sh"
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$dir" ]; then
  say "there is no cluster in $dir"
  exit
fi
end_node
say "down"
