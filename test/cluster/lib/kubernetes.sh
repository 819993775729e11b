# shellcheck shell=bash
# Kubernetes: certificates, etcd, the API server, the controllers, the container runtime and the kubelet.

pki=$dir/etc/pki
api=https://$node_ip:6443

# certificate NAME SUBJECT [SAN]: signed by our own authority.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "$2" \
    -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -addext "subjectAltName=${3:-DNS:$1}" \
    -addext "basicConstraints=critical,CA:false" -keyout "$pki/$1.key" -out "$pki/$1.crt" 2>>"$dir/log/pki"
}

# authority NAME: a certificate that signs others.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=$1" \
    -keyout "$pki/$1.key" -out "$pki/$1.crt" 2>>"$dir/log/pki"
}

# kubeconfig FILE TOKEN
kubeconfig() {
  cat >"$1" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: sentry-test
  cluster:
    server: $api
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
- name: sentry-test
  user:
    token: $2
contexts:
- name: sentry-test
  context: {cluster: sentry-test, user: sentry-test}
current-context: sentry-test
EOF
}

make_credentials() {
  local admin node
  mkdir -p "$pki"
  authority ca
  authority front-proxy
  certificate apiserver /CN=apiserver "IP:$node_ip,IP:${service_cidr%.*}.1,DNS:kubernetes.default.svc"
  certificate kubelet-client /O=system:masters/CN=apiserver
  openssl genrsa -out "$pki/service-account.key" 2048 2>>"$dir/log/pki"
  admin=$(openssl rand -hex 16)
  node=$(openssl rand -hex 16)
  printf '%s,admin,admin,system:masters\n%s,system:node:node,node,system:nodes\n' "$admin" "$node" >"$pki/tokens.csv"
  kubeconfig "$dir/kubeconfig" "$admin"
  kubeconfig "$dir/etc/kubelet.kubeconfig" "$node"
}

start_control_plane() {
  start etcd "$bin/etcd-server" --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  # It is started again when it ends, as a static pod is: tests kill it.
  # shellcheck disable=SC2016
  start kube-apiserver sh -c 'while :; do "$@"; sleep 3; done' sh "$bin/kubernetes-kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
    --bind-address "$node_ip" --advertise-address "$node_ip" --secure-port 6443 \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --client-ca-file "$pki/ca.crt" --requestheader-client-ca-file "$pki/front-proxy.crt" \
    --requestheader-allowed-names front-proxy --token-auth-file "$pki/tokens.csv" --authorization-mode Node,RBAC \
    --service-cluster-ip-range "$service_cidr" --service-account-issuer "https://kubernetes.default.svc" \
    --service-account-key-file "$pki/service-account.key" \
    --service-account-signing-key-file "$pki/service-account.key" \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP --admission-control-config-file "$here/admission.yaml" \
    --audit-policy-file "$here/audit.yaml" --audit-log-path "$dir/log/audit" --audit-log-maxsize 1000
  await kube-apiserver 60 "the API server to be ready" kubectl get --raw /readyz
  start kube-controller-manager "$bin/kubernetes-kube-controller-manager" --kubeconfig "$dir/kubeconfig" \
    --root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/service-account.key" --leader-elect=false
  start kube-scheduler "$bin/kubernetes-kube-scheduler" --kubeconfig "$dir/kubeconfig" --leader-elect=false
}

start_containerd() {
  local etc=$dir/etc
  mkdir -p "$etc/cni"
  # ptp routes each pod by itself: no bridge, so a pod reaches a Service without the br_netfilter module.
  cat >"$etc/cni/10-ptp.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "sentry-test", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pod_cidr"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
  cat >"$etc/containerd.toml" <<EOF
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$image_prefix/pause:dev"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$etc/cni"
EOF
  start containerd containerd --config "$etc/containerd.toml" --log-level warn
  await containerd 30 "the container runtime" in_node ctr version
}

start_kubelet() {
  local etc=$dir/etc
  # There is no name server. Where none listens a lookup fails at once; from elsewhere it would wait.
  echo "nameserver $node_ip" >"$etc/resolv.conf"
  # Without the right to raise limits, on cgroup v1 as on v2, on a disk that others fill: what a node checks
  # for its own protection is off.
  cat >"$etc/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
resolvConf: $etc/resolv.conf
clusterDNS: [$node_ip]
volumePluginDir: /var/lib/kubelet/volume-plugins
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
oomScoreAdj: 0
maxPods: 200
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
# A test waits for pods more than for anything else.
registryPullQPS: 0
eventRecordQPS: 0
syncFrequency: 10s
EOF
  start kubelet "$bin/kubernetes-kubelet" --config "$etc/kubelet.yaml" --kubeconfig "$etc/kubelet.kubeconfig" \
    --hostname-override node --node-ip "$node_ip"
  start kube-proxy "$bin/kubernetes-kube-proxy" --kubeconfig "$dir/kubeconfig" --hostname-override node \
    --proxy-mode iptables --cluster-cidr "$pod_cidr" --conntrack-max-per-core 0 --oom-score-adj 0 \
    --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
  await kubelet 60 "the node to be ready" node_ready
}

node_ready() { kubectl wait --for=condition=Ready node/node --timeout=5s; }
