#!/usr/bin/env python3
"""Writes tests/data/golden/masks.txt: the fastmri package's own masks, seeded by file name.

    python3 -m venv venv && venv/bin/pip install numpy torch && venv/bin/pip install --no-deps fastmri
    venv/bin/python scripts/make-golden-mask.py

A line a mask: type, file name, columns, accelerations, center fractions, kept columns as hexadecimal digits,
four columns a digit, the first column the highest bit.
"""
import importlib.util
import pathlib

import numpy as np

# Only this file of the package: the whole of it needs a training framework.
package = importlib.util.find_spec("fastmri").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("subsample", pathlib.Path(package) / "data" / "subsample.py")
subsample = importlib.util.module_from_spec(spec)
spec.loader.exec_module(subsample)

TYPES = ["random", "equispaced", "equispaced_fraction", "magic", "magic_fraction"]
FILES = ["file1000000.h5", "file1002570.h5", "file_brain_AXT2_200_2000019.h5", "a.h5"]
PAIRS = [([4], [0.08]), ([8], [0.04]), ([4, 8], [0.08, 0.04]), ([5], [0.06])]
COLUMNS = [320, 322, 338, 368, 372, 213]


def digits(mask):
    bits = np.concatenate([mask, np.zeros(-len(mask) % 4)]).astype(int)
    return "".join("%x" % int("".join(map(str, bits[i:i + 4])), 2) for i in range(0, len(bits), 4))


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "golden" / "masks.txt"
    lines = []
    for kind in TYPES:
        for number, name in enumerate(FILES):
            for accelerations, fractions in PAIRS:
                for columns in COLUMNS:
                    make = subsample.create_mask_for_mask_type(kind, fractions, accelerations)
                    mask, _ = make((1, columns, 2), seed=tuple(map(ord, name)))
                    join = lambda x: ",".join(map(str, x))
                    lines.append(" ".join([kind, name, str(columns), join(accelerations), join(fractions),
                                           digits(mask.numpy().ravel())]))
    out.write_text("\n".join(lines) + "\n")
    print(len(lines), "masks in", out.name)


if __name__ == "__main__":
    main()
