#!/usr/bin/env python3
"""Make tests/nn/golden/{ssl,recon}.txt: what PyTorch computes for small versions of the two UNets.

usage: make-golden-nn.py [OUTPUT_DIRECTORY]        (needs torch and numpy)

Weights, input and target come from a closed form that tests/nn/golden.c repeats, so the files hold only
results: the output, a feature tap, the loss, the gradient of every parameter, the loss before each of
11 Adam steps (so after 10 of them too), and the parameter count of the network in its default size.

torch_unets.py gives that form, and input and target (N,H,W,C) are its streams "inputK" and "targetK".
PyTorch runs in float64, so that the numbers are exact to all digits printed; the loss trajectory is given
in float32 as well. K ("stream" in the file) is the first number for which no ReLU sees a value within 1e-5
of its kink in the first step, or within 3e-6 in a later one. There the gradient in float32 depends on the
last bit: one element on the other side of the kink changes gradients by up to a per cent.
"""
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

from torch_unets import UNet, nchw, nhwc, on_paper, uniform


def train(net, dtype, x, target, steps):
    """Losses before each step, closeness to a kink in each, and what the first pass gave."""
    net.dtype, net.keep_taps, net.watch_kinks = dtype, True, True
    x, target = nchw(x, dtype), nchw(target, dtype)
    net(x)
    adam = torch.optim.Adam(net.params.values(), lr=1e-3)
    losses, kinks, first = [], [], None
    for _ in range(steps):
        adam.zero_grad()
        net.kink = float("inf")
        output = net(x)
        loss = F.mse_loss(output, target)
        loss.backward()
        if first is None:
            grads = {k: p.grad.clone() for k, p in net.params.items()}
            first = nhwc(output), {k: nhwc(t) for k, t in net.taps.items()}, grads
        losses.append(loss.item())
        kinks.append(net.kink)
        adam.step()
    return losses, kinks, *first


def entry(out, name, x):
    x = np.asarray(x)
    print(name, x.ndim, *x.shape, file=out)
    values = [f"{v:.8g}" for v in x.ravel()]
    for i in range(0, len(values), 8):
        print(*values[i : i + 8], file=out)


def make(path, net, tap, small):
    shape = (2, 32, 48, small["channels"])
    for stream in range(1000):
        x, target = uniform(f"input{stream}", shape), uniform(f"target{stream}", shape)
        losses, kinks, output, taps, grads = train(UNet(**small), torch.float64, x, target, 11)
        if kinks[0] > 1e-5 and min(kinks) > 3e-6:
            break
    losses32 = train(UNet(**small), torch.float32, x, target, 11)[0]
    big = on_paper(net, 32)
    with open(path, "w", encoding="ascii") as out:
        print(f"# Made by scripts/make-golden-nn.py with torch {torch.__version__}.", file=out)
        print(f"# {small}, input {shape}, float64", file=out)
        entry(out, "stream", [stream])
        entry(out, "default_parameters", [sum(p.numel() for p in big.params.values())])
        entry(out, "parameters", [sum(p.numel() for p in grads.values())])
        entry(out, "losses_float64", losses)
        entry(out, "losses_float32", losses32)
        entry(out, "output", output)
        entry(out, tap, taps[tap])
        for name, grad in grads.items():
            entry(out, "grad:" + name, grad)
    print(f"{path}: stream {stream}, loss {losses[0]:.8g} -> {losses[10]:.8g}, in float32 {losses32[10]:.8g}")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/nn/golden"
    torch.set_num_threads(1)
    make(folder / "ssl.txt", "ssl", "block3_relu1", dict(block="context", channels=1, filters=4, levels=3, groups=2))
    make(folder / "recon.txt", "recon", "block3_relu1", dict(block="fastmri", channels=2, filters=4, levels=3, groups=0))


if __name__ == "__main__":
    main()
