#!/bin/bash
# Ends what kind-up.sh made.
set -euo pipefail
dir=${SENTRY_CLUSTER_DIR:-/var/tmp/sentry-kind-$(id -u)}
kind delete cluster --name sentry --kubeconfig "$dir/kubeconfig"
if docker container inspect sentry-gitea >/dev/null 2>&1; then
  docker rm --force --volumes sentry-gitea >/dev/null
fi
rm -rf "$dir"
