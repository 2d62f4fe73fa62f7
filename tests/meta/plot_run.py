#!/usr/bin/env python3
"""scripts/plot-run draws what a run logged, also while it goes on, and says what is wrong where it cannot."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PLOT = os.path.join(os.environ["SSFD_SOURCE"], "scripts", "plot-run")
LOG = "".join(json.dumps({"step": 10 * k, "loss": 1 / k, "lr": 1e-3, "loss_l2": 2 / k}) + "\n" for k in range(1, 9)) + "".join(
    json.dumps({"step": 40 * k, "val_loss": 0.9 / k, "val_loss_l2": 1.8 / k, "val_psnr": 20.0 + k, "val_psnr_zero_filled": 20.5}) + "\n"
    for k in (1, 2))


def main():
    bad = []

    def expect(what, arguments, status, text, cwd, path=os.environ["PATH"]):
        run = subprocess.run([sys.executable, PLOT, *arguments], cwd=cwd, capture_output=True, text=True, check=False,
                             env=os.environ | {"PATH": path})
        if run.returncode != status or text not in run.stdout + run.stderr or "Traceback" in run.stderr:
            bad.append(f"{what}: status {run.returncode}, {run.stdout}{run.stderr}")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        logs = {"one": LOG, "two": LOG + '{"step": 90, "lo', "empty": "", "junk": "hello\n" + LOG,
                "list": "[1]\n" + LOG, "text": '{"step": 1, "loss": "x"}\n' + LOG, "nulls": '{"step": 5, "loss": null}\n'}
        for run, log in logs.items():
            (folder / run).mkdir()
            (folder / run / "metrics.jsonl").write_text(log, encoding="utf-8")
        (folder / "none").mkdir()
        if shutil.which("gnuplot"):
            expect("one run", ["one"], 0, "curves.png", folder)
            expect("two, one of them going on", ["one", "two", "-o", "both.png"], 0, "both.png", folder)
            expect("linear", ["one", "--linear", "-o", "flat"], 0, "flat.png", folder)
            for figure, kind in (("curves.png", b"\x89PNG"), ("both.png", b"\x89PNG"), ("curves.svg", b"<?xml")):
                if not (folder / figure).is_file() or not (folder / figure).read_bytes().startswith(kind):
                    bad.append(f"{figure} was not drawn")
            if "two: val_psnr" not in (folder / "both.svg").read_text(encoding="utf-8"):
                bad.append("both.svg does not name the runs")
            # Twice: as PNG and as SVG.
            labels = [line for line in (folder / "both.gp").read_text(encoding="utf-8").split("\n") if "set ylabel" in line]
            if labels[:len(labels) // 2] != [f'set ylabel "{label}"' for label in ("loss", "loss l2", "PSNR [dB]", "learning rate")]:
                bad.append(f"both.gp has the plots {labels}")
        expect("no gnuplot", ["one", "-o", "alone"], 1, "gnuplot is not installed; 'alone.gp'", folder, path=name)
        expect("no run", [], 64, "no run directory", folder)
        expect("an unknown option", ["--no-such"], 64, "--help", folder)
        expect("help", ["--help"], 0, "usage: scripts/plot-run", folder)
        expect("a missing folder", ["gone"], 1, "gone: there is no such", folder)
        expect("a folder without a log", ["none"], 1, "metrics.jsonl", folder)
        expect("nothing logged", ["empty"], 1, "nothing is logged", folder)
        expect("only missing values", ["nulls"], 1, "nothing is logged", folder)
        for run in ("junk", "list", "text"):
            expect("a damaged line", [run], 1, "metrics.jsonl:1:", folder)
        expect("nowhere to write", ["one", "-o", "gone/x"], 1, "cannot be written", folder)
    print("\n".join(bad), file=sys.stderr)
    return bool(bad)


sys.exit(main())
