#!/usr/bin/env bash
# Fetches the Stanford bunny (npm package 'bunny' 1.0.1, public domain) and writes it as a Wavefront OBJ file.
# usage: fetch_scene.sh [OUT.obj]     default target/scene/bunny.obj
# Exits with 1 and says why when it cannot be had; callers then use a procedural mesh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PACKAGE=bunny@1.0.1
readonly SHA256=4c428649f2cabf3c11a0225f58367c503d181b7e2a59223a610c88a5308412b3 # of index.js
out=${1:-target/scene/bunny.obj}

say() { printf 'scene: %s\n' "$*"; }
fail() { printf 'scene: %s\n' "$*" >&2; exit 1; }

if [ -s "$out" ]; then
    say "$out is there already"
    exit 0
fi
command -v npm >/dev/null 2>&1 || fail "npm was not found, so the mesh cannot be fetched"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 120 npm pack --silent --pack-destination "$work" "$PACKAGE" >/dev/null 2>"$work/log" ||
    fail "npm could not fetch $PACKAGE: $(head -n 1 "$work/log")"
tar -xzf "$work"/bunny-1.0.1.tgz -C "$work" package/index.js || fail "$PACKAGE has no index.js"
printf '%s  %s\n' "$SHA256" "$work/package/index.js" | sha256sum --check --quiet 2>/dev/null ||
    fail "$PACKAGE is not the version this script knows (its SHA-256 differs)"

# Two arrays of triples: positions, then faces that count from 0. Read as text; no code of the package runs.
mkdir -p "$(dirname "$out")"
{
    echo "# Stanford bunny, from the Stanford 3D Scanning Repository; npm package $PACKAGE"
    tr -d ' \n' <"$work/package/index.js" | sed 's/exports\./\n&/g; s/\],\[/]\n[/g' | tr -d '[];' |
        awk -F, '/positions=/ { kind = "v"; sub(/.*=/, "") }
                 /cells=/ { kind = "f"; sub(/.*=/, "") }
                 NF == 3 && kind == "v" { print "v", $1, $2, $3 }
                 NF == 3 && kind == "f" { print "f", $1 + 1, $2 + 1, $3 + 1 }'
} >"$work/mesh.obj"
vertices=$(grep -c '^v ' "$work/mesh.obj")
faces=$(grep -c '^f ' "$work/mesh.obj")
[ "$vertices" = 1839 ] && [ "$faces" = 3674 ] || fail "expected 1839 vertices and 3674 faces, found $vertices and $faces"
mv "$work/mesh.obj" "$out"
say "$out: $vertices vertices, $faces faces"
