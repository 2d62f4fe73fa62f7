#include "eval/fit.h"

#include "base/par.h"

#include <math.h>

/* Means over the rows but one, and the products of deviations from them: the normal equations. */
struct normal {
    int n;
    double mean[FIT_MOST + 1];                  /* of the columns, and of y */
    double product[FIT_MOST + 1][FIT_MOST + 1]; /* the same order */
};

static double value(const double *x, const double *y, int n, int i, int k)
{
    return k < n ? x[i * n + k] : y[i];
}

static void accumulate(const double *x, const double *y, int rows, int n, int without,
                       struct normal *s)
{
    int used = rows - (without >= 0);
    s->n = n;
    for (int k = 0; k <= n; k++) {
        s->mean[k] = 0.0;
        for (int i = 0; i < rows; i++)
            if (i != without) s->mean[k] += value(x, y, n, i, k) / used;
    }
    for (int k = 0; k <= n; k++)
        for (int l = 0; l <= k; l++) {
            double sum = 0.0;
            for (int i = 0; i < rows; i++)
                if (i != without)
                    sum +=
                        (value(x, y, n, i, k) - s->mean[k]) * (value(x, y, n, i, l) - s->mean[l]);
            s->product[k][l] = s->product[l][k] = sum;
        }
}

void fit_nonnegative(const double *x, const double *y, int rows, int n, int without,
                     struct fit *out)
{
    enum { MOST_ROUNDS = 200000 };
    struct normal s;
    accumulate(x, y, rows, n, without, &s);
    double *w = out->weight, change = INFINITY;
    for (int k = 0; k < n; k++)
        w[k] = 0.0;
    /* change: of the prediction, in units of y's deviation */
    for (int round = 0; round < MOST_ROUNDS && change > 1e-13; round++) {
        change = 0.0;
        for (int k = 0; k < n; k++) {
            double own = s.product[k][k], slope = s.product[k][n], before = w[k];
            if (!(own > 1e-24 * rows * s.mean[k] * s.mean[k])) continue; /* constant */
            for (int l = 0; l < n; l++)
                slope -= s.product[k][l] * w[l];
            double after = before + slope / own;
            w[k] = after > 0.0 ? after : 0.0;
            double moved = fabs(w[k] - before) * sqrt(own / (s.product[n][n] + 1e-300));
            change = moved > change ? moved : change;
        }
    }
    out->intercept = s.mean[n];
    for (int k = 0; k < n; k++)
        out->intercept -= w[k] * s.mean[k];
}

double fit_predict(const struct fit *f, const double *x, int n)
{
    double sum = f->intercept;
    for (int k = 0; k < n; k++)
        sum += f->weight[k] * x[k];
    return sum;
}

struct leave {
    const double *x, *y;
    int rows, n;
    double *prediction;
};

static void leave_out(void *ctx, int i)
{
    const struct leave *l = ctx;
    struct fit f;
    fit_nonnegative(l->x, l->y, l->rows, l->n, i, &f);
    l->prediction[i] = fit_predict(&f, l->x + i * l->n, l->n);
}

void fit_leave_one_out(const double *x, const double *y, int rows, int n, double *prediction)
{
    struct leave l = {x, y, rows, n, prediction};
    par_for(rows, leave_out, &l);
}
