#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Units: what systemd/ installs is understood by systemd, and the service stays as confined as it was.
# shellcheck disable=SC2317 # the functions are called by name
set -u
source_root=${MMGC_SOURCE_ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
exposure_limit=10               # systemd-analyze security, of 100; each option given up adds 1 to 8
serve_exposure_limit=12         # it is reached by TCP

if ! command -v systemd-analyze >/dev/null; then
    echo '1..0 # SKIP systemd-analyze is not installed'
    exit 0
fi

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# A unit is verified where its program exists: any program will do.
sed -e 's,@bindir@/mmgcd,/bin/true,' -e 's,@sysconfdir@,/etc,' \
    "$source_root/systemd/mmgcd.service" >"$dir/mmgcd.service"
sed -e 's,@bindir@/mmgcctl,/bin/true,' "$source_root/systemd/mmgcd-serve.service" >"$dir/mmgcd-serve.service"
cp "$source_root/systemd/mmgcd.socket" "$source_root/systemd/mmgcd.sysusers" "$dir"

number=0
failed=0

# check WHAT COMMAND...: one TAP line; it holds if COMMAND succeeds and prints nothing.
check() {
    what=$1
    shift
    number=$((number + 1))
    if "$@" >"$dir/log" 2>&1 && [ ! -s "$dir/log" ]; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        sed 's/^/# /' "$dir/log"
        failed=1
    fi
}

confined_well() {
    systemd-analyze security --offline=true --no-pager --threshold="$2" \
        "$dir/$1" >"$dir/table" 2>&1 || { cat "$dir/table"; return 1; }
}

user_is_declared() {
    systemd-sysusers --dry-run "$dir/mmgcd.sysusers" >"$dir/plan" 2>&1 || { cat "$dir/plan"; return 1; }
}

every_option_has_a_reason() {
    # An option is explained above its paragraph of options: no paragraph without a comment.
    awk '/^\[Service\]/ { on = 1; next } /^\[/ { on = 0 }
         /^$/ { why = 0 } /^#/ { why = 1 }
         on && /=/ && !why { print FILENAME ": " $0; bad = 1 }
         END { exit bad }' "$1"
}

# What the example calls a default is one, and no key in it is unknown.
example_is_accepted() {
    mmgcd=${MMGC_BUILD_ROOT:-$source_root/build}/daemon/mmgcd
    sed 's/^;\([a-z_]* = \)/\1/' "$source_root/systemd/mmgcd.conf" >"$dir/mmgcd.conf"
    "$mmgcd" --check-config --config "$dir/mmgcd.conf" >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
}

echo 1..9
check 'mmgcd.service is valid' systemd-analyze verify --man=no "$dir/mmgcd.service"
check 'mmgcd.socket is valid' systemd-analyze verify --man=no "$dir/mmgcd.socket"
check "the service's exposure is at most $exposure_limit of 100" confined_well mmgcd.service "$exposure_limit"
check 'the user mmgcd is declared' user_is_declared
check 'every option says why' every_option_has_a_reason "$dir/mmgcd.service"
check 'mmgcd-serve.service is valid' systemd-analyze verify --man=no "$dir/mmgcd-serve.service"
check "the exposure of what speaks HTTP is at most $serve_exposure_limit of 100" confined_well mmgcd-serve.service "$serve_exposure_limit"
check 'and every option of it says why' every_option_has_a_reason "$dir/mmgcd-serve.service"
check 'the example configuration is accepted with every default spelled out' example_is_accepted
exit "$failed"
