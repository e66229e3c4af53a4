#!/usr/bin/env bash
# Does something inside of the node of a running cluster, for tests and for a look around: node.sh FOLDER ...
#   start NAME | stop NAME [SIGNAL]   a program: etcd apiserver controllers scheduler containerd kubelet proxy dns volumes
#   load ARCHIVE                      images of a docker-archive, for pods
#   run COMMAND...                    anything
set -euo pipefail
folder=$1 verb=$2
shift 2
inner=$(pgrep -P "$(cat "$folder/run/outer.pid")")
export CLUSTER_FOLDER=$folder CLUSTER_PROGRAMS
CLUSTER_PROGRAMS=$(tr '\0' '\n' <"/proc/$inner/environ" | sed -n 's/^CLUSTER_PROGRAMS=//p')
parts=$(cd "$(dirname "$0")" && pwd)/node-parts.sh
# Its words reach the shell as arguments, so no quoting is lost.
exec nsenter --target "$inner" --net --mount --pid bash -c '
  . "$1"; verb=$2; shift 2
  case $verb in
    start | stop) $verb "$@" ;;
    load) ctl images import "$1" ;;
    run) "$@" ;;
    *) echo "There is no $verb" >&2; exit 2 ;;
  esac' bash "$parts" "$verb" "$@"
