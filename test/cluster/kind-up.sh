#!/bin/bash
# Makes the same test cluster as up.sh with kind, for a machine with Docker, kind and access to registries:
# Tekton from its release, Gitea as a container beside the node. docs/testing.md says what differs.
#
#   SENTRY_CLUSTER_DIR  where kubeconfig and env are written (default /var/tmp/sentry-kind-<uid>)
#
# Called again it only loads Sentry's image anew. `kind-up.sh --print-env` only prints where the env file is or will be.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${SENTRY_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sentry-cluster}
dir=${SENTRY_CLUSTER_DIR:-/var/tmp/sentry-kind-$(id -u)}

cluster=sentry
gitea=sentry-gitea
gitea_image=docker.io/gitea/gitea:1.26.0
gitea_user=sentry-test
image=localhost/sentry-test/sentry:dev
# The defaults of sentry.yaml: the node gets them from their registry.
git_image=docker.io/alpine/git:2.49.1
deploy_image=docker.io/alpine/k8s:1.34.1

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

# await SECONDS WORDS COMMAND…: until the command succeeds.
await() {
  local deadline=$((SECONDS + $1)) words=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "failed: not within the time: $words. See: $*" >&2
      exit 1
    fi
    sleep 0.5
  done
}

in_gitea() { docker exec --user git "$gitea" gitea "$@"; }

make_cluster() {
  say "kind cluster"
  # The paths in its configuration begin there.
  cd "$root"
  kind create cluster --config kind-config.yaml --kubeconfig "$dir/kubeconfig" --wait 180s
}

install_tekton() {
  local version
  version=$(cd "$here/modules/tekton" && go list -m -f '{{.Version}}' github.com/tektoncd/pipeline)
  say "Tekton $version"
  kubectl apply --server-side \
    -f "https://infra.tekton.dev/tekton-releases/pipeline/previous/$version/release.yaml" >"$dir/tekton.log"
  await 180 "Tekton's programs to start" kubectl wait --namespace tekton-pipelines \
    --for=condition=Available deployment --all --timeout=5s
  # Without it Kubernetes refuses Tekton's own containers in namespaces with PodSecurity "restricted".
  await 60 "Tekton's webhook to answer" kubectl patch configmap feature-flags --namespace tekton-pipelines \
    --patch '{"data": {"set-security-context": "true"}}'
}

# Gitea stands in the network of the node, where pods and this machine reach it by the same address.
start_gitea() {
  say "Gitea"
  docker run --detach --name "$gitea" --network kind \
    --env GITEA__security__INSTALL_LOCK=true --env GITEA__database__DB_TYPE=sqlite3 \
    --env 'GITEA__webhook__ALLOWED_HOST_LIST=*' \
    --env GITEA__database__SQLITE_TIMEOUT=20000 --env GITEA__database__SQLITE_JOURNAL_MODE=WAL \
    --env GITEA__service__DISABLE_REGISTRATION=true --env GITEA__actions__ENABLED=false \
    --env GITEA__repository__DEFAULT_BRANCH=main "$gitea_image" >/dev/null
  gitea_url=http://$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$gitea"):3000
  await 60 "Gitea to answer" curl --noproxy '*' -fsS "$gitea_url/api/healthz"
  in_gitea admin user create --admin --username "$gitea_user" --random-password --must-change-password=false \
    --email "$gitea_user@localhost.localdomain" >/dev/null
  gitea_token=$(in_gitea admin user generate-access-token --username "$gitea_user" --token-name e2e --scopes all \
    --raw | grep -xE '[0-9a-f]{40}')
}

write_env() {
  local address=${gitea_url#http://}
  address=${address%:*}
  cat >"$dir/env" <<EOF
export KUBECONFIG=$dir/kubeconfig
export SENTRY_E2E_GITEA_URL=$gitea_url
export SENTRY_E2E_GITEA_SSH=$address:22
export SENTRY_E2E_GITEA_USER=$gitea_user
export SENTRY_E2E_GITEA_TOKEN=$gitea_token
export SENTRY_E2E_IMAGE=$image
export SENTRY_E2E_GIT_IMAGE=$git_image
export SENTRY_E2E_DEPLOY_IMAGE=$deploy_image
export SENTRY_E2E_KILL_APISERVER="docker exec $cluster-control-plane pkill -KILL kube-apiserver"
export SENTRY_E2E_AUDIT="docker exec $cluster-control-plane cat /var/log/kubernetes/audit.log"
export SENTRY_E2E_TAG_IMAGE="docker exec $cluster-control-plane ctr --namespace k8s.io images tag --force"
export PATH=$dir/bin:\$PATH
export NO_PROXY=$address\${NO_PROXY:+,\$NO_PROXY}
export no_proxy=\$NO_PROXY
EOF
}

load_product() {
  say "Sentry's image"
  (cd "$root" && GOOS=linux CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -ldflags "-s -w" -o "$dir/sentry" ./cmd/sentry)
  (cd "$root/hack" && go run ./mkimage -tag "$image" -o "$dir/sentry.tar" -entrypoint /sentry \
    "$dir/sentry:/sentry" /etc/ssl/certs/ca-certificates.crt)
  kind load image-archive "$dir/sentry.tar" --name "$cluster"
}

if [ "${1:-}" = --print-env ]; then
  echo "$dir/env"
  exit
fi
for program in docker kind kubectl curl go; do
  command -v "$program" >/dev/null || {
    echo "$program is missing; on a Debian machine without Docker, test/cluster/up.sh needs no registry" >&2
    exit 2
  }
done
export KUBECONFIG=$dir/kubeconfig
if [ ! -e "$dir/env" ]; then
  mkdir -m 700 "$dir" || {
    echo "an earlier attempt was left in $dir: end it with test/cluster/kind-down.sh" >&2
    exit 1
  }
  mkdir "$dir/bin"
  command -v tkn >/dev/null || { "$here/build.sh" tkn && ln -s "$cache/bin/tkn-tkn" "$dir/bin/tkn"; }
  make_cluster
  start_gitea
  install_tekton
  write_env
fi
say "the cluster is up. To use it:  . $dir/env"
load_product
say "Sentry's image is loaded"
