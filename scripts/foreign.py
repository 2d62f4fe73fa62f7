#!/usr/bin/env python3
"""Other people's metrics: piq and meddlr, imported although torch and numpy have moved on since.

usage: import them from here, as in `from foreign import meddlr, piq`; `python foreign.py` says what could be imported.

torchvision, which both import, registers two operators of its own that they do not use; its wheel does not load beside a torch for
CPUs alone, so these two are declared here instead. meddlr asks numpy for an alias that is gone, and torchmetrics for a module
that has another name and an argument that is gone. What either computes is untouched. `meddlr` is None where it is not
installed.
"""
import importlib
import importlib.metadata
import importlib.util
import sys

import numpy as np
import torch


def import_torchvision():
    """Returns what must live as long as the program: the two operators, where torchvision cannot bring them itself."""
    try:
        importlib.import_module("torchvision")
        return None
    except RuntimeError:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")
        return library


def import_meddlr():
    if importlib.util.find_spec("meddlr") is None:
        return None
    if not hasattr(np, "complex"):
        np.complex = complex
    old = "torchmetrics.functional.image.helper"
    try:
        importlib.import_module(old)
    except ModuleNotFoundError:
        sys.modules[old] = importlib.import_module("torchmetrics.functional.image.utils")
    torchmetrics = importlib.import_module("torchmetrics")
    init = torchmetrics.Metric.__init__
    torchmetrics.Metric.__init__ = lambda self, compute_on_step=None, **rest: init(self, **rest)
    importlib.import_module("meddlr.metrics.ssfd")
    return importlib.import_module("meddlr")


operators = import_torchvision()
piq = importlib.import_module("piq")
meddlr = import_meddlr()

if __name__ == "__main__":
    print(f"piq {piq.__version__}; meddlr {importlib.metadata.version('meddlr') if meddlr else 'is not installed'}; torchvision's operators: "
          + ("declared here" if operators else "its own"))
