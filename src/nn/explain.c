/* What a plan is made of, and what that takes. */
#include "nn/plan_rep.h"

#include "base/par.h"

#include <string.h>

static const double MIB = 1024.0 * 1024.0;

enum { FORWARD, BACKWARD, PASSES };

struct figures { /* of a node, by pass; zero of one that has not run */
    double seconds[PASSES], flops[PASSES], bytes[PASSES];
};

static bool is_convolution(const struct node *n)
{
    return n->op->flops != NULL;
}

static bool runs_forward(const struct node *n)
{
    return n->op->forward && !(n->flags & OP_ALIAS);
}

static double bytes_of(struct shape s)
{
    return (double)(shape_len(s) * sizeof(float));
}

/* Every tensor that a pass must read or write, once. */
static void count_bytes(const struct node *n, double bytes[PASSES])
{
    bytes[FORWARD] = bytes[BACKWARD] = (double)n->need.keep;
    for (int k = 0; k < n->nin; k++) {
        const double x = bytes_of(n->x[k]);
        bytes[FORWARD] += x;
        bytes[BACKWARD] += (n->wants_dx[k] ? x : 0.0) + (n->flags & OP_KEEPS_X ? x : 0.0);
    }
    for (int k = 0; k < n->nout; k++) {
        bytes[FORWARD] += bytes_of(n->y[k]);
        bytes[BACKWARD] += bytes_of(n->y[k]);
    }
    if (n->flags & OP_KEEPS_Y) bytes[BACKWARD] += bytes_of(n->y[0]);
}

static struct figures figures_of(const struct plan *p, int i)
{
    const struct node *n = &p->node[i];
    struct figures f = {.seconds = {0}};
    if (is_convolution(n)) {
        f.flops[FORWARD] = n->op->flops(n);
        f.flops[BACKWARD] =
            f.flops[FORWARD] * (n->wants_dw + (n->wants_dx[0] || (n->nin == 2 && n->wants_dx[1])));
    } else {
        count_bytes(n, f.bytes);
    }
    if (runs_forward(n)) f.seconds[FORWARD] = p->least[i];
    if (n->backward) f.seconds[BACKWARD] = p->least[time_back(p, i)];
    for (int k = 0; k < PASSES; k++)
        if (f.seconds[k] == 0.0) f.flops[k] = f.bytes[k] = 0.0;
    return f;
}

static void name_kernel(const struct node *n, char *text, size_t size)
{
    if (n->flags & OP_ALIAS)
        snprintf(text, size, "none, shares memory");
    else if (n->flags & OP_INPUT)
        snprintf(text, size, "filled by the caller");
    else if (n->op->kernel)
        n->op->kernel(n, text, size);
    else
        snprintf(text, size, "own");
}

int plan_kernels(const struct plan *p, struct plan_kernel *list, int room)
{
    int n = 0;
    for (int i = 0; i < p->nodes; i++) {
        if (!is_convolution(&p->node[i])) continue;
        struct plan_kernel k = {.nodes = 1};
        name_kernel(&p->node[i], k.name, sizeof k.name);
        int at = 0;
        while (at < n && at < room && strcmp(list[at].name, k.name))
            at++;
        if (at < n && at < room) {
            list[at].nodes++;
        } else {
            if (at < room) list[at] = k;
            n++;
        }
    }
    return n;
}

/* A number, or a dash for what does not apply or was not measured. */
static void cell(FILE *out, int width, int digits, double x)
{
    if (x > 0.0)
        fprintf(out, " %*.*f", width, digits, x);
    else
        fprintf(out, " %*s", width, "-");
}

static double rate(double amount, double seconds)
{
    return seconds > 0.0 ? 1e-9 * amount / seconds : 0.0;
}

static void explain_head(FILE *out)
{
    fprintf(out, "%-27s %-15s %8s %7s %7s %7s %8s %8s %8s %8s %7s %6s  %s\n", "", "", "at", "size",
            "kept", "scratch", "forward", "backward", "forward", "backward", "of", "", "");
    fprintf(out, "%-27s %-15s %8s %7s %7s %7s %8s %8s %8s %8s %7s %6s  %s\n", "node", "output",
            "MiB", "MiB", "MiB", "MiB", "ms", "ms", "GFLOP/s", "GFLOP/s", "peak", "GB/s", "kernel");
}

