#!/usr/bin/env python3
"""Writes tests/base/golden/stat.txt: samples, and what SciPy says of them. Needs numpy and scipy from the caller's
Python environment; the tests read the text only.

    scripts/make-golden-stat.py [FILE]      default: tests/base/golden/stat.txt of this repository
"""
import pathlib
import sys

import numpy as np
import scipy
from scipy import optimize, stats

FILE = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else (
    pathlib.Path(__file__).resolve().parent.parent / "tests" / "base" / "golden" / "stat.txt")


def partial(x, y, z):
    """The correlation of what a straight line in z leaves of x and of y."""
    rest = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    r = stats.pearsonr(*rest)[0]
    df = len(x) - 3
    return r, 2 * stats.t.sf(abs(r) * np.sqrt(df / (1 - r * r)), df)


def silhouette(x, a):
    """Straight from the definition."""
    s = []
    for i, v in enumerate(x):
        own = [abs(v - x[j]) for j in range(len(x)) if a[j] == a[i] and j != i]
        other = [abs(v - x[j]) for j in range(len(x)) if a[j] != a[i]]
        p, q = np.mean(own), np.mean(other)
        s.append((q - p) / max(p, q) if max(p, q) > 0 else 0)
    return np.mean(s)


def results(x, y, z, a):
    yield "mean", x.mean()
    yield "sd", x.std(ddof=1)
    yield "ci_low", stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))[0]
    yield "quantile", np.quantile(x, 0.31)
    yield "pearson", stats.pearsonr(x, y)[0]
    yield "pearson_p", stats.pearsonr(x, y)[1]
    yield "spearman", stats.spearmanr(x, y)[0]
    yield "spearman_p", stats.spearmanr(x, y)[1]
    yield "kendall", stats.kendalltau(x, y)[0]
    yield "partial", partial(x, y, z)[0]
    yield "partial_p", partial(x, y, z)[1]
    u = stats.mannwhitneyu(x[a == 1], x[a == 0], method="asymptotic")
    yield "u", u[0]
    yield "u_p", u[1]
    yield "auc", u[0] / (np.sum(a == 1) * np.sum(a == 0))
    yield "silhouette", silhouette(x, a)
    yield "rank_sum", stats.rankdata(x)[a == 1].sum()
    line = stats.linregress(x, y)
    yield "slope", line.slope
    yield "intercept", line.intercept
    yield "r2", line.rvalue**2


def clustered_mean(x, unit):
    """Regression on a constant with a cluster-robust variance, as statistics packages have it, and t of its p."""
    n, k, units = len(x), 1, np.unique(unit)
    X = np.ones((n, k))
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ X.T @ x
    scores = [X[unit == g].T @ (x - X @ beta)[unit == g] for g in units]
    factor = len(units) / (len(units) - 1) * (n - 1) / (n - k)
    error = np.sqrt((bread @ sum(np.outer(s, s) for s in scores) @ bread * factor)[0, 0])
    return beta[0], error, 2 * stats.t.sf(abs(beta[0] / error), len(units) - 1), len(units) - 1


def effective(x, y, unit):
    """Pairs divided by the design effect of the sum of their products."""
    t = (x - x.mean()) * (y - y.mean())
    sums = np.array([t[unit == g].sum() for g in np.unique(unit)])
    sizes = np.array([np.sum(unit == g) for g in np.unique(unit)])
    return len(x) / np.clip(np.sum(sums**2) / np.sum(t**2), 1, np.sum(sizes**2) / len(x))


def clustered(x, y, z, a, unit):
    mean, error, p, df = clustered_mean(x, unit)
    yield "ci_low", stats.t.interval(0.95, df, mean, error)[0]
    yield "mean_p", p

    def p_of(r, n, held):
        df = int(n) - 2 - held
        return 2 * stats.t.sf(abs(r) * np.sqrt(df / (1 - r * r)), df)

    rx, ry = stats.rankdata(x), stats.rankdata(y)
    yield "effective", effective(x, y, unit)
    yield "pearson_p", p_of(stats.pearsonr(x, y)[0], effective(x, y, unit), 0)
    yield "spearman_p", p_of(stats.spearmanr(x, y)[0], effective(rx, ry, unit), 0)
    rest = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    yield "partial_p", p_of(partial(x, y, z)[0], effective(*rest, unit), 1)
    # the normal approximation of U, from the variance of the ranks, with so many values
    share = effective(rx, a.astype(float), unit) / len(x)
    u = stats.mannwhitneyu(x[a == 1], x[a == 0])[0]
    n1, n0, n = np.array([np.sum(a == 1), np.sum(a == 0), len(x)]) * share
    sd = np.sqrt(n1 * n0 / (n * (n - 1)) * np.sum((rx - rx.mean())**2) * share**3)
    yield "u_p", 2 * stats.norm.sf((abs(u * share**2 - n1 * n0 / 2) - 0.5) / sd)


