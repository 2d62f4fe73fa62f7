#!/usr/bin/env bash
# configs.sh COMMAND...: every configuration the repository ships is valid for one of the commands
# that take one, and for `prepare`, which looks at their data only.
set -euo pipefail
bad=0 n=0 commands=()
prepare=
for command in "$@"; do
    usage=$("$command" --help)
    if [ "${command##*/}" = prepare ]; then
        prepare=$command
    elif [[ $usage == *CONFIG.yaml* ]]; then
        commands+=("$command")
    fi
done
while read -r config; do
    n=$((n + 1))
    accepted=0
    for command in "${commands[@]}"; do
        ! "$command" "$config" --check --quiet >/dev/null 2>&1 || accepted=1
    done
    if ! "$prepare" "$config" --check >/dev/null; then
        echo "$config: prepare does not accept it" >&2
        bad=1
    fi
    if [ $accepted = 0 ]; then
        echo "$config: no command accepts it" >&2
        for command in "${commands[@]}"; do "$command" "$config" --check --quiet >/dev/null || true; done
        bad=1
    fi
done < <(find "$SSFD_SOURCE/configs" -name '*.yaml' | sort)
echo "$n configurations, ${#commands[@]} commands"
[ $n -gt 0 ] && exit $bad
