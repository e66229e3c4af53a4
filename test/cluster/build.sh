#!/usr/bin/env bash
# Builds from Go modules what a node needs beside the API server and etcd: build.sh KUBE_VERSION FOLDER PROGRAM...
# Programs: kube-controller-manager kube-scheduler kube-proxy kubelet helm coredns pause. Cold about 9 minutes on 2 cores,
# once a machine. Each appears whole or not at all; one that is there is left alone.
set -euo pipefail
kube=$1 folder=$2
shift 2
coredns=1.13.1 helm=4.3.1
mkdir -p "$folder"
# A second one waits for the first.
exec 9>"$folder/.lock"
flock 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod GOWORK=off

quiet() { grep -v '^go: \(downloading\|added\|upgraded\|finding\|found\)' || true; }

compile() { # NAME PACKAGE LDFLAGS CGO, in the module of the current folder
  echo "test/cluster: building $1 from Go modules, once for this machine"
  local begun=$SECONDS
  CGO_ENABLED=$4 go build -trimpath -ldflags "-s -w $3" -o "$work/$1" "$2"
  # Another disk may hold the temporary folder, so move it in two steps.
  cp "$work/$1" "$folder/.$1.new"
  mv "$folder/.$1.new" "$folder/$1"
  echo "test/cluster: $1 built in $((SECONDS - begun)) s"
}

module() { # NAME: makes it and goes there
  mkdir -p "$work/module-$1"
  cd "$work/module-$1"
  printf 'module %s\n\ngo 1.24.0\n' "$1" >go.mod
}

of_kubernetes() { # PROGRAM
  module kubetool
  # k8s.io/kubernetes replaces its staging modules by folders of its own tree; from outside each needs its published
  # version, which is that of the release with 0 for 1.
  local go_mod staging
  go_mod=$(go mod download -json "k8s.io/kubernetes@v$kube" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  staging=$(sed -n 's#^\(replace \|\t\)\{0,1\}\(k8s.io/[a-z0-9-]*\) => ./staging.*#\2#p' "$go_mod")
  {
    printf '\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$kube"
    for one in $staging; do printf '\t%s => %s v0.%s\n' "$one" "$one" "${kube#1.}"; done
    printf ')\n'
  } >>go.mod
  local version=k8s.io/component-base/version cgo=0
  [ "$1" = kubelet ] && cgo=1
  compile "$1" "k8s.io/kubernetes/cmd/$1" "-X $version.gitVersion=v$kube -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kube")" $cgo
}

of_helm() {
  module helmtool
  go get "helm.sh/helm/v4/cmd/helm@v$helm" 2>&1 | quiet
  compile helm helm.sh/helm/v4/cmd/helm "" 0
}

# Only the plugins that a mail test needs: the cluster's names, zones from files, and to see what is wrong.
of_coredns() {
  module dnstool
  {
    printf 'package main\n\nimport (\n'
    for plugin in auto cache errors file health kubernetes log loadbalance loop ready reload template; do
      printf '\t_ "github.com/coredns/coredns/plugin/%s"\n' $plugin
    done
    printf '\t"github.com/coredns/coredns/coremain"\n)\n\nfunc main() { coremain.Run() }\n'
  } >main.go
  go get "github.com/coredns/coredns@v$coredns" 2>&1 | quiet
  go mod tidy 2>&1 | quiet
  compile coredns . "" 0
}

# Holds the namespaces of a pod; the kubelet's own comes from a registry.
of_pause() {
  module pausetool
  cat >main.go <<'GO'
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	signal.Ignore(syscall.SIGCHLD)
	<-end
}
GO
  compile pause . "" 0
}

for program in "$@"; do
  [ -x "$folder/$program" ] && continue
  case $program in
  helm) of_helm ;;
  coredns) of_coredns ;;
  pause) of_pause ;;
  *) of_kubernetes "$program" ;;
  esac
done
