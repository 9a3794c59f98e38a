#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Foreign: what clients can write is never dereferenced by accident (soundness S13). clang knows: with MM_CHECK_FOREIGN the
# type of such memory carries noderef, and reading it other than through shm/foreign.h, or of its records a field by one explicit
# atomic access to its address, is an error. So is an atomic access that does not name its order.
set -u
root=${MMGC_SOURCE_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}

if ! command -v clang >/dev/null; then
    echo '1..0 # SKIP clang is not installed'
    exit 0
fi
build=${MMGC_BUILD_ROOT:-$root/build}
check()
{
    clang -std=gnu17 -D_GNU_SOURCE -DMM_CHECK_FOREIGN -DMM_VERSION='"0"' -I"$root" -I"$build" -fsyntax-only -Werror=noderef \
        -Werror=atomic-implicit-seq-cst "$@"
}

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
is_noticed()
{
    if check "$dir/bad.c" 2>/dev/null; then result 'not ok' "$1 is noticed"; else result ok "$1 is noticed"; fi
}
is_noticed 'a dereference'
printf '#include "shm/session.h"\nint f(struct shm_session MM_NODEREF *p); int f(struct shm_session MM_NODEREF *p) { return (int)p->version; }\n' >"$dir/bad.c"
is_noticed 'a field read as if it were our own'
printf '#include "shm/session.h"\nint f(struct shm_session *p); int f(struct shm_session *p) { return (int)p->go; }\n' >"$dir/bad.c"
is_noticed 'an atomic access without an order'

for file in "$root"/plans/*.c "$root"/plans/*/*.c "$root"/daemon/*.c; do
    if check "$file" >"$dir/log" 2>&1; then
        result ok "${file#"$root"/}"
    else
        result 'not ok' "${file#"$root"/}"
        sed 's/^/# /' "$dir/log"
    fi
done
echo "1..$number"
exit "$failed"
