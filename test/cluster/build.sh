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
  tools=$(go list tool)
  for tool in $tools; do
    name=${tool##*/}
    # The major version at the end of a module path is not a program's name.
    case $name in v[0-9]*) name=${tool%/*}; name=${name%/*}; name=${name##*/} ;; esac
    echo "  $name" >&2
    go build -trimpath "$@" -o "$cache/bin/$module-$name" "$tool"
  done
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
