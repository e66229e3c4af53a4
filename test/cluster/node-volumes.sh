#!/usr/bin/env bash
# The simplest provisioner: a folder and a PersistentVolume for each claim that waits for the class `folders`.
# fsGroup does not reach host folders, so they belong to the image's user from the start.
set -u
folder=$CLUSTER_FOLDER
export KUBECONFIG=$folder/admin.kubeconfig
template='{{range .items}}{{if and (eq .status.phase "Pending") .spec.storageClassName}}{{.spec.storageClassName}} {{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} {{.spec.resources.requests.storage}}{{"\n"}}{{end}}{{end}}'
while sleep 0.5; do
  kubectl get pvc --request-timeout=10s --all-namespaces -o go-template="$template" 2>/dev/null | while read -r class namespace name uid size; do
    [ "$class" = folders ] || continue
    mkdir -p "$folder/volumes/$uid"
    chown 65532:65532 "$folder/volumes/$uid"
    # Until the claim is bound: an answer that did not come says nothing.
    kubectl create --request-timeout=10s -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: folder-$uid}
spec:
  capacity: {storage: $size}
  accessModes: [ReadWriteOnce]
  storageClassName: folders
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: $namespace, name: $name, uid: $uid}
  hostPath: {path: $folder/volumes/$uid, type: Directory}
YAML
  done
done
