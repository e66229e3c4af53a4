#!/usr/bin/env bash
# Builds kube-apiserver and etcd from Go modules: build-kube.sh KUBE_VERSION ETCD_VERSION FOLDER. Once a machine, about
# 6 minutes on 2 cores; nothing to do when they are there. Each program appears whole or not at all.
set -euo pipefail
kube=$1 etcd=$2 folder=$3
mkdir -p "$folder"
# A second one waits for the first. Without flock both build, which is only a waste.
if command -v flock >/dev/null; then
  exec 9>"$folder/.lock"
  flock 9
fi
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off

build() { # NAME PACKAGE LDFLAGS, in the module of the current folder
  echo "test/api: building $1 from Go modules, once for this machine"
  local begun=$SECONDS
  go build -trimpath -ldflags "-s -w $3" -o "$source/$1" "$2"
  # Another disk may hold the temporary folder, so move it in two steps.
  cp "$source/$1" "$folder/.$1.new"
  mv "$folder/.$1.new" "$folder/$1"
  echo "test/api: $1 built in $((SECONDS - begun)) s"
}

if [ ! -x "$folder/etcd" ]; then
  mkdir "$source/etcd-module"
  cd "$source/etcd-module"
  printf 'module etcdtool\n\ngo 1.24.0\n' >go.mod
  printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >main.go
  go get "go.etcd.io/etcd/server/v3@v$etcd" 2>&1 | grep -v '^go: \(downloading\|added\|upgraded\)' || true
  go mod tidy 2>&1 | grep -v '^go: \(downloading\|finding\|found\)' || true
  build etcd . ""
fi

if [ ! -x "$folder/kube-apiserver" ]; then
  mkdir "$source/kube-module"
  cd "$source/kube-module"
  # k8s.io/kubernetes replaces its staging modules by folders of its own tree; from outside each needs its published
  # version, which is that of the release with 0 for 1.
  go_mod=$(go mod download -json "k8s.io/kubernetes@v$kube" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  staging=$(sed -n 's#^\(replace \|\t\)\{0,1\}\(k8s.io/[a-z0-9-]*\) => ./staging.*#\2#p' "$go_mod")
  {
    printf 'module kubetool\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$kube"
    for module in $staging; do printf '\t%s => %s v0.%s\n' "$module" "$module" "${kube#1.}"; done
    printf ')\n'
  } >go.mod
  version=k8s.io/component-base/version
  build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "-X $version.gitVersion=v$kube -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kube")"
fi
