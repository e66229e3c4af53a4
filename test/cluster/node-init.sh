#!/usr/bin/env bash
# First process of the node's namespaces: starts its programs, says that it is ready, and waits. All end with it.
set -euo pipefail
. "$(dirname "$0")/node-parts.sh"
export KUBECONFIG=$folder/admin.kubeconfig
mount --make-rshared /
# What would be left on the host.
for one in /var/log /var/lib/cni /run/netns /run/containerd; do
  mkdir -p $one
  mount -t tmpfs none $one
done
mkdir -p /var/log/pods
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward

cat >"$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd/root"
state = "$folder/containerd/state"
[grpc]
  address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
  # The machine may lack CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  sandbox_image = "localhost/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$folder/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
TOML
# A line of its own for each pod, not a bridge: all traffic between pods is routed, so Services work among them too.
cat >"$folder/cni/10-ptp.conflist" <<JSON
{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"ptp","ipam":{"type":"host-local","ranges":[[{"subnet":"10.232.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
echo "nameserver $node" >"$folder/resolv.conf"
cat >"$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [10.233.0.10]
clusterDomain: cluster.local
resolvConf: $folder/resolv.conf
cgroupDriver: cgroupfs
cgroupRoot: /postroom-test
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
containerRuntimeEndpoint: unix://$socket
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
volumePluginDir: $folder/kubelet/plugins-exec
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
YAML
# The cluster's names, and each file NAME.zone of the folder as the zone NAME, seen within two seconds.
cat >"$folder/Corefile" <<CORE
.:53 {
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local {
    kubeconfig $folder/admin.kubeconfig
  }
  auto {
    directory $folder/zones (.*)\.zone {1}
    reload 2s
  }
}
CORE

until_ok() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "Waited too long for: $*"; exit 1; }
    sleep 0.2
  done
}

pause_image() {
  local work digest config
  work=$(mktemp -d)
  cp "$(command -v pause)" "$work/pause"
  tar -C "$work" --owner=0 --group=0 -cf "$work/layer.tar" pause
  digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(dpkg --print-architecture)" "$digest" >"$work/config.json"
  printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$work.tar" manifest.json config.json layer.tar
  ctl images import "$work.tar"
  rm -rf "$work" "$work.tar"
}

start etcd
start apiserver
start containerd
until_ok 30 ctl version
pause_image
until_ok 90 kubectl get --raw /readyz
start controllers
start scheduler
start kubelet
start proxy
start dns
until_ok 30 kubectl apply -f "$(dirname "$0")/node-objects.yaml"
until_ok 60 kubectl wait --for=condition=Ready node/node-1 --timeout=5s
until_ok 30 kubectl get serviceaccount default
start volumes
touch "$folder/run/ready"
# Takes in what its children leave behind, until it is killed.
while true; do wait -n 2>/dev/null || sleep 1; done
