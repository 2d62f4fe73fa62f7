#!/usr/bin/env python3
"""What scripts/bench-metrics compares with: other implementations of the metrics, and pairs of images.

usage: metric_peers.py      (needs numpy, scipy, scikit-image, torch, piq, h5py) lists the pairs

The folder of real images is ../shared/data beside the repository, or SSFD_DATA.

A peer is a function (reference, image, data) -> score of float64 arrays, where data is a dict: `low` and
`width` of the range, `volume`. `fast` is what is timed, in the precision the peer's users would use. NQM has no
maintained implementation in Python; its peer is the paper's formula, written here with numpy in the
order of the authors' program. HFEN's is the kernel of Matlab's fspecial under scipy's correlation.
"""
import gzip
import os
import pathlib
import struct
import tempfile

import h5py
import numpy as np
import scipy.ndimage as ndi
import torch
import torch.nn.functional as F
from skimage import metrics as sk

from foreign import meddlr, piq
from torch_unets import DEFAULTS, UNet, uniform

DATA = pathlib.Path(os.environ.get("SSFD_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"))
VGG = [("block1_conv1", 3, 64), ("block1_conv2", 64, 64), ("block2_conv1", 64, 128), ("block2_conv2", 128, 128),
       ("block3_conv1", 128, 256), ("block3_conv2", 256, 256), ("block3_conv3", 256, 256)]


# ---- Images ------------------------------------------------------------------------------------


def phantom(h, w):
    """Simulated: ellipses and texture, everywhere positive."""
    y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
    z = 0.02 + np.zeros((h, w))
    for cy, cx, a, b, v in [(0, 0, 0.9, 0.7, 0.5), (0.1, -0.2, 0.4, 0.3, 0.4), (-0.3, 0.3, 0.2, 0.3, -0.3), (0.4, 0.2, 0.1, 0.2, 0.2)]:
        z += v * (((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1)
    return z * (1 + 0.1 * np.sin(37 * x) * np.cos(29 * y))


def thigh(k=15):
    raw = gzip.decompress((DATA / "anatomy" / "thigh_320x320x31.nii.gz").read_bytes())
    dim = struct.unpack("<8h", raw[40:56])
    start = int(struct.unpack("<f", raw[108:112])[0])
    volume = np.frombuffer(raw, "<f4", dim[1] * dim[2] * dim[3], start).reshape(dim[3], dim[2], dim[1])
    return volume[k].astype(np.float64), float(volume.max())


def scan(name):
    with h5py.File(DATA / "kspace" / name) as f:
        return f["kspace"][0]


def rss(k):
    axes = (-2, -1)
    x = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(k, axes), norm="ortho"), axes)
    return np.sqrt((np.abs(x) ** 2).sum(0))


