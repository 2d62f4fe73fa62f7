#include "base/mem.h"
#include "base/stat.h"

#include <math.h>
#include <stdlib.h>

struct item {
    double x;
    int at;
};

/* By value, and equal ones by place: the order is the same whatever qsort does. */
static int by_value(const void *a, const void *b)
{
    const struct item *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->at > q->at) - (p->at < q->at);
}

static struct item *sorted(const double *x, int n, struct err *e)
{
    struct item *list = mem_new((size_t)n, sizeof *list, e);
    if (!list) return NULL;
    for (int i = 0; i < n; i++)
        list[i] = (struct item){x[i], i};
    qsort(list, (size_t)n, sizeof *list, by_value);
    return list;
}

static int run_end(const struct item *list, int from, int n)
{
    int to = from + 1;
    while (to < n && list[to].x == list[from].x)
        to++;
    return to;
}

int stat_ranks(const double *x, int n, double *rank, struct err *e)
{
    struct item *list = sorted(x, n, e);
    if (!list) return -1;
    for (int from = 0, to; from < n; from = to) {
        to = run_end(list, from, n);
        for (int k = from; k < to; k++)
            rank[list[k].at] = 0.5 * (from + 1 + to);
    }
    mem_free(list);
    return 0;
}

int stat_normal_scores(const double *x, int n, double *z, struct err *e)
{
    if (stat_ranks(x, n, z, e)) return -1;
    for (int i = 0; i < n; i++)
        z[i] = stat_normal_quantile((z[i] - 0.5) / n);
    return 0;
}

/* U of effective groups in place of those there are: all values of a unit the same are as good as
 * one. `ties`: the sum over runs of equal values of t^3 - t. */
static double mann_whitney_p(const struct two_groups *g, double ties, double effective)
{
    const double n = g->na + g->nb, share = effective / n;
    const double a = g->na * share, b = g->nb * share;
    const double squares = (n * n * n - n - ties) / 12.0 * share * share * share; /* of ranks */
    const double sd = sqrt(a * b / (effective * (effective - 1.0)) * squares);
    const double off = fabs(g->u * share * share - a * b / 2.0) - 0.5;
    return !(sd > 0.0) || off <= 0.0 ? 1.0 : erfc(off / sd * M_SQRT1_2);
}

int stat_mann_whitney(const double *x, const int *in_a, const int *unit, int n,
                      struct two_groups *out, struct err *e)
{
    double sum = 0.0, ties = 0.0, na = 0.0;
    struct item *list = sorted(x, n, e);
    double *rank = mem_new(2 * (size_t)n, sizeof *rank, e), *group = rank ? rank + n : NULL;
    if (!list || !rank) {
        mem_free(list);
        mem_free(rank);
        return -1;
    }
    for (int from = 0, to; from < n; from = to) {
        to = run_end(list, from, n);
        double t = to - from;
        ties += t * t * t - t;
        for (int k = from; k < to; k++) {
            const int at = list[k].at;
            rank[at] = 0.5 * (from + 1 + to);
            group[at] = in_a[at] != 0;
            if (in_a[at]) sum += rank[at], na++;
        }
    }
    double nb = n - na, u = sum - na * (na + 1.0) / 2.0, pairs = na * nb;
    *out = (struct two_groups){.auc = NAN, .u = u, .p = NAN, .na = (int)na, .nb = (int)nb};
    if (pairs > 0.0) {
        out->auc = u / pairs;
        out->p = mann_whitney_p(out, ties, stat_effective(rank, group, unit, n));
    }
    mem_free(list);
    mem_free(rank);
    return 0;
}

int stat_roc(const double *x, const int *in_a, int n, struct roc_point *point, int *points,
             struct err *e)
{
    struct item *list = sorted(x, n, e);
    if (!list) return -1;
    double na = 0.0, hit = 0.0, wrong = 0.0;
    for (int i = 0; i < n; i++)
        na += in_a[i] != 0;
    *points = 0;
    point[(*points)++] = (struct roc_point){0.0, 0.0, INFINITY};
    for (int k = n - 1; k >= 0; k--) {
        if (in_a[list[k].at])
            hit++;
        else
            wrong++;
        if (k > 0 && list[k - 1].x == list[k].x) continue; /* one threshold takes all ties */
        point[(*points)++] = (struct roc_point){wrong / (n - na), hit / na, list[k].x};
    }
    mem_free(list);
    return 0;
}

/* Sums of |x - y| over the values y of both groups, for every x, from prefix sums of the sorted
 * values: time n log n. */
int stat_silhouette(const double *x, const int *in_a, int n, double *out, struct err *e)
{
    double count[2] = {0.0, 0.0}, total[2] = {0.0, 0.0}, sum = 0.0;
    const double zero = n > 0 ? x[0] : 0.0; /* near the data: less is lost in the sums */
    for (int i = 0; i < n; i++) {
        count[in_a[i] != 0]++;
        total[in_a[i] != 0] += x[i] - zero;
    }
    *out = NAN;
    if (count[0] < 2.0 || count[1] < 2.0) return 0;
    struct item *list = sorted(x, n, e);
    if (!list) return -1;
    double below[2] = {0.0, 0.0}, number[2] = {0.0, 0.0}; /* of the values before in the order */
    for (int k = 0; k < n; k++) {
        double v = list[k].x - zero, distance[2];
        int own = in_a[list[k].at] != 0;
        for (int g = 0; g < 2; g++)
            distance[g] =
                number[g] * v - below[g] + (total[g] - below[g]) - (count[g] - number[g]) * v;
        double a = distance[own] / (count[own] - 1.0), b = distance[!own] / count[!own];
        double larger = fmax(a, b);
        if (larger > 0.0) sum += (b - a) / larger;
        below[own] += v;
        number[own]++;
    }
    mem_free(list);
    *out = sum / n;
    return 0;
}
