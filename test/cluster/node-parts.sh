# Programs of the node, sourced by node-init.sh and node.sh: start NAME, stop NAME [SIGNAL]. Runs inside the node.
folder=$CLUSTER_FOLDER
export PATH=$CLUSTER_PROGRAMS:$PATH
node=10.231.0.2 services=10.233.0.0/16 pods=10.232.0.0/16
pki=$folder/pki socket=$folder/run/containerd.sock

run() { # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" </dev/null >>"$folder/log/$name.log" 2>&1 &
  echo $! >"$folder/run/$name.pid"
}

start() {
  case $1 in
  etcd)
    run etcd etcd --data-dir "$folder/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
      --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level=warn
    ;;
  apiserver)
    run apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address=$node \
      --cert-dir="$folder/run" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
      --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
      --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=$services \
      --authorization-mode=Node,RBAC --kubelet-client-certificate="$pki/apikubelet.crt" --kubelet-client-key="$pki/apikubelet.key" \
      --kubelet-preferred-address-types=InternalIP --endpoint-reconciler-type=lease --allow-privileged --profiling=false
    ;;
  controllers)
    run controllers kube-controller-manager --kubeconfig="$folder/controllers.kubeconfig" --leader-elect=false --secure-port=0 \
      --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials \
      --allocate-node-cidrs --cluster-cidr=$pods --service-cluster-ip-range=$services
    ;;
  scheduler)
    # A pod whose claim is bound while it is looked at may be passed over (kubernetes/kubernetes#93552): it is looked at again in
    # half a minute, not in five.
    run scheduler kube-scheduler --kubeconfig="$folder/scheduler.kubeconfig" --leader-elect=false --secure-port=0 \
      --pod-max-in-unschedulable-pods-duration=5s
    ;;
  containerd) run containerd containerd -c "$folder/containerd.toml" ;;
  kubelet)
    run kubelet kubelet --config="$folder/kubelet.yaml" --kubeconfig="$folder/kubelet.kubeconfig" --root-dir="$folder/kubelet" \
      --node-ip=$node --hostname-override=node-1
    ;;
  proxy)
    # Limits of connection tracking belong to the host.
    run proxy kube-proxy --kubeconfig="$folder/proxy.kubeconfig" --proxy-mode=nftables --cluster-cidr=$pods --hostname-override=node-1 \
      --oom-score-adj=0 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
    ;;
  dns) run dns coredns -conf "$folder/Corefile" ;;
  volumes) run volumes "$(dirname "${BASH_SOURCE[0]}")/node-volumes.sh" ;;
  *)
    echo "There is no program $1 of the node" >&2
    return 2
    ;;
  esac
}

stop() { # returns when it has ended
  local pid
  pid=$(cat "$folder/run/$1.pid")
  kill -"${2:-TERM}" "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

ctl() { ctr -a "$socket" -n k8s.io "$@"; }
