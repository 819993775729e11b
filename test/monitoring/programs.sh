#!/bin/sh
# Prints the directory of prometheus and promtool. Where they are not installed, it gets Debian's package of them and unpacks it
# into $SENTRY_MONITORING_CACHE (default ~/.cache/sentry-monitoring): neither is installed, and no service is started.
set -eu
if found=$(command -v promtool) && command -v prometheus >/dev/null; then
  dirname "$found"
  exit
fi
cache=${SENTRY_MONITORING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sentry-monitoring}
bin=$cache/prometheus/usr/bin
if [ ! -x "$bin/promtool" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  { cd "$new"
    apt-get download prometheus || { apt-get update && apt-get download prometheus; }
    dpkg-deb -x prometheus_*.deb prometheus
  } >"$cache/log" 2>&1 || {
    tail -n 20 "$cache/log" >&2
    echo "failed: Debian's package prometheus, which has promtool, could not be had; install both" >&2
    exit 1
  }
  rm -rf "$cache/prometheus"
  mv "$new/prometheus" "$cache/prometheus"
fi
echo "$bin"
