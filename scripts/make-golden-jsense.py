#!/usr/bin/env python3
"""Writes tests/data/golden/jsense.h5: a small simulated multi-coil k-space and the magnitude of the
coil-combined image with sensitivities from sigpy's JsenseRecon, for several parameters.

Needs numpy, h5py and sigpy. usage: scripts/make-golden-jsense.py
"""
import pathlib

import h5py
import numpy as np
import sigpy as sp
import sigpy.mri as mr

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/golden/jsense.h5"
H, W, COILS = 48, 40, 8
CASES = [  # kernel, calibration side, iterations, inner iterations, lambda
    (8, 24, 10, 10, 0.0),
    (5, 13, 4, 6, 1e-3),
    (8, 40, 3, 10, 0.0),
    (6, 19, 10, 10, 0.0),
]


def simulate(rng):
    y, x = np.mgrid[-1 : 1 : H * 1j, -1 : 1 : W * 1j]
    disc = lambda cy, cx, ry, rx: ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    image = 1.0 * disc(0, 0, 0.8, 0.7) + 0.5 * disc(0.2, -0.2, 0.3, 0.2) - 0.6 * disc(-0.3, 0.2, 0.2, 0.25)
    image = image * np.exp(1j * (0.7 * x - 0.4 * y * x))
    k = sp.fft(mr.birdcage_maps((COILS, H, W)) * image, axes=(-2, -1))
    noise = rng.normal(size=k.shape) + 1j * rng.normal(size=k.shape)
    k = k + 0.01 * noise
    return k.astype("c8")


def main():
    k = simulate(np.random.default_rng(3))
    images = sp.ifft(k, axes=(-2, -1))
    with h5py.File(OUT, "w") as f:
        f["kspace"] = k
        for i, (kernel, calib, iterations, inner, lamda) in enumerate(CASES):
            # In double precision, and without missing samples: in complex64 sigpy's conjugate gradients
            # go on past convergence and may amplify rounding errors to infinity.
            maps = mr.app.JsenseRecon(k.astype("c16"), mps_ker_width=kernel, ksp_calib_width=calib, max_iter=iterations,
                                      max_inner_iter=inner, lamda=lamda, show_pbar=False).run()
            assert np.isfinite(maps).all()
            f[f"magnitude{i}"] = np.abs(np.sum(maps.conj() * images, 0)).astype("f4")


if __name__ == "__main__":
    main()
