#!/bin/sh
# Gets what the tests in a browser need and a machine may not have: Chromium, by Debian's package, and axe-core, by npm. Prints
# the path of the browser, and that of axe-core's script, which is kept in $SENTRY_BROWSER_CACHE (default ~/.cache/sentry-browser).
set -eu
axe=4.14.1
cache=${SENTRY_BROWSER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sentry-browser}
mkdir -p "$cache"

# need PROGRAM PACKAGE: has a package installed where there is no such program.
need() {
  command -v "$1" >/dev/null && return
  { apt-get install -y --no-install-recommends "$2" ||
    { apt-get update && apt-get install -y --no-install-recommends "$2"; }; } >"$cache/log" 2>&1 || {
    tail -n 20 "$cache/log" >&2
    echo "failed: Debian's package $2 could not be installed; install it, or $1 in another way" >&2
    exit 1
  }
}

browser=
for name in chromium chromium-browser google-chrome; do
  browser=$(command -v "$name") && break
done
if [ -z "$browser" ]; then
  need chromium chromium
  browser=$(command -v chromium)
fi
script=$cache/axe-$axe.js
if [ ! -s "$script" ]; then
  need npm npm
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  (cd "$new" && npm pack --silent "axe-core@$axe" >/dev/null && tar -xzf axe-core-*.tgz package/axe.min.js) || {
    echo "failed: npm cannot get axe-core $axe" >&2
    exit 1
  }
  mv "$new/package/axe.min.js" "$script"
fi
printf '%s\n%s\n' "$browser" "$script"
