#!/usr/bin/env bash
# The scripts parse and can be started, and nothing in the repository names a place that exists on
# one machine only.
set -euo pipefail
cd "$SSFD_SOURCE"
bad=0 n=0
complain() { echo "$*" >&2; bad=1; }

while read -r file; do
    n=$((n + 1))
    case $(head -n 1 "$file") in
    '#!'*bash) bash -n "$file" || complain "$file: does not parse" ;;
    '#!'*python3)
        python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read())' "$file" ||
            complain "$file: does not parse"
        ;;
    *) complain "$file: begins with neither bash nor python3" ;;
    esac
    [ -x "$file" ] || complain "$file: is not executable"
done < <(find scripts .ci tests/meta -type f ! -name '*.build' ! -path '*/__pycache__/*' | sort)

for script in setup build test demo check-fresh-machine; do
    help=$("scripts/$script" --help) || complain "scripts/$script --help fails"
    [[ $help == *"scripts/$script"* ]] || complain "scripts/$script --help does not say how to call it"
    status=0
    "scripts/$script" --no-such-option >/dev/null 2>&1 || status=$?
    [ $status -eq 64 ] || complain "scripts/$script --no-such-option: status $status, not 64"
done

# Home directories, temporary directories with a name, mount points; written so as not to match here.
places='(^|[^A-Za-z0-9_.$}-])/(home/[a-z]|Users/[A-Z]|work/|mnt/[a-z]|tmp/[A-Za-z0-9_-]+/)'
while read -r file; do
    ! grep -nIE "$places" "$file" || complain "$file: names a path of one machine"
done < <(find . \( -name .git -o -name 'build*' -type d -o -name runs -o -name node_modules -o -name demo -type d \) -prune \
    -o -type f ! -path ./tests/meta/scripts.sh ! -path ./LICENSE -print)

echo "$n scripts"
[ $n -gt 0 ] && exit $bad
