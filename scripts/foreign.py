"""Other people's metrics, imported where today's torch and numpy differ from those they were made for."""
import importlib
import sys

import torch


def torchvision():
    """piq and meddlr import it, and use none of its operators; its wheel from PyPI does not load beside torch's CPU wheel."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")
        return library  # its operators live as long as it
    return None


kept = torchvision()
piq = importlib.import_module("piq")
