#!/usr/bin/env bash
# Starts a Kubernetes cluster of one node: up.sh FOLDER [PROGRAMS...], where PROGRAMS are folders with the binaries.
# The node is a network, mount and process namespace of its own (`kind` without Docker), so nothing of it is seen on the
# host but a bridge, and all of it ends with its first process. FOLDER holds its state; down.sh FOLDER ends it.
# One a machine at a time. Needs root and the Debian packages of test/cluster/parts.ts.
#
#   host 10.231.0.1 --- bridge postroom0 --- node 10.231.0.2 (API server :6443, node ports, pods 10.232/16, services 10.233/16)
#                                       \-- client 10.231.0.3: network namespace postroom-client, for a client's own address
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
shift
programs=$(IFS=:; echo "$*")
host=10.231.0.1 node=10.231.0.2 client=10.231.0.3
if [ -n "$(ip netns pids postroom-node 2>/dev/null)" ]; then
  echo "A cluster runs already on this machine: end it with down.sh" >&2
  exit 1
fi
mkdir -p "$folder"/{pki,log,run,etcd,kubelet,containerd,cni,zones,volumes}
# A run that was killed may have left them.
"$here/down.sh" "$folder" keep

cd "$folder/pki"
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -days 30 -subj /CN=test -out ca.crt
leaf() { # NAME SUBJECT [SAN]
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(echo "subjectAltName=${3:-DNS:none}"; echo "extendedKeyUsage=serverAuth,clientAuth") 2>/dev/null
}
kubeconfig() { # NAME
  cat >"$folder/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://$node:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
YAML
}
leaf apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.233.0.1,IP:$node"
leaf admin /O=system:masters/CN=admin
leaf controllers /CN=system:kube-controller-manager
leaf scheduler /CN=system:kube-scheduler
leaf kubelet /O=system:nodes/CN=system:node:node-1 "DNS:node-1,IP:$node"
leaf proxy /CN=system:kube-proxy
# For logs, exec and the pod proxy.
leaf apikubelet /O=system:masters/CN=kube-apiserver-kubelet-client
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
for one in admin controllers scheduler kubelet proxy; do kubeconfig $one; done

# What the kubelet sets for the whole machine; down.sh gives it back.
for one in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  echo "$one $(cat /proc/sys/$one)"
done >"$folder/sysctls"

ip link add postroom0 type bridge
ip addr add $host/24 dev postroom0
ip link set postroom0 up
join() { # NAMESPACE ADDRESS
  ip netns add "$1"
  ip link add "$1" type veth peer name eth0 netns "$1"
  ip link set "$1" master postroom0 up
  ip -n "$1" link set lo up
  ip -n "$1" link set eth0 up
  ip -n "$1" addr add "$2/24" dev eth0
}
join postroom-node $node
join postroom-client $client
ip -n postroom-node route add default via $host
ip route add 10.232.0.0/16 via $node
ip -n postroom-client route add 10.232.0.0/16 via $node

for one in /sys/fs/cgroup /sys/fs/cgroup/*/; do
  [ -e "$one/cgroup.procs" ] && mkdir -p "$one/postroom-test"
done
export CLUSTER_FOLDER=$folder CLUSTER_PROGRAMS=$programs
# Not `ip netns exec`: it mounts a new /sys, without the cgroups.
setsid nsenter --net=/run/netns/postroom-node \
  unshare --mount --pid --fork --kill-child=KILL --mount-proc "$here/node-init.sh" >"$folder/log/init.log" 2>&1 9>&- &
echo $! >"$folder/run/outer.pid"
for _ in $(seq 600); do
  [ -e "$folder/run/ready" ] && exit 0
  kill -0 "$(cat "$folder/run/outer.pid")" 2>/dev/null || break
  sleep 0.2
done
echo "The cluster does not start:" >&2
tail -n 5 "$folder"/log/*.log >&2
"$here/down.sh" "$folder"
exit 1
