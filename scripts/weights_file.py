#!/usr/bin/env python3
"""Files in which scripts/compare-nn and tests/nn/bench_nn.c exchange numbers.

usage: weights_file.py FILE       (needs numpy) lists what is in it

Any number of entries, each a line "NAME f4|f8 COUNT" and then COUNT little-endian floats of 4 or 8 bytes.
"""
import sys

import numpy as np


def write(path, arrays):
    with open(path, "wb") as f:
        for name, x in arrays.items():
            x = np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64)
            f.write(f"{name} f{x.itemsize} {x.size}\n".encode())
            f.write(x.astype(x.dtype.newbyteorder("<")).tobytes())


def read(path):
    arrays = {}
    with open(path, "rb") as f:
        while line := f.readline():
            name, kind, count = line.decode().split()
            arrays[name] = np.fromfile(f, "<" + kind, int(count))
    return arrays


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for key, value in read(sys.argv[1]).items():
        print(f"{key:24} {value.size:9} values, mean {value.mean():.6g}, l2 {np.linalg.norm(value):.6g}")
