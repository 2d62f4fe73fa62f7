#!/usr/bin/env python3
"""Writes tests/eval/golden/{metrics,perturb}.txt: what scikit-image, piq, scipy and numpy say of images
that the tests make again from the same closed form. Needs what metric_peers.py needs from the caller's Python
environment; the tests themselves read the text only.

    scripts/make-golden-eval.py [FOLDER]      default: tests/eval/golden of this repository
"""
import pathlib
import sys

import numpy as np
import scipy
import scipy.ndimage as ndi
import skimage
from skimage import metrics

from foreign import piq
import metric_peers as peers

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else (
    pathlib.Path(__file__).resolve().parent.parent / "tests" / "eval" / "golden")


def reference(h, w, offset):
    """A tent with texture, all values multiples of 1/256: exact in float32."""
    i, j = np.mgrid[0:h, 0:w].astype(np.int64)
    tent = np.minimum(i, h - 1 - i) + np.minimum(j, w - 1 - j)
    texture = (7 * i * i + 11 * j * j + 13 * i * j + 17 * i + 19 * j) % 64
    return (8 * tent + texture) / 256 - offset


def image(h, w, offset):
    i, j = np.mgrid[0:h, 0:w].astype(np.int64)
    return reference(h, w, offset) + ((5 * i * i + 3 * j * j + 29 * i * j + i) % 33 - 16) / 256


def metric_lines():
    """The image is cut off at the extremes of the reference: piq refuses what is outside its data range."""
    peer = {"ssim-wang": peers.ssim_wang, "ssim-fastmri": fastmri, "psnr": peers.psnr, "nrmse": peers.nrmse, "hfen": peers.hfen,
            "hfen-zero": lambda a, b, d: peers.hfen(a, b, d, "constant"), "gmsd": peers.piq_peer(piq.gmsd), "nqm": peers.nqm}
    larger = {"haarpsi": (16, peers.piq_peer(piq.haarpsi)), "vif": (41, peers.piq_peer(piq.vif_p)),
              "msssim": (161, peers.piq_peer(piq.multi_scale_ssim))}
    for h, w in [(11, 11), (12, 17), (33, 40), (64, 47), (177, 162)]:
        for offset in [-0.5, 0.5]:
            a = reference(h, w, offset)
            assert (a.min() < 0) == (offset > 0)
            low = a.min() if offset > 0 else 0.0
            b = np.clip(image(h, w, offset), low, a.max())
            data = {"low": low, "width": a.max() - low}
            for name, function in peer.items():
                yield name, h, w, offset, function(a, b, data)
            for name, (smallest, function) in larger.items():
                if min(h, w) >= smallest:
                    yield name, h, w, offset, function(a, b, data)


def fastmri(a, b, data):
    return metrics.structural_similarity(a - data["low"], b - data["low"], win_size=7, use_sample_covariance=True,
                                         data_range=data["width"])


def perturb_blocks():
    for h, w in [(5, 9), (12, 7), (1, 3)]:
        x = reference(h, w, 0.5)
        for level in [0.12, 0.6, 1.2, 3.0, 10.7]:
            yield "shift", level, ndi.shift(x, (0, level), order=3, mode="grid-wrap")
        for level in [0.1, 0.45, 2.25, 4.5]:
            yield "blur", level, ndi.gaussian_filter(x, level, mode="reflect", truncate=4.0)


def main():
    head = f"# scripts/make-golden-eval.py: scikit-image {skimage.__version__}, scipy {scipy.__version__}, piq {piq.__version__}, " \
           f"numpy {np.__version__}\n"
    with open(FOLDER / "metrics.txt", "w") as f:
        f.write(head + "# metric height width offset value\n")
        for name, h, w, offset, value in metric_lines():
            f.write(f"{name} {h} {w} {offset} {value:.15g}\n")
    with open(FOLDER / "perturb.txt", "w") as f:
        f.write(head + "# perturbation level height width, then a line for each row\n")
        for name, level, y in perturb_blocks():
            f.write(f"{name} {level} {y.shape[0]} {y.shape[1]}\n")
            for row in y:
                f.write(" ".join(f"{v:.10g}" for v in row) + "\n")


main()
