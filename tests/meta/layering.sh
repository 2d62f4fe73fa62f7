#!/usr/bin/env bash
# Who may include whom: the arrows of docs/architecture.md, and each third-party header in the one
# file that knows it.
set -euo pipefail
cd "$SSFD_SOURCE/src"
bad=0
complain() { echo "$*" >&2; bad=1; }

# room: the rooms whose headers its files may include
check_room() {
    local room=$1 allowed=$2 file header
    [ -d "$room" ] || complain "there is no src/$room"
    while IFS=: read -r file header; do
        case " $allowed " in
        *" ${header%%/*} "*) ;;
        *) complain "src/$file includes \"$header\": $room may include only $allowed" ;;
        esac
        [ -f "$header" ] || complain "src/$file includes \"$header\", written otherwise than ROOM/NAME.h"
    done < <(grep -rHoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' --include='*.[ch]' "$room" |
        sed -E 's/:[^"]*"([^"]+)"/:\1/')
}
check_room base 'base'
check_room nn 'nn base'
check_room data 'data base'
check_room train 'train nn data base'
check_room eval 'eval nn data base'

# header: the only files that may include it
check_header() {
    local header=$1 files=$2 file found=0
    while read -r file; do
        found=1
        case " $files " in
        *" $file "*) ;;
        *) complain "src/$file includes <$header>: only $files may" ;;
        esac
    done < <(grep -rlE "#[[:space:]]*include[[:space:]]+[<\"]$header" --include='*.[ch]' .  | sed 's,^\./,,')
    [ $found = 1 ] || complain "nobody includes <$header>: is its rule in tests/meta/layering.sh out of date?"
}
check_header 'hdf5' 'base/h5.c base/h5_data.c base/h5_attr.c base/h5_records.c'
check_header 'xxhash\.h' 'base/hash.c'
check_header 'yaml\.h' 'base/yaml.c'
check_header 'png\.h>' 'base/png.c'
check_header 'omp\.h' 'base/par.c'
check_header 'Random123/' 'base/rng.c'
check_header '(oneapi/dnnl/)?dnnl' 'nn/dn.c'
check_header 'fftw3' 'data/fft.c data/fft_line.c'
check_header 'expat' 'data/mrd_header.c'
check_header 'nifti' 'data/anatomy.c'

exit $bad
