#!/usr/bin/env python3
"""What scripts/bench-nn and scripts/compare-nn share: both sides as processes, and how far they agree.

usage: nn_sides.py       prints this

A side is a process that answers line commands: build/tests/nn/bench_nn, which describes them, or
bench_nn_torch.py. One that waits for a command sleeps.
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import weights_file
from torch_unets import DEFAULTS, initial, on_paper, uniform

SCRIPTS = pathlib.Path(__file__).resolve().parent
BUILD = SCRIPTS.parent / "build"

# PyTorch gives freed activations back to the system and takes page faults for them in every step,
# unless malloc is told to keep them.
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28)}


class SideError(Exception):
    pass


class Side:
    def __init__(self, name, command, env):
        self.name = name
        self.process = subprocess.Popen([str(w) for w in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=env)

    def lines(self, *words):
        """All lines of an answer, without its "ok"."""
        got = []
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            verdict, _, rest = line.rstrip("\n").partition(" ")
            if verdict == "ok":
                return [*got, rest]
            if verdict == "error":
                raise SideError(f"{self.name}: {' '.join(map(str, words))}: {rest}")
            got.append(line.rstrip("\n"))
        raise SideError(f"{self.name} ended (status {self.process.wait()}) at: {' '.join(map(str, words))}")

    def ask(self, *words):
        return self.lines(*words)[-1]

    def numbers(self, *words):
        return [float(w) for w in self.ask(*words).split()]

    def facts(self, *words):
        """key=value pairs."""
        return dict(w.split("=", 1) for w in self.ask(*words).split() if "=" in w)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def environment(tuned, bound):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_"))}
    return env | (TUNED if tuned else {}) | ({"OMP_PROC_BIND": "true"} if bound else {})


def ssfd(build, threads, bound=True):
    program = pathlib.Path(build) / "tests/nn/bench_nn"
    if not program.exists():
        raise SideError(f"there is no {program}: run scripts/build, or name its folder with --build")
    return Side("ssfd", [program, "serve", threads], environment(False, bound))


def pytorch(threads, tuned=True, bound=True):
    return Side("PyTorch", [sys.executable, SCRIPTS / "bench_nn_torch.py", threads], environment(tuned, bound))


def weights(net, batch, size):
    """Parameters, input and target, from their closed form."""
    shape = (batch, size, size, DEFAULTS[net]["channels"])
    values = {name: initial(name, tuple(p.shape)).numpy() for name, p in on_paper(net, size).params.items()}
    return values | {name: uniform(name, shape).astype(np.float32) for name in ("input", "target")}


def far(x, exact, least=0.0):
    """Relative l2 error; `least` is a floor of the denominator."""
    x, exact = np.asarray(x, np.float64), np.asarray(exact, np.float64)
    error = np.linalg.norm(x - exact) / max(np.linalg.norm(exact), least, 1e-300)
    return error if math.isfinite(error) else math.inf


class Errors:
    """Of output, each gradient, all gradients together, and losses.

    A gradient that is small only because its terms cancel has no relative error of its own: the
    denominator of a parameter is at least a thousandth of what it would be, were the whole
    gradient spread evenly over all its elements."""

    def __init__(self, arrays, losses, true, true_losses):
        names = [n for n in true if n != "output"]
        mean_square = sum(np.sum(true[n] ** 2) for n in names) / sum(true[n].size for n in names)
        self.output = far(arrays["output"], true["output"])
        self.grads = {n: far(arrays[n], true[n], 1e-3 * math.sqrt(mean_square * true[n].size)) for n in names}
        self.whole = far(*(np.concatenate([a[n] for n in names]) for a in (arrays, true)))
        self.arrays, self.losses, self.true_losses = arrays, losses, true_losses
        self.loss = max((abs(a - b) / b for a, b in zip(losses, true_losses)), default=0.0)
        self.worst = max(self.grads, key=self.grads.get)
        self.most = max(self.output, self.grads[self.worst], self.loss)


def errors(side, precision, exact, net, batch, size, steps, *options, progress=lambda step: None):
    """Errors of a side in its first step and over so many Adam steps, against `exact` in fp64 on the
    same decisions.

    A ReLU whose input is within rounding of zero passes the gradient or not, and so does a
    max-pooling with two inputs that near to each other; of millions, some are. One such choice changes a
    gradient more than all rounding does, so comparing with a network that chooses by itself tells
    nothing. Here the exact network chooses in every step what the side chose."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, output, seen = (pathlib.Path(folder) / name for name in ("inputs", "output", "seen"))
        weights_file.write(inputs, weights(net, batch, size))
        for which, kind, more in (side, precision, options), (exact, "fp64", []):
            which.ask("plan", "train", net, kind, batch, size, "dropout=0", "keep=1", f"at_once={batch}", *more)
            which.ask("load", inputs)

        def first(which):
            which.ask("grads", output)
            return weights_file.read(output)

        def follow():
            side.ask("decisions", seen)
            exact.ask("follow", seen)

        arrays = first(side)
        follow()
        true, losses, true_losses = first(exact), [], []
        for step in range(steps):
            losses += side.numbers("losses", 1)
            follow()
            true_losses += exact.numbers("losses", 1)
            progress(step + 1)
    return Errors(arrays, losses, true, true_losses)


def free_run(side, precision, net, batch, size, steps):
    """Output and gradients, and losses, of a side left to itself, its plan that of a training."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, output = (pathlib.Path(folder) / name for name in ("inputs", "output"))
        weights_file.write(inputs, weights(net, batch, size))
        side.ask("plan", "train", net, precision, batch, size, "dropout=0", f"at_once={batch}")
        side.ask("load", inputs)
        side.ask("grads", output)
        return weights_file.read(output), side.numbers("losses", steps)


def why_no_bf16(side):
    """None when ssfd has precision bf16."""
    try:
        runs = [free_run(side, precision, "ssl", 1, 32, 0)[0]["output"] for precision in ("fp32", "bf16")]
    except SideError as error:
        return str(error)
    return "it gives the bits of fp32" if np.array_equal(*runs) else None


if __name__ == "__main__":
    print(__doc__)
