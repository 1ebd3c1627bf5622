#!/bin/sh
# Make the secrets that compose.yaml reads, once: deploy/secrets.sh [DIRECTORY]
#
# Only you can enter the directory. The files in it are readable, because compose mounts each
# as it is into containers whose users are not you.
set -eu

directory=${1:-$(dirname "$0")/secrets}
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
put() { cat > "$directory/$1" && chmod 444 "$directory/$1"; }

mkdir -m 700 "$directory"
password=$(random 24)
printf %s "$password" | put postgres-password
printf 'postgresql://queryrun:%s@postgres:5432/queryrun' "$password" | put database-url
random 32 | put link-key
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
  "$(random 10)" "$(random 20)" | put s3-keys
