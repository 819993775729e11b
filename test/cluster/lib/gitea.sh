# shellcheck shell=bash
# Gitea, a real Git server, as a process on the node.

gitea_url=http://$node_ip:3000
gitea_ssh=$node_ip:2222
gitea_user=sentry-test

gitea() {
  in_node env HOME="$dir/gitea" GITEA_WORK_DIR="$dir/gitea" "$bin/gitea-gitea" --config "$dir/gitea/app.ini" "$@"
}

start_gitea() {
  local source
  source=$(cd "$here/modules/gitea" && go list -m -f '{{.Dir}}' code.gitea.io/gitea)
  mkdir -p "$dir/gitea"
  cat >"$dir/gitea/app.ini" <<EOF
APP_NAME = sentry-test
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = $node_ip
HTTP_PORT = 3000
ROOT_URL = $gitea_url/
STATIC_ROOT_PATH = $source
OFFLINE_MODE = true
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_DOMAIN = $node_ip
SSH_LISTEN_HOST = $node_ip
SSH_LISTEN_PORT = ${gitea_ssh##*:}
SSH_PORT = ${gitea_ssh##*:}
LFS_START_SERVER = true
[lfs]
PATH = $dir/gitea/lfs
[database]
DB_TYPE = sqlite3
PATH = $dir/gitea/gitea.db
# Tests push at the same time. Half a second, the default, is little for a writer to wait in.
SQLITE_TIMEOUT = 20000
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[log]
LEVEL = Warn
[actions]
ENABLED = false
[webhook]
# Private addresses, too, where a Sentry of the tests listens.
ALLOWED_HOST_LIST = *
[repository]
DEFAULT_BRANCH = main
EOF
  gitea migrate >"$dir/log/gitea-setup" 2>&1 || fail gitea-setup "Gitea's database could not be made"
  # The server comes last: it writes app.ini anew when it starts, and a command that reads half of it refuses.
  gitea admin user create --admin --username "$gitea_user" --random-password --must-change-password=false \
    --email "$gitea_user@localhost.localdomain" >>"$dir/log/gitea-setup" 2>&1 ||
    fail gitea-setup "Gitea's user could not be made"
  # It logs to the same output that it prints the token to.
  gitea admin user generate-access-token --username "$gitea_user" --token-name e2e --scopes all --raw 2>&1 |
    tee -a "$dir/log/gitea-setup" | grep -xE '[0-9a-f]{40}' >"$dir/gitea/token" ||
    fail gitea-setup "Gitea's token could not be made"
  start gitea env HOME="$dir/gitea" GITEA_WORK_DIR="$dir/gitea" "$bin/gitea-gitea" --config "$dir/gitea/app.ini" web
  await gitea 30 "Gitea to answer" curl --noproxy '*' -fsS "$gitea_url/api/healthz"
}
