#!/usr/bin/env bash
# Installs what INSTALL names, one requirement a line; nothing where it is empty. `action` is the misalign-eval that this
# action came with, so that a pinned action pins it too; where the action was copied out of it, the published one of the
# same version. What that needs is pinned by constraints.txt. Requirements of the caller are theirs to pin.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
home="$(cd "$here/../../.." && pwd)"
grep -qx 'name = "misalign-eval"' "$home/pyproject.toml" 2> /dev/null || home=misalign-eval==0.1.0
pins=()
if [ "${INSTALL:-}" = action ]; then
  INSTALL="$home"
  pins=(--constraint "$here/constraints.txt")
fi
mapfile -t requirements < <(printf '%s\n' "${INSTALL:-}" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d')
if [ "${#requirements[@]}" -gt 0 ]; then
  python3 -m pip install --quiet --disable-pip-version-check "${pins[@]}" -- "${requirements[@]}"
fi
misalign-eval --version
