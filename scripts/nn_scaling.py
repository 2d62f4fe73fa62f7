#!/usr/bin/env python3
"""How time and memory of a training step grow; scripts/bench-nn --scaling.

usage: nn_scaling.py       prints this

One thing at a time is varied, the others stay at batch 2, 320 x 320, the default filters, all threads. Every point is a
fresh process: median of its steps, in milliseconds; memory of the plan; peak resident memory.
"""
import csv
import math
import statistics
import subprocess
import sys

import nn_sides

NETS = {"ssl": 20, "recon": 32}  # and their filters
COLUMNS = ["net", "varied", "value", "batch", "side", "filters", "threads", "ms", "ms_low", "ms_high", "arena_mib",
           "peak_rss_mib", "fma_gflops"]

PLOT = r"""
set terminal pngcairo size 1600,1100 font "Liberation Sans,16" linewidth 2
set output "{png}"
set datafile separator ","
set multiplot layout 2,2 title "One training step in fp32: time (solid) and memory of the plan (dashed)"
set key top left; set grid; set ylabel "ms a step"; set y2label "MiB"; set ytics nomirror; set y2tics
set xrange [0:]; set yrange [0:]; set y2range [0:]; set offsets 0, graph 0.05, graph 0.08, 0
"""
PANELS = [("batch", "images in the batch", "$3"), ("side", "pixels of an image, thousands", "$3**2/1e3"),
          ("filters", "filters of the first level", "$3"), ("threads", "threads", "$3")]


def points(threads, quick):
    for net, filters in NETS.items():
        base = dict(batch=2, side=320, filters=filters, threads=threads)
        series = {"batch": [1, 2, 4, 8, 12], "side": [96, 160, 224, 320, 448, 640],
                  "filters": [filters // 2, filters, filters * 3 // 2, filters * 2], "threads": range(1, threads + 1)}
        for varied, values in series.items():
            for value in values[::2] if quick and varied != "threads" else values:
                yield net, varied, value, base | {varied: value}


def point(build, net, at, steps):
    with nn_sides.ssfd(build, at["threads"]) as side:
        plan = side.facts("plan", "train", net, "fp32", at["batch"], at["side"], f"filters={at['filters']}",
                          f"dropout={0.1 if net == 'ssl' else 0}")
        side.ask("run", 2)
        ms, rates = [], []
        for _ in range(steps):  # one where the processors were at their best
            rates.append(side.numbers("fma", 0.03)[0])
            ms.append(1e3 * side.numbers("run", 1)[0])
        kept = sorted(t for t, rate in zip(ms, rates) if rate >= 0.9 * max(rates))
        peak = side.numbers("rss")[1]
        return dict(ms=statistics.median(kept), ms_low=kept[0], ms_high=kept[-1], arena_mib=int(plan["arena_bytes"]) / 2**20,
                    peak_rss_mib=peak / 2**20, fma_gflops=max(rates))


def exponent(xs, ys):
    """Of the power law nearest to the points, by least squares of the logarithms."""
    u, v = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_u, mean_v = statistics.fmean(u), statistics.fmean(v)
    return sum((a - mean_u) * (b - mean_v) for a, b in zip(u, v)) / sum((a - mean_u) ** 2 for a in u)


def plot(folder):
    script = PLOT.format(png=folder / "scaling.png")
    for varied, label, x in PANELS:
        curves = []
        for color, net in enumerate(NETS, 1):
            where = f'strcol(1) eq "{net}" && strcol(2) eq "{varied}"'
            for axes, column, style in ("x1y1", "ms", "lw 2"), ("x1y2", "arena_mib", "dt 2"):
                number = COLUMNS.index(column) + 1
                title = f'title "{net}"' if axes == "x1y1" else "notitle"
                curves.append(f'"{folder}/scaling.csv" using ({where} ? {x} : NaN):{number} axes {axes} with linespoints '
                              f"pt 7 lc {color} {style} {title}")
        script += f'set xlabel "{label}"; set xtics {"1" if varied == "threads" else "autofreq"}\nplot ' + ", ".join(curves) + "\n"
    (folder / "scaling.gnuplot").write_text(script, encoding="utf-8")
    subprocess.run(["gnuplot", folder / "scaling.gnuplot"], check=True)


def run(build, folder, threads, steps):
    folder.mkdir(parents=True, exist_ok=True)
    rows, todo = [], list(points(threads, steps < 5))
    for i, (net, varied, value, at) in enumerate(todo, 1):
        rows.append(dict(net=net, varied=varied, value=value, **at) | point(build, net, at, steps))
        r = rows[-1]
        print(f"bench-nn: {i} of {len(todo)}: {net} {varied} {value}: {r['ms']:.0f} ms, plan {r['arena_mib']:.0f} MiB, "
              f"resident {r['peak_rss_mib']:.0f} MiB", file=sys.stderr, flush=True)
    with open(folder / "scaling.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, COLUMNS)
        table.writeheader()
        table.writerows({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    plot(folder)
    print("exponents of fitted power laws (1: linear)")
    for net in NETS:
        for varied, power in ("side", 2), ("batch", 1), ("filters", 1), ("threads", 1):
            some = [r for r in rows if (r["net"], r["varied"]) == (net, varied)]
            if len(some) > 1:
                xs = [r["value"] ** power for r in some]
                fits = [exponent(xs, [r[k] for r in some]) for k in ("ms", "arena_mib", "peak_rss_mib")]
                print(f"  {net:6} against {'pixels' if varied == 'side' else varied:8} time {fits[0]:.2f}, "
                      f"memory of the plan {fits[1]:.2f}, resident {fits[2]:.2f}")
    print(f"{folder / 'scaling.csv'}, {folder / 'scaling.png'}")


if __name__ == "__main__":
    print(__doc__)
