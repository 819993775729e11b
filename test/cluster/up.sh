#!/bin/bash
# Makes a one-node Kubernetes cluster with Tekton and Gitea on this machine, without Docker and without a registry,
# and loads Sentry's image as it is in this checkout. docs/testing.md says how it works and how to look into it.
#
#   SENTRY_CLUSTER_DIR    where the cluster lives (default /var/tmp/sentry-cluster-<uid>); removed by down.sh
#   SENTRY_CLUSTER_CACHE  where built programs and images are kept (default ~/.cache/sentry-cluster)
#
# Called again it only loads Sentry's image anew. `up.sh --print-env` only prints where the env file is or will be.
# `up.sh --programs` only builds the programs and images that are kept in the cache.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
. "$(dirname "$0")/lib/node.sh"
. "$here/lib/images.sh"
. "$here/lib/kubernetes.sh"
. "$here/lib/tekton.sh"
. "$here/lib/gitea.sh"
export PATH=$dir/bin:$PATH KUBECONFIG=$dir/kubeconfig
# The cluster is reached directly, whatever proxy this machine has.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

install_packages() {
  local missing=()
  need() { command -v "$1" >/dev/null || [ -e "$1" ] || missing+=("$2"); }
  need containerd containerd
  need runc runc
  need /usr/lib/cni/ptp containernetworking-plugins
  need iptables iptables
  need conntrack conntrack
  need ipset ipset
  need ip iproute2
  need busybox busybox-static
  need git git
  need ssh openssh-client
  need git-lfs git-lfs
  need curl curl
  need openssl openssl
  need pgrep procps
  need gcc gcc
  need /etc/ssl/certs/ca-certificates.crt ca-certificates
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    "${missing[@]}"; } >"$cache/apt.log" 2>&1 || {
    tail -n 20 "$cache/apt.log" >&2
    echo "failed: these Debian packages could not be installed: ${missing[*]}" >&2
    exit 1
  }
}

build_programs() {
  SENTRY_CLUSTER_CACHE=$cache "$here/build.sh"
  go_program "$root/hack" ./mkimage mkimage
  go_program "$root" ./test/cluster/pause pause
}

write_env() {
  ln -sf "$bin/kubernetes-kubectl" "$dir/bin/kubectl"
  ln -sf "$bin/tkn-tkn" "$dir/bin/tkn"
  cat >"$dir/env" <<EOF
export KUBECONFIG=$dir/kubeconfig
export SENTRY_E2E_GITEA_URL=$gitea_url
export SENTRY_E2E_GITEA_SSH=$gitea_ssh
export SENTRY_E2E_GITEA_USER=$gitea_user
export SENTRY_E2E_GITEA_TOKEN=$(cat "$dir/gitea/token" 2>/dev/null)
export SENTRY_E2E_IMAGE=$image_prefix/sentry:dev
export SENTRY_E2E_GIT_IMAGE=$image_prefix/git:dev
export SENTRY_E2E_DEPLOY_IMAGE=$image_prefix/deploy:dev
export SENTRY_E2E_KILL_APISERVER="$dir/bin/in-node pkill -KILL -f ^$bin/kubernetes-kube-apiserver"
export SENTRY_E2E_AUDIT="cat $dir/log/audit"
export SENTRY_E2E_TAG_IMAGE="$dir/bin/in-node ctr --namespace k8s.io images tag --force"
export PATH=$dir/bin:\$PATH
export NO_PROXY=$node_ip\${NO_PROXY:+,\$NO_PROXY}
export no_proxy=\$NO_PROXY
EOF
}

up() {
  if no_link >/dev/null 2>&1; then
    mkdir -m 700 "$dir"
  else
    echo "failed: the network device $link exists: a cluster in another directory is up, and there can be only one" >&2
    exit 1
  fi
  say "node"
  make_node
  make_network
  write_env
  make_credentials
  start_gitea &
  local gitea=$!
  start_containerd
  say "images"
  # shellcheck disable=SC2046,SC2086
  load_images pause busybox git deploy $(printf 'tekton-%s ' $tekton_programs) >"$dir/log/images" 2>&1 &
  local images=$!
  say "Kubernetes"
  start_control_plane
  install_tekton
  start_kubelet
  wait "$images" || fail images "the images could not be loaded"
  say "Tekton"
  await_tekton
  wait "$gitea" || exit 1
  write_env
  touch "$dir/run/ready"
}

load_product() {
  make_product_image
  load_images sentry >"$dir/log/images" 2>&1 || fail images "Sentry's image could not be loaded"
}

if [ "${1:-}" = --print-env ]; then
  echo "$dir/env"
  exit
fi
if [ "$(id -u)" != 0 ]; then
  echo "root is needed to make namespaces, containers and mounts; with Docker, test/cluster/kind-up.sh needs none" >&2
  exit 2
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
install_packages
build_programs
make_images
if [ "${1:-}" = --programs ]; then
  exit
fi
if ! { holder && [ -e "$dir/run/ready" ] && kubectl get --raw /readyz; } >/dev/null 2>&1; then
  if [ -e "$dir" ]; then
    say "removing what an earlier attempt left"
    end_node
  fi
  up
fi
say "the cluster is up. To use it:  . $dir/env"
load_product
say "Sentry's image is loaded"
