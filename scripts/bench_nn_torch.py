#!/usr/bin/env python3
"""PyTorch's side of scripts/bench-nn and scripts/compare-nn: answers the line commands of tests/nn/bench_nn.c.

usage: bench_nn_torch.py THREADS       (needs torch and numpy), then commands on stdin; every answer is one line

    plan train|infer ssl|recon PRECISION BATCH SIZE [dropout=P] [keep=1] [at_once=K, which is ignored] [layout=contiguous|channels_last]
                              [instance=instance|group]
                              PRECISION fp32, fp64, or bf16 (autocast); infer is the encoder to conv 9.
                              Where only the batch is new, weights and Adam go on as they are
    run STEPS                 -> seconds of each training step (forward, backward, Adam) or inference
    load FILE                 parameters, input, target by name (weights_file.py); Adam starts anew
    grads FILE                one forward and backward pass -> loss; writes output and all gradients
    losses STEPS              -> the loss before each of so many Adam steps
    decisions FILE            what ReLUs and max-poolings saw in the last pass (with keep=1)
    follow FILE               in the next pass, ReLUs and max-poolings decide as that file says
    rss                       -> resident bytes of this process now and at its peak
    info                      -> version
"""
import contextlib
import sys
import time

import torch
import torch.nn.functional as F

import weights_file
from torch_unets import DEFAULTS, UNet, nchw, nhwc

DTYPE = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}
LAYOUT = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
TAP = "block5_relu1"


class Side:
    planned = None

    def plan(self, task, net, precision, batch, size, **options):
        if self.planned != (task, net, precision, options):
            self.planned = task, net, precision, options
            self.make_network(**options)
        shape = (int(batch), DEFAULTS[net]["channels"], int(size), int(size))
        self.x, self.target = (torch.randn(shape, dtype=self.dtype).contiguous(memory_format=self.layout) for _ in "xt")
        with torch.no_grad():  # parameters come into being
            self.net(self.x[:1, :, :32, :32]) if self.training else self.net.encode(self.x[:1, :, :32, :32], TAP)
        self.adam = self.adam or self.new_adam()
        return f"parameters={sum(p.numel() for p in self.net.params.values())}"

    def make_network(self, dropout=0, keep=0, layout="contiguous", instance="instance", at_once=0):
        task, net, precision, _ = self.planned
        self.training, self.layout, self.dtype = task == "train", LAYOUT[layout], DTYPE[precision]
        self.autocast, self.keep, self.adam = precision == "bf16", bool(int(keep)), None
        self.net = UNet(**DEFAULTS[net], dropout=float(dropout), dtype=self.dtype, layout=self.layout,
                        instance=instance)

    def new_adam(self):
        return torch.optim.Adam(self.net.params.values(), lr=1e-3, fused=True)

    def run(self, steps):
        spent = []
        for _ in range(int(steps)):
            start = time.perf_counter()
            if self.training:
                self.step()
            else:
                self.infer()
            spent.append(f"{time.perf_counter() - start:.6f}")
        return " ".join(spent)

    def mixed(self):
        return torch.autocast("cpu", torch.bfloat16) if self.autocast else contextlib.nullcontext()

    def infer(self):
        with torch.inference_mode(), self.mixed():
            return self.net.encode(self.x, TAP)

    def passes(self):
        self.adam.zero_grad()
        self.net.seen = [] if self.keep else None
        with self.mixed():
            output = self.net(self.x)
            loss = F.mse_loss(output, self.target)
        loss.backward()
        self.net.follow = None
        return output, loss

    def step(self):
        loss = self.passes()[1].item()
        self.adam.step()
        return loss

    def load(self, path):
        self.adam = self.new_adam()
        with torch.no_grad():
            for name, x in weights_file.read(path).items():
                if name in ("input", "target"):
                    new = nchw(x.reshape(self.x.permute(0, 2, 3, 1).shape), self.dtype, self.layout)
                    setattr(self, "x" if name == "input" else "target", new)
                else:
                    p = self.net.params[name]
                    p.copy_(torch.from_numpy(x).reshape(p.shape))

    def grads(self, path):
        output, loss = self.passes()
        out = {"output": nhwc(output)} | {name: p.grad for name, p in self.net.params.items()}
        weights_file.write(path, {name: x.double().numpy() for name, x in out.items()})
        return f"{loss.item():.17g}"

    def losses(self, steps):
        return " ".join(f"{self.step():.17g}" for _ in range(int(steps)))

    def decisions(self, path):
        weights_file.write(path, {str(i): nhwc(x).float().numpy() for i, x in enumerate(self.net.seen)})

    def follow(self, path):
        self.net.follow = [torch.from_numpy(x) for x in weights_file.read(path).values()]

    def rss(self):
        with open("/proc/self/status", encoding="ascii") as f:
            at = dict(line.split(":", 1) for line in f)
        return " ".join(str(1024 * int(at[key].split()[0])) for key in ("VmRSS", "VmHWM"))

    def info(self):
        return f"torch={torch.__version__} threads={torch.get_num_threads()}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(int(sys.argv[1]))
    side = Side()
    for line in sys.stdin:
        command, *words = line.split()
        try:
            values = [w for w in words if "=" not in w]
            answer = getattr(side, command)(*values, **dict(w.split("=", 1) for w in words if "=" in w))
            print("ok", answer or "", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            print("error", str(error).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
