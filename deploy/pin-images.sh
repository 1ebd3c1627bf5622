#!/bin/sh
# Name every image of compose.yaml and of the Dockerfile by its digest, so that a registry that is
# taken over cannot change what runs: deploy/pin-images.sh, then commit. Needs docker with buildx.
set -eu

directory=$(dirname "$0")
digest() { docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'; }
pin() { # FILE IMAGE
  found=$(digest "$2") && sed -i "s|$2\(@sha256:[0-9a-f]*\)\{0,1\}|$2@$found|g" "$1" && echo "$2@$found"
}

for image in $(sed -n 's/^ *image: \([^ @]*\).*/\1/p' "$directory/compose.yaml" | grep -v '^queryrun:'); do
  pin "$directory/compose.yaml" "$image"
done
for image in $(sed -n 's/^FROM \([^ @]*\).*/\1/p' "$directory/Dockerfile" | sort -u); do
  pin "$directory/Dockerfile" "$image"
done
