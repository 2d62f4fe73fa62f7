#!/usr/bin/env python3
"""The two UNets of src/nn/unet.h in PyTorch, for the scripts that compare with it.

usage: torch_unets.py       (needs torch and numpy) prints parameters and FLOPs of the default networks

Parameters have the names and shapes of ssfd's and come into being, by name, at the first pass. Their
initial values, and inputs and targets, have a closed form that tests/nn/golden.c repeats:

    uniform(name, i) = 2 (mix(fnv1a64(name) + i 0x9E3779B97F4A7C15) >> 11) 2^-53 - 1    in [-1, 1)

with mix the finaliser of splitmix64 and i the flat index; arithmetic modulo 2^64. Then
    convolution weights (out,in,h,w)       uniform sqrt(6 / (in h w))
    transposed convolutions (in,out,h,w)   uniform sqrt(6 / in)
    scales of norms                        1 + 0.5 uniform
    biases and offsets of norms            0.1 uniform
each computed in double and rounded to float32.
"""
import numpy as np
import torch
import torch.nn.functional as F

MASK = (1 << 64) - 1

# As unet_ssl_fields and unet_recon_fields, without dropout.
DEFAULTS = {
    "ssl": dict(block="context", channels=1, filters=20, levels=5, groups=10),
    "recon": dict(block="fastmri", channels=2, filters=32, levels=4, groups=0),
}
DROPOUT = {"ssl": 0.1, "recon": 0.0}


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(name, shape):
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is what is wanted
        z = np.uint64(fnv1a64(name)) + np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (2 * ((z >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1).reshape(shape)


def initial(name, shape):
    u = uniform(name, shape)
    if len(shape) == 4:
        fan_in = shape[0] if ".deconv." in name else shape[1] * shape[2] * shape[3]
        u = u * np.sqrt(6.0 / fan_in)
    else:
        u = 1 + u * 0.5 if name.endswith("weight") else u * 0.1
    return torch.tensor(u.astype(np.float32))


def quarters(x):
    """(N,C,H,W) to (N,C,H/2,W/2,4): what a pooling chooses from."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(3, 4).reshape(n, c, h // 2, w // 2, 4)


class UNet:
    """`flops` counts those of direct convolutions, as a training step needs them: forward, gradient
    of the weights, and gradient of the input where that depends on a parameter; `flops_forward` the
    first alone."""

    def __init__(self, block, channels, filters, levels, groups, dropout=0.0, fill=initial,
                 dtype=torch.float64, layout=torch.contiguous_format, instance="instance"):
        self.block, self.channels, self.filters = block, channels, filters
        self.levels, self.groups, self.dropout = levels, groups, dropout
        self.fill, self.dtype, self.layout = fill, dtype, layout
        self.instance = instance  # "group": PyTorch's other kernel for the same, a group a channel
        self.params, self.taps = {}, {}
        self.keep_taps = self.watch_kinks = False
        self.seen = None  # or a list: gets the results of ReLUs and the inputs of max-poolings
        self.follow = None  # or what another side saw, each (N,H,W,C) flat: ReLUs and max-poolings decide as it did
        self.kink = float("inf")  # distance of any ReLU's input from 0, if watched
        self.flops = self.flops_forward = 0

    def param(self, name, *shape):
        if name not in self.params:
            p = self.fill(name, shape).to(self.dtype)
            self.params[name] = (p.to(memory_format=self.layout) if p.dim() == 4 else p).requires_grad_()
        return self.params[name]

    def count(self, x, macs):
        self.flops_forward += 2 * macs
        self.flops += 2 * macs * (3 if x.requires_grad else 2)

    def conv(self, x, name, filters, side, bias):
        w = self.param(name + ".weight", filters, x.shape[1], side, side)
        b = self.param(name + ".bias", filters) if bias else None
        self.count(x, x.numel() * filters * side * side)
        return F.conv2d(x, w, b, padding=side // 2)

    def followed(self, x):
        n, c, h, w = x.shape
        return self.follow.pop(0).reshape(n, h, w, c).permute(0, 3, 1, 2).contiguous()

    def relu(self, x, slope, tap=None):
        if self.watch_kinks:
            self.kink = min(self.kink, x.detach().abs().min().item())
        if self.follow is not None:
            x = torch.where(self.followed(x) > 0, x, slope * x)
        else:
            x = F.leaky_relu(x, slope) if slope else F.relu(x)
        if self.seen is not None:
            self.seen.append(x.detach())
        if tap and self.keep_taps:
            self.taps[tap] = x
        return x

    def group_norm(self, x, name):
        w, b = (self.param(f"{name}.{k}", x.shape[1]) for k in ("weight", "bias"))
        return F.group_norm(x, self.groups, w, b)

    def instance_norm(self, x):
        return F.group_norm(x, x.shape[1]) if self.instance == "group" else F.instance_norm(x)

    def dropped(self, x):
        return F.dropout(x, self.dropout) if self.dropout and torch.is_grad_enabled() else x

    def double_conv(self, x, name, filters, stop=None):
        """`stop`: the ReLU (1 or 2) after which to return."""
        context = self.block == "context"
        for r in (1, 2):
            x = self.conv(x, f"{name}.conv{r}", filters, 3, context)
            if not context:
                x = self.instance_norm(x)
            x = self.relu(x, 0 if context else 0.2, f"{name}_relu{r}")
            if stop == r:
                return x
            if not context:
                x = self.dropped(x)
        return self.dropped(self.group_norm(x, f"{name}.norm")) if context else x

    def up(self, x, name, filters):
        context = self.block == "context"
        w = self.param(name + ".deconv.weight", x.shape[1], filters, 2, 2)
        b = self.param(name + ".deconv.bias", filters) if context else None
        self.count(x, x.numel() * filters * 4)
        x = F.conv_transpose2d(x, w, b, stride=2)
        if context:
            return self.group_norm(self.relu(x, 0), f"{name}.deconv_norm")
        return self.relu(self.instance_norm(x), 0.2)

    def down(self, x, level):
        if level == 1:
            return x
        if self.block != "context":
            return F.avg_pool2d(x, 2)
        if self.seen is not None:
            self.seen.append(x.detach())
        if self.follow is None:
            return F.max_pool2d(x, 2)
        winner = quarters(self.followed(x)).argmax(-1, keepdim=True)
        return quarters(x).gather(-1, winner).squeeze(-1)

    def __call__(self, x):
        skips = []
        for level in range(1, self.levels + 1):
            x = self.double_conv(self.down(x, level), f"block{level}", self.filters << (level - 1))
            skips.append(x)
        for level in range(self.levels - 1, 0, -1):
            x = self.up(x, f"up{level}", self.filters << (level - 1))
            x = torch.cat([x, skips[level - 1]], 1)
            x = self.double_conv(x, f"up{level}", self.filters << (level - 1))
        return self.conv(x, "output", self.channels, 1, True)

    def encode(self, x, tap):
        """The feature map "blockB_reluR", computing nothing that it does not need."""
        last, stop = (int(k) for k in tap.removeprefix("block").split("_relu"))
        for level in range(1, last + 1):
            x = self.double_conv(self.down(x, level), f"block{level}", self.filters << (level - 1),
                                 stop if level == last else None)
        return x


def on_paper(net, size, batch=1):
    """That default network after a pass without data: parameters as shapes, FLOPs."""
    meta = UNet(**DEFAULTS[net], dtype=torch.float32, fill=lambda name, shape: torch.empty(shape, device="meta"))
    meta(torch.empty(batch, DEFAULTS[net]["channels"], size, size, device="meta"))
    return meta


def nchw(a, dtype, layout=torch.contiguous_format):
    return torch.tensor(a.astype(np.float32)).to(dtype).permute(0, 3, 1, 2).contiguous(memory_format=layout)


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1)


def main():
    for net in DEFAULTS:
        meta = on_paper(net, 320)
        print(f"{net}: {sum(p.numel() for p in meta.params.values())} parameters; convolutions of an image of "
              f"320 x 320: {meta.flops_forward / 1e9:.2f} GFLOP forward, {meta.flops / 1e9:.2f} in a training step")


if __name__ == "__main__":
    main()
