#!/usr/bin/env python3
"""Make tests/nn/golden/{ssl,recon}.txt: what PyTorch computes for small versions of the two UNets.

usage: make-golden-nn.py [OUTPUT_DIRECTORY]        (needs torch and numpy)

Weights, input and target come from a closed form that tests/nn/golden.c repeats, so the files hold only
results: the output, a feature tap, the loss, the gradient of every parameter, the loss before each of
11 Adam steps (so after 10 of them too), and the parameter count of the network in its default size.

    uniform(name, i) = 2 (mix(fnv1a64(name) + i 0x9E3779B97F4A7C15) >> 11) 2^-53 - 1    in [-1, 1)

with mix the finaliser of splitmix64 and i the flat index; arithmetic modulo 2^64. Then
    convolution weights (out,in,h,w)       uniform sqrt(6 / (in h w))
    transposed convolutions (in,out,h,w)   uniform sqrt(6 / in)
    scales of norms                        1 + 0.5 uniform
    biases and offsets of norms            0.1 uniform
    input, target (N,H,W,C)                uniform, names "inputK" and "targetK"
each computed in double and rounded to float32. PyTorch then runs in float64, so that the numbers are
exact to all digits printed; the loss trajectory is given in float32 as well. K ("stream" in the file) is
the first number for which no ReLU sees a value within 1e-5 of its kink in the first step, or within 3e-6
in a later one. There the gradient in float32 depends on the last bit: one element on the other side
of the kink changes gradients by up to a per cent.
"""
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

MASK = (1 << 64) - 1


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(name, shape):
    seed, n = fnv1a64(name), int(np.prod(shape))
    u = [2 * ((mix((seed + i * 0x9E3779B97F4A7C15) & MASK) >> 11) * 2.0**-53) - 1 for i in range(n)]
    return np.array(u, np.float64).reshape(shape)


def initial(name, shape):
    u = uniform(name, shape)
    if len(shape) == 4:
        fan_in = shape[0] if ".deconv." in name else shape[1] * shape[2] * shape[3]
        u = u * np.sqrt(6.0 / fan_in)
    else:
        u = 1 + u * 0.5 if name.endswith("weight") else u * 0.1
    return torch.tensor(u.astype(np.float32))


class UNet:
    """A UNet whose parameters come into being, by name, at the first pass."""

    def __init__(self, block, channels, filters, levels, groups, fill=initial):
        self.block, self.channels, self.filters = block, channels, filters
        self.levels, self.groups, self.fill = levels, groups, fill
        self.params, self.taps, self.dtype = {}, {}, torch.float64
        self.kink = float("inf")  # distance of any ReLU's input from 0

    def param(self, name, *shape):
        if name not in self.params:
            self.params[name] = self.fill(name, shape).to(self.dtype).requires_grad_()
        return self.params[name]

    def conv(self, x, name, filters, side, bias):
        w = self.param(name + ".weight", filters, x.shape[1], side, side)
        b = self.param(name + ".bias", filters) if bias else None
        return F.conv2d(x, w, b, padding=side // 2)

    def relu(self, x, slope):
        self.kink = min(self.kink, x.detach().abs().min().item())
        return F.leaky_relu(x, slope) if slope else F.relu(x)

    def group_norm(self, x, name):
        w, b = (self.param(f"{name}.{k}", x.shape[1]) for k in ("weight", "bias"))
        return F.group_norm(x, self.groups, w, b)

    def double_conv(self, x, name, filters):
        if self.block == "context":
            for r in (1, 2):
                x = self.relu(self.conv(x, f"{name}.conv{r}", filters, 3, True), 0)
                self.taps[f"{name}_relu{r}"] = x
            return self.group_norm(x, f"{name}.norm")
        for r in (1, 2):
            x = self.conv(x, f"{name}.conv{r}", filters, 3, False)
            x = self.relu(F.instance_norm(x), 0.2)
            self.taps[f"{name}_relu{r}"] = x
        return x

    def up(self, x, name, filters):
        context = self.block == "context"
        w = self.param(name + ".deconv.weight", x.shape[1], filters, 2, 2)
        b = self.param(name + ".deconv.bias", filters) if context else None
        x = F.conv_transpose2d(x, w, b, stride=2)
        if context:
            return self.group_norm(self.relu(x, 0), f"{name}.deconv_norm")
        return self.relu(F.instance_norm(x), 0.2)

    def __call__(self, x):
        skips = []
        for level in range(1, self.levels + 1):
            if level > 1:
                x = F.max_pool2d(x, 2) if self.block == "context" else F.avg_pool2d(x, 2)
            x = self.double_conv(x, f"block{level}", self.filters << (level - 1))
            skips.append(x)
        for level in range(self.levels - 1, 0, -1):
            x = self.up(x, f"up{level}", self.filters << (level - 1))
            x = torch.cat([x, skips[level - 1]], 1)
            x = self.double_conv(x, f"up{level}", self.filters << (level - 1))
        return self.conv(x, "output", self.channels, 1, True)


def nchw(a, dtype):
    return torch.tensor(a.astype(np.float32)).to(dtype).permute(0, 3, 1, 2).contiguous()


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1)


def train(net, dtype, x, target, steps):
    """Losses before each step, closeness to a kink in each, and what the first pass gave."""
    net.dtype = dtype
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


def make(path, tap, small, default):
    shape = (2, 32, 48, small["channels"])
    for stream in range(1000):
        x, target = uniform(f"input{stream}", shape), uniform(f"target{stream}", shape)
        losses, kinks, output, taps, grads = train(UNet(**small), torch.float64, x, target, 11)
        if kinks[0] > 1e-5 and min(kinks) > 3e-6:
            break
    losses32 = train(UNet(**small), torch.float32, x, target, 11)[0]
    big = UNet(**default, fill=lambda name, s: torch.zeros(s))
    big(torch.zeros(1, default["channels"], 32, 32, dtype=torch.float64))
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
    make(folder / "ssl.txt", "block3_relu1",
         dict(block="context", channels=1, filters=4, levels=3, groups=2),
         dict(block="context", channels=1, filters=20, levels=5, groups=10))
    make(folder / "recon.txt", "block3_relu1",
         dict(block="fastmri", channels=2, filters=4, levels=3, groups=0),
         dict(block="fastmri", channels=2, filters=32, levels=4, groups=0))


if __name__ == "__main__":
    main()
