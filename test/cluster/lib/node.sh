# shellcheck shell=bash
# The node: where everything is, and the namespaces that everything runs in.
#
# One process, `pause`, holds a PID, a mount and a network namespace. All programs of the cluster run inside.
# When it ends the kernel ends them, and their mounts, containers and network with them: nothing can be left
# behind but files and cgroups, and nothing of this machine is within their reach by accident.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../.." && pwd)
cache=${SENTRY_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sentry-cluster}
# Not under /tmp, which may be memory: the unpacked images take 0.7 GB.
dir=${SENTRY_CLUSTER_DIR:-/var/tmp/sentry-cluster-$(id -u)}
bin=$cache/bin

# 198.18.0.0/15 is set aside for benchmarks (RFC 2544): no network uses it, and no router carries it. This
# machine has .1 and the node .2 of a /30; pods and Services exist inside of the node only.
host_ip=198.18.78.1
node_ip=198.18.78.2
link=sentry-node
pod_cidr=10.244.0.0/24
service_cidr=10.96.0.0/16
cgroup=sentry-cluster

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

# fail COMPONENT WORDS: ends with the end of the component's log and where to look on.
fail() {
  {
    echo "failed: $2"
    if [ -s "$dir/log/$1" ]; then
      echo "--- the end of $dir/log/$1"
      tail -n 20 "$dir/log/$1"
      echo "---"
    fi
    echo "All logs are in $dir/log. Everything is left as it is: \`. $dir/env\` and kubectl when the API server runs,"
    echo "\`$dir/bin/in-node COMMAND\` for a command among the cluster's processes. test/cluster/down.sh ends it."
  } >&2
  exit 1
}

# await COMPONENT SECONDS WORDS COMMAND…: until the command succeeds.
await() {
  local component=$1 deadline=$((SECONDS + $2)) words=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    if [ -e "$dir/run/$component" ] && ! kill -0 "$(cat "$dir/run/$component")" 2>/dev/null; then
      fail "$component" "$component ended while waiting for: $words"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "$component" "not within the time: $words"
    sleep 0.2
  done
}

# holder prints the PID of the process that holds the namespaces; fails when it does not run (any more).
# A PID is used again after a while, so the process must carry the mark that it was started with.
holder() {
  local outer
  outer=$(cat "$dir/run/node" 2>/dev/null) || return 1
  grep -qzxF "SENTRY_CLUSTER_HOLDER=$dir" "/proc/$outer/environ" 2>/dev/null || return 1
  # The namespaces' first process is the one child of `unshare`.
  pgrep --parent "$outer" -x pause
}

in_node() { nsenter --target "$(holder)" --mount --net --pid -- "$@"; }

# start COMPONENT PROGRAM…: in the node, in the background, its output in log/COMPONENT.
start() {
  local component=$1
  shift
  # The lock of up.sh must not live on in the programs that it starts.
  setsid nsenter --target "$(holder)" --mount --net --pid -- "$@" \
    </dev/null >"$dir/log/$component" 2>&1 9>&- &
  echo $! >"$dir/run/$component"
}

make_node() {
  mkdir -p "$dir"/{bin,log,run,etc,node/run,node/var-lib,node/var-log}
  SENTRY_CLUSTER_HOLDER=$dir setsid unshare --mount --net --pid --fork --mount-proc --kill-child \
    "$bin/pause" </dev/null >"$dir/log/node" 2>&1 9>&- &
  echo $! >"$dir/run/node"
  await node 10 "the namespaces" holder
  # What the container runtime and the kubelet write outside of $dir: /run/containerd, /run/netns,
  # /run/xtables.lock, /var/lib/kubelet, /var/lib/cni, /var/log/containers.
  in_node sh -euc '
    mount --make-rshared /
    mount --bind "$1/node/run" /run
    mount --bind "$1/node/var-lib" /var/lib
    mount --bind "$1/node/var-log" /var/log
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ' sh "$dir"
  cat >"$dir/bin/in-node" <<EOF
#!/bin/sh
# Runs a command among the processes of the test cluster: in-node ctr -n k8s.io containers ls
exec nsenter --target $(holder) --mount --net --pid -- "\$@"
EOF
  chmod +x "$dir/bin/in-node"
}

make_network() {
  ip link add "$link" type veth peer name eth0 netns "$(holder)"
  ip address add "$host_ip/30" dev "$link"
  ip link set "$link" up
  in_node ip link set lo up
  in_node ip address add "$node_ip/30" dev eth0
  in_node ip link set eth0 up
  # A packet to a Service is turned to its pod after a route was found for it. All else is refused at once,
  # in place of a wait for a timeout.
  in_node ip route add "$service_cidr" dev eth0 src "$node_ip"
  in_node ip route add unreachable default
  # Pods reach servers of the tests at $host_ip, which knows no way to pods.
  in_node iptables --table nat --append POSTROUTING --source "$pod_cidr" --out-interface eth0 --jump MASQUERADE
}

# end_node ends all processes of the cluster, and with them its namespaces; then removes what is left of it.
end_node() {
  local pid
  if pid=$(holder); then
    kill -KILL "$pid"
    await end 30 "the cluster's processes to end" ended "$(cat "$dir/run/node")"
  fi
  # The kernel takes a network namespace away a little after its last process.
  await end 30 "the network link to go" no_link
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
  if grep -qF " $dir/" /proc/self/mounts; then
    fail node "something is still mounted in $dir"
  fi
  rm -rf "$dir"
}

# `unshare` ends when all processes of its PID namespace have.
ended() { ! kill -0 "$1"; }
no_link() { ! ip link show "$link"; }
