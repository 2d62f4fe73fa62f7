#!/usr/bin/env bash
# headers.sh COMPILER [FLAG...]: every header of src compiles alone, twice in one file, and warns of
# nothing.
set -euo pipefail
cd "$SSFD_SOURCE"
bad=0 n=0
while read -r header; do
    n=$((n + 1))
    # The last line keeps the file from being empty where a header only defines macros.
    if ! printf '#include "%s"\n#include "%s"\ntypedef int not_empty;\n' "$header" "$header" |
        "$@" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wstrict-prototypes -Wno-unknown-pragmas -Wno-psabi \
            -Werror -Isrc -fsyntax-only -x c -; then
        echo "src/$header does not compile alone" >&2
        bad=1
    fi
done < <(cd src && find . -name '*.h' | sed 's,^\./,,' | sort)
echo "$n headers"
[ $n -gt 0 ] && exit $bad
