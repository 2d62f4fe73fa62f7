#!/usr/bin/env bash
# Every source and every test is in the file list of its folder: one that is forgotten there would
# be built and run by nobody.
set -euo pipefail
cd "$SSFD_SOURCE"
bad=0 n=0
while read -r file; do
    n=$((n + 1))
    name=$(basename "$file" .c)
    list=$(dirname "$file")/meson.build
    if ! grep -qE "'($name\.c|${name#test_})'" "$list"; then
        echo "$file is not in $list" >&2
        bad=1
    fi
done < <(find src tests -name '*.c' | sort)
echo "$n sources"
[ $n -gt 0 ] && exit $bad
