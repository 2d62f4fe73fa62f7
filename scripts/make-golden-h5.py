#!/usr/bin/env python3
"""Writes tests/base/golden/foreign.h5: element types that other programs store and this one never does.

Needs numpy and h5py. usage: scripts/make-golden-h5.py
"""
import pathlib

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/base/golden/foreign.h5"


def main():
    z = np.array([1 + 2j, 0, 3 - 0.25j])
    with h5py.File(OUT, "w") as f:
        f["bool"] = np.array([True, False, True])
        f["big_endian"] = np.array([1.5, 0, -2], ">f8")
        f.create_dataset("compressed", data=np.array([7, 8, 9], "u2"), compression="gzip")
        f["complex128"] = z
        for name, keys in (("real_imag", ("real", "imag")), ("compound_xy", ("x", "y"))):
            pair = np.zeros(3, [(k, "f4") for k in keys])
            pair[keys[0]], pair[keys[1]] = z.real, z.imag
            f[name] = pair
        f["fixed"] = np.bytes_("<xml/>")
        f.create_dataset("fixed_padded", data=np.array(b"<xml/>", "S40"))
        f.create_dataset("variable", data="<xml/>", dtype=h5py.string_dtype())
        f.create_dataset("one_element", data=["<xml/>"], dtype=h5py.string_dtype())
        f.create_dataset("two_texts", data=["a", "b"], dtype=h5py.string_dtype())
        f["deep"] = np.zeros((1,) * 7, "f4")
        f.attrs["bytes"] = np.bytes_("CORPD_FBK")
        f.attrs["flag"] = True
        f.attrs["small"] = np.float16(0.5)


if __name__ == "__main__":
    main()
