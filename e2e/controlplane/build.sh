#!/usr/bin/env bash
# Builds what a Kubernetes control plane needs (etcd, kube-apiserver, kube-controller-manager) from Go's module proxy,
# once per machine and version, and prints the folder that holds the executables.
#
#   KUBEBUILDER_ASSETS   a folder that already holds them (setup-envtest's, for example): used as it is
#   XDG_CACHE_HOME       parent of the cache, default ~/.cache
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubernetes=$(sed -n 's/^.*k8s.io\/kubernetes v\([0-9.]*\).*$/\1/p' "$here/kubernetes/go.mod" | head -n 1)
etcd=$(sed -n 's/^.*go.etcd.io\/etcd\/server\/v3 v\([0-9.]*\).*$/\1/p' "$here/etcd/go.mod" | head -n 1)

if [[ -n "${KUBEBUILDER_ASSETS:-}" ]]; then
    for program in etcd kube-apiserver; do
        [[ -x "$KUBEBUILDER_ASSETS/$program" ]] || { echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS holds no executable $program" >&2; exit 1; }
    done
    echo "$KUBEBUILDER_ASSETS"
    exit 0
fi

bin="${XDG_CACHE_HOME:-$HOME/.cache}/nanomon/controlplane/kubernetes-$kubernetes-etcd-$etcd"
mkdir -p "$bin"
# One builder at a time: a second caller waits and then finds the work done. The lock dies with its holder.
exec 9>"$bin/.lock"
flock 9

build() { # name, module folder, import path, linker flags
    local name=$1 module=$2 package=$3 flags=$4
    [[ -x "$bin/$name" ]] && return
    command -v go >/dev/null || { echo "$name is missing in $bin and Go is not installed to build it" >&2; exit 1; }
    echo "building $name (once per machine; minutes for the Kubernetes parts) …" >&2
    # The rename makes an interrupted build invisible.
    (cd "$here/$module" && CGO_ENABLED=0 GOTOOLCHAIN=local go build -mod=readonly -trimpath -ldflags "-s -w $flags" -o "$bin/.$name.partial" "$package") >&2 9>&-
    mv "$bin/.$name.partial" "$bin/$name"
}

# Without its version a Kubernetes server calls itself v0.0.0 and clients switch features off.
version="-X k8s.io/component-base/version.gitVersion=v$kubernetes -X k8s.io/component-base/version.gitMajor=${kubernetes%%.*} -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
build etcd etcd go.etcd.io/etcd/server/v3 ""
build kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver "$version"
build kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager "$version"
echo "$bin"