def undersampled(k):
    keep = uniform("mask", (k.shape[-1],)) < -0.6
    middle = k.shape[-1] // 2
    keep[middle - k.shape[-1] // 25: middle + k.shape[-1] // 25] = True
    return k * keep


def noisy(x, sd):
    n = sum(uniform(f"noise{k}", x.shape) for k in range(6)) / np.sqrt(2)
    return x + sd * x.std() * n


def pairs():
    """name -> (reference, image, data), float32 values in the range of the reference, which piq demands."""
    out = {}

    def add(name, a, b, volume=0.0):
        a = a.astype(np.float32).astype(np.float64)
        low = a.min() if a.min() < 0 else 0.0
        b = np.clip(b, low, a.max()).astype(np.float32).astype(np.float64)
        out[name] = a, b, {"low": low, "width": a.max() - low, "volume": volume or a.max()}

    p = phantom(320, 320)
    add("simulated 320x320, noise", p, noisy(p, 0.1))
    add("simulated 320x320, blur", p, ndi.gaussian_filter(p, 1.2))
    odd = phantom(301, 266)
    add("simulated 301x266, shift", odd, ndi.shift(odd, (0, 0.8), order=3, mode="grid-wrap"))
    z = (p - p.mean()) / p.std(ddof=1)
    add("simulated 320x320, z-scored, noise", z, noisy(z, 0.3))
    if DATA.exists():
        x, top = thigh()
        add("thigh 320x320, noise", x, noisy(x, 0.2), top)
        add("thigh 320x320, blur", x, ndi.gaussian_filter(x, 0.9), top)
        add("thigh 320x320, neighbouring slice", x, thigh(16)[0], top)
        z = (x - x.mean()) / x.std(ddof=1)
        add("thigh 320x320, z-scored, shift", z, ndi.shift(z, (0, 0.6), order=3, mode="grid-wrap"))
        k = scan("phantom1ch_256.h5")
        add("phantom scan 256x256, undersampled", rss(k), rss(undersampled(k)))
        k = scan("brain16ch.h5")
        add("brain scan 128x128, undersampled", rss(k), rss(undersampled(k)))
    return out


# ---- Peers -------------------------------------------------------------------------------------


def tensors(a, b, data, dtype):
    return (torch.tensor((x - data["low"]) / data["width"]).clamp(0, 1).to(dtype)[None, None] for x in (a, b))


def piq_peer(function, dtype=torch.float64, swap=False):
    """x is the image and y the reference in piq."""
    def run(a, b, data):
        y, x = tensors(a, b, data, dtype)
        return float(function(x, y, data_range=1.0))
    return run


def ssim_wang(a, b, data):
    return sk.structural_similarity(a - data["low"], b - data["low"], gaussian_weights=True, sigma=1.5,
                                    use_sample_covariance=False, data_range=data["width"])


def ssim_fastmri(a, b, data):
    return sk.structural_similarity(a, b, win_size=7, data_range=data["volume"])


def psnr(a, b, data):
    return sk.peak_signal_noise_ratio(a, b, data_range=data["width"])


def nrmse(a, b, data):
    return sk.normalized_root_mse(a, b, normalization="euclidean")


def log_kernel(n=15, sigma=1.5):
    t = np.arange(n) - n // 2
    r2 = t[:, None] ** 2 + t[None, :] ** 2
    g = np.exp(-r2 / (2 * sigma**2))
    g /= g.sum()
    k = g * (r2 - 2 * sigma**2) / sigma**4
    return k - k.mean()


LOG = log_kernel()


def meddlr_peer(name, dtype=torch.float64):
    """Of meddlr.metrics: PSNR, NRMSE, or SSIM as Wang has it."""
    metric = getattr(meddlr.metrics, name)()

    def run(a, b, data):
        return float(metric.func(*(torch.tensor(x).to(dtype)[None, None] for x in (b, a))))
    return run


def hfen(a, b, data, mode="reflect"):
    fa, fb = (ndi.correlate(x, LOG, mode=mode) for x in (a, b))
    return np.linalg.norm(fa - fb) / np.linalg.norm(fa)


def nqm(a, b, data):
    a, b = a - data["low"], b - data["low"]
    h, w = a.shape
    r = np.hypot(np.fft.fftfreq(h, 1 / h)[:, None], np.fft.fftfreq(w, 1 / w)[None, :])

    def band(f, centre, shift=0):
        inside = (r + shift >= centre / 2) & (r + shift <= 2 * centre)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = np.where(inside, 0.5 + 0.5 * np.cos(np.pi * np.log2((r + shift) / centre)), 0)
        return np.fft.ifft2(g * f).real

    def threshold(f):
        return 1 / (200 * 2.6 * (0.0192 + 0.114 * f) * np.exp(-((0.114 * f) ** 1.1)))

    fa, fb = np.fft.fft2(a), np.fft.fft2(b)
    below_a, below_b = band(fa, 2, 2), band(fb, 2, 2)
    sum_a = sum_b = 0
    for i in range(1, 6):
        xa, xb = band(fa, 2**i), band(fb, 2**i)
        with np.errstate(divide="ignore", invalid="ignore"):
            ca, cb = xa / below_a, xb / below_b
        below_a, below_b = below_a + xa, below_b + xb
        ct = threshold(i)
        clipped = np.where(np.abs(cb) > 1, 1, cb)
        xb = np.where(np.abs(clipped - ca) < ct * (0.86 * (ca / ct - 1) + 0.3), xa, xb)
        d = threshold(2**i / (180 / np.pi / 3.5))
        sum_a = sum_a + np.where(np.abs(ca) < d, 0, xa)
        sum_b = sum_b + np.where(np.abs(cb) < d, 0, xb)
    return 10 * np.log10((sum_a**2).sum() / ((sum_a - sum_b) ** 2).sum())


# ---- Networks ----------------------------------------------------------------------------------


def ssl_parameters(checkpoint):
    """name -> values, as a `fill` of torch_unets.UNet."""
    with h5py.File(checkpoint) as f:
        values = {name: p[()] for name, p in f["params"].items()}
    return lambda name, shape: torch.tensor(values[name].reshape(shape))


def ssfd_peer(checkpoint, taps, weights, dtype, channels_last=False):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = UNet(**DEFAULTS["ssl"], fill=ssl_parameters(checkpoint), dtype=dtype, layout=layout)

    def features(x):
        x = torch.tensor((x - x.mean()) / x.std(ddof=1)).to(dtype)[None, None].contiguous(memory_format=layout)
        net.keep_taps, net.taps = True, {}
        last = net.encode(x, taps[-1])
        return [net.taps.get(t, last) for t in taps]

    def run(a, b, data):
        with torch.no_grad():
            return sum(w * float(F.mse_loss(p, q)) for w, p, q in zip(weights, features(a), features(b)))
    return run


def meddlr_ssfd_peer(checkpoint, dtype):
    """meddlr's own class with our weights, in a file as it would fetch from the authors' page."""
    fill = ssl_parameters(checkpoint)
    theirs = meddlr.metrics.ssfd.SSFD_Encoder(1, 320).state_dict()
    for name in theirs:
        block, layer, kind = name.replace("conv_block.", "").split(".")
        number = 1 if block == "firstblock" else int(block.removeprefix("encoder")) + 1
        ours = f"block{number}.{layer.replace('GN', 'norm')}.{kind}"
        theirs[name] = fill(ours, tuple(theirs[name].shape))
    with tempfile.TemporaryDirectory() as folder:
        meddlr.metrics.ssfd.SSFD_HUGGINGFACE_URL = str(pathlib.Path(folder) / "model.ckpt")
        torch.save(theirs, meddlr.metrics.ssfd.SSFD_HUGGINGFACE_URL)
        metric = meddlr.metrics.ssfd.SSFD().to(dtype)

    def run(a, b, data):
        with torch.no_grad():
            return float(metric.func(*(torch.tensor(x).to(dtype)[None, None] for x in (b, a))))
    return run


def vgg_parameters():
    """Made up: He's uniform weights. The genuine ones of blocks 1 and 2 where the data folder has them."""
    p = {}
    for name, cin, cout in VGG:
        kernel = uniform(name + ".kernel", (3, 3, cin, cout)) * np.sqrt(6 / (9 * cin))
        bias = 0.1 * uniform(name + ".bias", (cout,))
        for genuine, shape in [(DATA / f"vgg16-partial/{name}_kernel_HWIO_f32.bin", kernel.shape)]:
            if genuine.exists():
                kernel = np.fromfile(genuine, "<f4").reshape(shape)
                bias = np.fromfile(DATA / f"vgg16-partial/{name}_bias_f32_from_fixed16.bin", "<f4")
        p[name] = kernel.astype(np.float32), bias.astype(np.float32)
    return p


VGG_LAYOUTS = {"keras1": "{0}/{0}_{1}_1:0", "keras2": "model_weights/{0}/{0}/{2}:0", "keras3": "layers/{3}/vars/{4}"}


def write_vgg(path, layout="keras1"):
    with h5py.File(path, "w") as f:
        for k, (name, values) in enumerate(vgg_parameters().items()):
            for i, value in enumerate(values):
                f[VGG_LAYOUTS[layout].format(name, "Wb"[i], ("kernel", "bias")[i], f"conv2d_{k}" if k else "conv2d", i)] = value


def vggpl_peer(dtype, channels_last=False):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = [(torch.tensor(k).permute(3, 2, 0, 1).to(dtype).contiguous(memory_format=layout), torch.tensor(b).to(dtype))
               for k, b in vgg_parameters().values()]
    means = torch.tensor([103.939, 116.779, 123.68], dtype=dtype)[None, :, None, None]

    def features(x):
        x = torch.tensor(255 * (x - x.min()) / (x.max() - x.min())).to(dtype)
        x = (x[None, None].expand(1, 3, -1, -1) - means).contiguous(memory_format=layout)
        for k, (w, b) in enumerate(weights):
            x = F.relu(F.conv2d(x, w, b, padding=1))
            if k in (1, 3):
                x = F.max_pool2d(x, 2)
        return x

    def run(a, b, data):
        with torch.no_grad():
            return float(F.mse_loss(features(a), features(b)))
    return run


if __name__ == "__main__":
    for title, (one, two, facts) in pairs().items():
        print(f"{title}: {one.shape[0]}x{one.shape[1]}, values {one.min():.4g} to {one.max():.4g}, NRMSE {nrmse(one, two, facts):.4f}")
