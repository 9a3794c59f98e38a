#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Foreign: what clients can write is never dereferenced by accident (soundness S13). clang knows: with MM_CHECK_FOREIGN the
# type of such memory carries noderef, and reading it other than through shm/foreign.h is an error.
set -u
root=${MMGC_SOURCE_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}

if ! command -v clang >/dev/null; then
    echo '1..0 # SKIP clang is not installed'
    exit 0
fi
check() { clang -std=gnu17 -D_GNU_SOURCE -DMM_CHECK_FOREIGN -I"$root" -fsyntax-only -Werror=noderef "$@"; }

number=0
failed=0
result() {
    number=$((number + 1))
    echo "$1 $number - $2"
    [ "$1" = ok ] || failed=1
}

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf '#include "shm/foreign.h"\nchar f(foreign p); char f(foreign p) { return *(const MM_NODEREF char *)p; }\n' >"$dir/bad.c"
if check "$dir/bad.c" 2>/dev/null; then result 'not ok' 'a dereference is noticed'; else result ok 'a dereference is noticed'; fi

for file in "$root"/plans/*.c "$root"/plans/*/*.c; do
    if check "$file" >"$dir/log" 2>&1; then
        result ok "${file#"$root"/}"
    else
        result 'not ok' "${file#"$root"/}"
        sed 's/^/# /' "$dir/log"
    fi
done
echo "1..$number"
exit "$failed"
