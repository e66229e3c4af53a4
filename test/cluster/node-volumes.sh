#!/usr/bin/env bash
# The simplest provisioner: a folder and a PersistentVolume for each claim that waits for the class `folders`.
# fsGroup does not reach host folders, so they belong to the image's user from the start.
set -u
folder=$CLUSTER_FOLDER
export KUBECONFIG=$folder/admin.kubeconfig
template='{{range .items}}{{if and (eq .status.phase "Pending") .spec.storageClassName}}{{.spec.storageClassName}} {{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} {{.spec.resources.requests.storage}}{{"\n"}}{{end}}{{end}}'
while sleep 0.5; do
  kubectl get pvc --all-namespaces -o go-template="$template" 2>/dev/null | while read -r class namespace name uid size; do
    [ "$class" = folders ] && [ ! -e "$folder/volumes/$uid" ] || continue
    mkdir "$folder/volumes/$uid"
    chown 65532:65532 "$folder/volumes/$uid"
    # An answer that did not come is no failure: without its folder the volume could never be mounted.
    kubectl create -f - <<YAML || kubectl get "pv/folder-$uid" || rmdir "$folder/volumes/$uid"
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
