#!/bin/sh
# Builds the programs of the test cluster from their Go modules, all or the named ones: build.sh [MODULE…]
# A module is built once, and again only when its go.mod or go.sum changed.
# The programs land in $SENTRY_CLUSTER_CACHE/bin (default ~/.cache/sentry-cluster/bin).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${SENTRY_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sentry-cluster}
mkdir -p "$cache/bin" "$cache/stamps"

wanted=" ${*:-etcd kubernetes tekton tkn gitea} "

# build MODULE [go build flags…]: every `tool` of the module, stripped.
build() {
  module=$1; shift
  case $wanted in *" $module "*) ;; *) return 0 ;; esac
  cd "$here/modules/$module"
  sum=$(cat go.mod go.sum "$here/build.sh" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$cache/stamps/$module" 2>/dev/null)" = "$sum" ]; then
    return
  fi
  echo "building $module (once; docs/testing.md says how long it takes)" >&2
  # All programs of a module at once: some are linked while others are compiled.
  new=$cache/new/$module
  rm -rf "$new"
  mkdir -p "$new"
  # shellcheck disable=SC2046 # each is an argument of its own
  go build -trimpath "$@" -o "$new/" $(go list tool)
  for program in "$new"/*; do
    mv "$program" "$cache/bin/$module-${program##*/}"
  done
  rmdir "$new"
  echo "$sum" > "$cache/stamps/$module"
}

k8s=1.34.4
version=k8s.io/component-base/version
export CGO_ENABLED=0
build etcd -ldflags "-s -w"
# Without a version the kubelet is refused by the API server.
build kubernetes -ldflags "-s -w -X $version.gitVersion=v$k8s -X $version.gitMajor=1 -X $version.gitMinor=34 -X $version.gitTreeState=clean"
build tekton -ldflags "-s -w"
build tkn -ldflags "-s -w"
# sqlite needs cgo.
CGO_ENABLED=1 build gitea -tags "sqlite sqlite_unlock_notify" -ldflags "-s -w -X main.Version=1.26.0"