static void explain_node(const struct plan *p, int i, double peak_gflops, FILE *out)
{
    const struct node *n = &p->node[i];
    const struct gnode *g = &p->g->node[i];
    const struct shape s = n->y[0];
    const struct figures f = figures_of(p, i);
    const char *tap = p->g->value[g->out[0]].name;
    const size_t scratch =
        n->backward && n->need.backward > n->need.forward ? n->need.backward : n->need.forward;
    char shape[64], name[OP_NAME + GRAPH_NAME + 4], kernel[256];
    snprintf(shape, sizeof shape, "%dx%dx%dx%d", s.n, s.h, s.w, s.c);
    snprintf(name, sizeof name, "%s%s%s", n->name, tap[0] ? ":" : "", tap);
    name_kernel(n, kernel, sizeof kernel);
    fprintf(out, "%-27s %-15s %8.2f %7.2f", name, shape,
            (double)p->span[p->data[g->out[0]]].offset / MIB, bytes_of(s) / MIB);
    cell(out, 7, 2, (double)n->need.keep / MIB);
    cell(out, 7, 2, (double)scratch / MIB);
    for (int k = 0; k < PASSES; k++)
        cell(out, 8, 3, 1e3 * f.seconds[k]);
    for (int k = 0; k < PASSES; k++)
        cell(out, 8, 1, rate(f.flops[k], f.seconds[k]));
    const double seconds = f.seconds[FORWARD] + f.seconds[BACKWARD];
    const double gflops = rate(f.flops[FORWARD] + f.flops[BACKWARD], seconds);
    cell(out, 7, 3, peak_gflops > 0.0 ? gflops / peak_gflops : 0.0);
    cell(out, 6, 1, rate(f.bytes[FORWARD] + f.bytes[BACKWARD], seconds));
    fprintf(out, "  %s\n", kernel);
}

struct sums {
    double convolutions, others, flops;
};

static struct sums sum_up(const struct plan *p)
{
    struct sums s = {0};
    for (int i = 0; i < p->nodes; i++) {
        const struct figures f = figures_of(p, i);
        const double seconds = f.seconds[FORWARD] + f.seconds[BACKWARD];
        *(is_convolution(&p->node[i]) ? &s.convolutions : &s.others) += seconds;
        s.flops += f.flops[FORWARD] + f.flops[BACKWARD];
    }
    return s;
}

static void share(FILE *out, const char *what, double seconds, double whole)
{
    fprintf(out, "%s %.3f (%.1f %%)", what, 1e3 * seconds, 100.0 * seconds / whole);
}

static void explain_sums(const struct plan *p, struct plan_yardstick y, FILE *out)
{
    const struct sums s = sum_up(p);
    fprintf(out, "arena %.1f MiB (%.1f an image), weights for kernels %.1f MiB\n",
            (double)p->arena_bytes / MIB, (double)p->arena_bytes / MIB / p->conf.batch,
            (double)p->packed_bytes / MIB);
    if (y.peak_gflops > 0.0)
        fprintf(out,
                "peak %.1f GFLOP/s: float32 multiply-adds in vector registers, threads %d; "
                "matrix units and Winograd can exceed it\n",
                y.peak_gflops, par_threads());
    if (p->passes == 0) return;
    const double nodes = s.convolutions + s.others + p->least_pack;
    const double whole = y.step_seconds > nodes ? y.step_seconds : nodes;
    fprintf(out, "whole %.3f ms (%.3f an image; least of %ld): ", 1e3 * whole,
            1e3 * whole / p->conf.batch, p->passes);
    share(out, "convolutions", s.convolutions, whole);
    share(out, ", other nodes", s.others, whole);
    share(out, ", weights to kernels", p->least_pack, whole);
    if (whole > nodes) share(out, ", optimiser and gaps", whole - nodes, whole);
    fprintf(out, "\nconvolutions: %.3f GFLOP; %.1f GFLOP/s in their own time, %.1f in the whole",
            1e-9 * s.flops, rate(s.flops, s.convolutions), rate(s.flops, whole));
    if (y.peak_gflops > 0.0) fprintf(out, ", %.3f of peak", rate(s.flops, whole) / y.peak_gflops);
    fputc('\n', out);
}

void plan_explain(const struct plan *p, struct plan_yardstick y, FILE *out)
{
    explain_head(out);
    for (int i = 0; i < p->nodes; i++)
        explain_node(p, i, y.peak_gflops, out);
    explain_sums(p, y, out);
}
