#!/usr/bin/env python3
"""PyTorch's side of scripts/compare-training: the same training, as one would write it in PyTorch.

usage: train_torch.py JOB.json       (needs torch, numpy, h5py)

JOB names the task, the folders of scans and references, what tests/train/dump_feed.c dumped (order of samples,
patches or masks, initial weights) and the recipe. Samples are made by one worker process while the network computes,
as ssfd's reader thread does: references come from the same cache; zero-filled images from k-space and the cached
sensitivity kernels. Prints a JSON line for every validation and at the end {"seconds": of the training without
imports}. Fails where the first samples differ from ssfd's.
"""
import json
import math
import pathlib
import sys
import time

import h5py
import numpy as np
import torch
import torch.nn.functional as F

import weights_file
from torch_unets import UNet

LAYOUT = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
BLOCK = {"ssl": dict(block="context", channels=1), "recon": dict(block="fastmri", channels=2, instance="group")}


def centred(transform, x):
    return torch.fft.fftshift(transform(torch.fft.ifftshift(x, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))


def crop(x, h, w):
    top, left = (x.shape[-2] - h) // 2, (x.shape[-1] - w) // 2
    return x[..., top:top + h, left:left + w]


class Samples(torch.utils.data.Dataset):
    """Sample k of the stream: input and target, (channels, h, w) float32."""

    def __init__(self, job, which):
        self.job, self.h, self.w = job, job["height"], job["width"]
        bits = self.h * self.w if job["task"] == "ssl" else self.w
        record = np.dtype([("index", "<u4"), ("bits", "u1", (bits + 7) // 8)])
        self.feed, self.bits = np.memmap(pathlib.Path(job["feed"]) / f"{which}.bin", record, "r"), bits
        self.scans = sorted(pathlib.Path(job[which]).glob("*.h5"))
        self.cache = (pathlib.Path(job["feed"]) / f"{which}.refs").read_text(encoding="utf-8").splitlines()
        self.images = []
        for i, path in enumerate(self.cache):
            with h5py.File(path) as f:
                self.images += [(i, s) for s in range(len(f["reference"]))]

    def __len__(self):
        return len(self.feed)

    def __getitem__(self, k):
        at = self.feed[k]
        scan, s = self.images[int(at["index"])]
        mask = torch.from_numpy(np.unpackbits(at["bits"], count=self.bits).astype(np.float32))
        with h5py.File(self.cache[scan]) as f:
            reference = torch.from_numpy(f["reference"][s])
            kernels = torch.from_numpy(f["kernels"][s]) if self.job["task"] == "recon" else None
        if self.job["task"] == "ssl":
            x = reference.abs()
            x = ((x - x.mean()) / x.std())[None]
            return x * mask.reshape(1, self.h, self.w), x
        zero = self.zero_filled(scan, s, kernels, mask)
        magnitude = zero.abs().flatten()
        k = max(1, math.floor(0.05 * magnitude.numel() + 0.5))
        scale = magnitude.kthvalue(magnitude.numel() - k + 1).values
        return tuple(torch.view_as_real(x / scale).permute(2, 0, 1).contiguous() for x in (zero, reference))

    def zero_filled(self, scan, s, kernels, mask):
        with h5py.File(self.scans[scan]) as f:
            kspace = torch.from_numpy(f["kspace"][s])
        coils, k = kernels.shape[0], kernels.shape[-1]
        images = crop(centred(torch.fft.ifft2, kspace), self.h, self.w)
        images = centred(torch.fft.ifft2, centred(torch.fft.fft2, images) * mask)
        maps = torch.zeros(coils, self.h, self.w, dtype=torch.complex64)
        side = self.job["calibration_side"]
        centre = side // 2 + k - 1 - (side + k - 1) // 2  # src/data/jsense_model.c: jsense_model_centre
        top, left = self.h // 2 - centre, self.w // 2 - centre
        maps[:, top:top + k, left:left + k] = kernels
        maps = centred(torch.fft.ifft2, maps)
        maps = maps / maps.abs().square().sum(0).sqrt().clamp_min(1e-30)
        return (maps.conj() * images).sum(0)


def check_first(job, sets, stored):
    """Both sides must train on the same numbers."""
    dumped = (pathlib.Path(job["feed"]) / "weights.bin").stat().st_mtime
    for which, samples in sets.items():
        for name, x in zip(("input", "target"), samples[0]):
            mine, theirs = x.permute(1, 2, 0).flatten().numpy(), stored[f"{which}.{name}"]
            off = np.linalg.norm(mine - theirs) / np.linalg.norm(theirs)
            if not off < 1e-4:
                again = [p for p in samples.cache if pathlib.Path(p).stat().st_mtime > dumped]
                why = f"; made again since it was dumped: {', '.join(again)}" if again else ""
                sys.exit(f"train_torch: the first {which} {name} differs from ssfd's by {off:.2g}{why}")


def learning_rate(job, step):
    """src/train/schedule.c: step is 0-based."""
    if step < job["warmup"]:
        return job["lr"] * (step + 1) / job["warmup"]
    share = (step - job["warmup"]) / (job["steps"] - job["warmup"])
    return max(job["lr"] * 0.5 * (1 + math.cos(math.pi * share)), job["min_lr"])


def loader(samples, batch):
    return torch.utils.data.DataLoader(samples, batch_size=batch, num_workers=1, prefetch_factor=2)


def validate(net, samples, job, layout):
    total = count = 0
    with torch.inference_mode():
        for x, y in loader(samples, job["batch"]):
            out = net(x.contiguous(memory_format=layout))
            total += (out.double() - y).square().sum().item()
            count += y.numel()
    return total / count


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    job = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    stored = weights_file.read(pathlib.Path(job["feed"]) / "weights.bin")
    sets = {which: Samples(job, which) for which in ("train", "validation")}
    check_first(job, sets, stored)
    layout = LAYOUT[job["layout"]]
    fill = lambda name, shape: torch.from_numpy(stored[name]).reshape(shape)
    net = UNet(**BLOCK[job["task"]], filters=job["filters"], levels=job["levels"], groups=job["groups"],
               dropout=job["dropout"], fill=fill, dtype=torch.float32, layout=layout)
    with torch.no_grad():
        net(torch.zeros(1, BLOCK[job["task"]]["channels"], 32, 32))  # parameters come into being
    adam = torch.optim.Adam(net.params.values(), lr=job["lr"], betas=(job["beta1"], job["beta2"]), eps=job["eps"],
                            fused=True)
    start = time.perf_counter()
    for step, (x, y) in enumerate(loader(sets["train"], job["batch"])):
        for group in adam.param_groups:
            group["lr"] = learning_rate(job, step)
        adam.zero_grad()
        loss = F.mse_loss(net(x.contiguous(memory_format=layout)), y.contiguous(memory_format=layout))
        loss.backward()
        adam.step()
        if not math.isfinite(loss.item()):
            sys.exit(f"train_torch: the loss became {loss.item()} at step {step + 1}")
        if (step + 1) % job["validate_every"] == 0 or step + 1 == job["steps"]:
            print(json.dumps({"step": step + 1, "val_loss": validate(net, sets["validation"], job, layout)}), flush=True)
        if step + 1 == job["steps"]:
            break
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
