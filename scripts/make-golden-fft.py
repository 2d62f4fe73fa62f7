#!/usr/bin/env python3
"""Writes tests/data/golden/fft.h5: numpy's centred orthonormal transforms of a few small arrays.

Needs numpy and h5py. usage: scripts/make-golden-fft.py
"""
import pathlib

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/golden/fft.h5"


def centred(transform, x):
    return np.fft.fftshift(transform(np.fft.ifftshift(x), norm="ortho"))


def main():
    rng = np.random.default_rng(2)
    with h5py.File(OUT, "w") as f:
        for h, w in ((4, 6), (5, 4), (7, 9)):
            x = (rng.normal(size=(h, w)) + 1j * rng.normal(size=(h, w))).astype("c8")
            f[f"{h}x{w}/x"] = x
            f[f"{h}x{w}/forward"] = centred(np.fft.fft2, x).astype("c8")
            f[f"{h}x{w}/inverse"] = centred(np.fft.ifft2, x).astype("c8")


if __name__ == "__main__":
    main()