def misfit(y, fitted, parameters):
    """Largest distance, and Akaike's criterion from the likelihood of normal errors, corrected for few points."""
    n, k = len(y), parameters + 1
    sd = np.sqrt(np.mean((y - fitted)**2))
    likelihood = np.sum(stats.norm.logpdf(y, fitted, sd)) + n / 2 * (1 + np.log(2 * np.pi)) # as usual, less constants
    return np.max(np.abs(y - fitted)), -2 * likelihood + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def decays():
    t = np.linspace(0, 4.5, 11)
    for rate, noise in [(0.8, 0.0), (0.8, 0.01), (-0.3, 0.01), (2.5, 0.02)]:
        y = np.round(0.3 + 0.7 * np.exp(-rate * t) + noise * np.cos(7 * t), 6)
        model = lambda t, c, a, b: c + a * np.exp(-b * t)
        (c, a, b), _ = optimize.curve_fit(model, t, y, p0=(0.3, 0.7, rate), xtol=1e-14, ftol=1e-14, gtol=1e-14)
        yield t, y, (b, a, c, 1 - np.sum((model(t, c, a, b) - y)**2) / np.sum((y - y.mean())**2),
                     *misfit(y, model(t, c, a, b), 3), *misfit(y, np.polyval(np.polyfit(t, y, 1), t), 2))


def main():
    rng = np.random.default_rng(3)
    with open(FILE, "w") as f:
        f.write(f"# scripts/make-golden-stat.py: numpy {np.__version__}, scipy {scipy.__version__}\n")
        for n, digits in [(5, 1), (12, 1), (24, 0), (60, 2)]:
            x = np.round(rng.normal(3, 2, n), digits)
            y = np.round(0.6 * x + rng.normal(0, 1.5, n), digits)
            z = np.round(x - y + rng.normal(0, 2, n), digits)
            a = (rng.uniform(size=n) < 0.4 + 0.1 * (x > 3)).astype(int)
            a[:4] = 0, 0, 1, 1
            f.write(f"sample {n}\n")
            for row in zip(x, y, z, a):
                f.write("{:.10g} {:.10g} {:.10g} {:d}\n".format(*row))
            for name, value in results(x, y, z, a):
                f.write(f"{name} {value:.15g}\n")
        for units, most, spread in [(6, 4, 0.3), (15, 7, 1.0), (20, 3, 3.0)]:
            unit = np.repeat(np.arange(units), rng.integers(1, most + 1, units))[:64]
            own, n = rng.normal(0, 2, (3, units))[:, unit], len(unit)
            x = np.round(0.5 + own[0] + rng.normal(0, spread, n), 1)
            y = np.round(0.4 * x + own[1] + rng.normal(0, spread, n), 1)
            z = np.round(own[2] + 0.2 * y + rng.normal(0, spread, n), 1)
            a = (rng.uniform(size=n) < 0.3 + 0.3 * (unit % 2)).astype(int)
            f.write(f"clusters {n}\n")
            for row in zip(x, y, z, a, unit):
                f.write("{:.10g} {:.10g} {:.10g} {:d} {:d}\n".format(*row))
            for name, value in clustered(x, y, z, a, unit):
                f.write(f"{name} {value:.15g}\n")
        for t, y, fit in decays():
            f.write(f"decay {len(t)}\n")
            for row in zip(t, y):
                f.write("{:.10g} {:.10g}\n".format(*row))
            f.write(" ".join(f"{v:.12g}" for v in fit) + "\n")
        for p, df in [(0.975, 1), (0.975, 11), (0.6, 198), (0.01, 30)]:
            f.write(f"student {p} {df} {stats.t.ppf(p, df):.15g}\n")
        for p in [1e-9, 0.025, 0.5, 0.9]:
            f.write(f"normal {p} {stats.norm.ppf(p):.15g}\n")
        x = np.array([1.5, 2.0, 2.2, 3.1, 3.3, 4.0, 4.8, 5.0, 5.5, 7.5, 8.0, 9.9])
        ci = stats.bootstrap((x,), np.mean, n_resamples=400000, method="percentile", rng=rng).confidence_interval
        f.write(f"bootstrap {len(x)} " + " ".join(f"{v:g}" for v in x) + f" {ci.low:.5g} {ci.high:.5g}\n")


main()
