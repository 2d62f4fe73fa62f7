/* Answers line commands about metrics, for scripts/bench-metrics. Each answer is a line that starts
 * with "ok" or "error".
 *
 *     threads N                     of what follows
 *     checkpoint PATH               writes one as train-ssl does, of the default network and
 *                                   random weights
 *     images REF IMAGE H W          raw float32, read now
 *     maximum M                     of the reference's scan; 0: not known
 *     score {kind: ssim, …}         the score, 17 digits
 *     time SECONDS {kind: ssim, …}  median milliseconds of a score, over at least that long, with
 *                                   another reference each time: nothing is known from the last */
#include "base/mem.h"
#include "base/par.h"
#include "eval/metric.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct conf {
    struct cfg_pick metric;
};
static const struct cfg_field fields[] = {
    CFG_PICK(struct conf, metric, NULL, metric_kinds, "metric"), CFG_END};

static float *reference, *other, *image; /* other: reference, but for one pixel in the last digit */
static int h, w;
static double maximum;

static float *read_image(const char *path, struct err *e)
{
    size_t n = (size_t)h * (size_t)w;
    float *x = mem_new(n, sizeof *x, e);
    FILE *f = fopen(path, "rb");
    if (!f || !x || fread(x, sizeof *x, n, f) != n)
        err_set(e, ERR_NOINPUT, "%s: not %dx%d floats", path, h, w);
    if (f) fclose(f);
    return x;
}

static void load(const char *line, struct err *e)
{
    char a[512], b[512];
    if (sscanf(line, "%511s %511s %d %d", a, b, &h, &w) != 4) {
        err_set(e, ERR_USAGE, "images REF IMAGE H W");
        return;
    }
    mem_free(reference);
    mem_free(other);
    mem_free(image);
    reference = read_image(a, e);
    other = read_image(a, e);
    image = read_image(b, e);
    if (!e->code) other[h * w / 2] = 1.0000001f * other[h * w / 2] + 1e-30f;
}

static void write_checkpoint(const char *path, struct err *e)
{
    struct unet_conf conf = {0};
    struct graph *g;
    struct cfg *cfg = cfg_parse(unet_ssl_fields, &conf, "defaults", "", 0, NULL, 0, e);
    if (!cfg) return;
    params_free(save_checkpoint(path, "ssl", &conf, &g));
    graph_free(g);
    cfg_free(cfg);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_time(const struct metric *m, void *state, const void *conf, double seconds,
                          struct err *e)
{
    enum { MOST = 20000 };
    static double took[MOST];
    int n = 0;
    double out, end = now() + seconds;
    while ((now() < end || n < 5) && n < MOST) {
        double start = now();
        if (m->score(state, conf,
                     &(struct metric_pair){n % 2 ? reference : other, image, h, w, {maximum}}, &out,
                     e))
            return 0.0;
        took[n++] = now() - start;
    }
    qsort(took, (size_t)n, sizeof *took, ascending);
    return 1e3 * took[n / 2];
}

/* seconds: 0 for the score. */
static double answer(double seconds, const char *text, struct err *e)
{
    char yaml[4096];
    struct conf c = {0};
    double out = 0.0;
    int len = snprintf(yaml, sizeof yaml, "metric: %s\n", text);
    if (!image) {
        err_set(e, ERR_USAGE, "no images yet");
        return 0.0;
    }
    struct cfg *cfg = cfg_parse(fields, &c, "stdin", yaml, (size_t)len, NULL, 0, e);
    if (!cfg) return 0.0;
    const struct metric *m = (const struct metric *)c.metric.kind;
    void *state = m->open ? m->open(c.metric.conf, h, w, e) : NULL;
    if (!e->code) {
        if (seconds > 0.0)
            out = median_time(m, state, c.metric.conf, seconds, e);
        else
            m->score(state, c.metric.conf, &(struct metric_pair){reference, image, h, w, {maximum}},
                     &out, e);
    }
    if (m->close) m->close(state);
    cfg_free(cfg);
    return out;
}

int main(void)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        struct err e = {0};
        double value = 0.0;
        line[strcspn(line, "\n")] = '\0';
        char *rest = strchr(line, ' ');
        if (!rest) {
            err_set(&e, ERR_USAGE, "no such command");
        } else {
            *rest++ = '\0';
            char *end = rest;
            if (strcmp(line, "threads") == 0)
                par_set_threads(atoi(rest));
            else if (strcmp(line, "maximum") == 0)
                maximum = strtod(rest, NULL);
            else if (strcmp(line, "checkpoint") == 0)
                write_checkpoint(rest, &e);
            else if (strcmp(line, "images") == 0)
                load(rest, &e);
            else if (strcmp(line, "score") == 0)
                value = answer(0.0, rest, &e);
            else if (strcmp(line, "time") == 0) {
                double seconds = strtod(rest, &end);
                value = answer(seconds, end, &e);
            } else
                err_set(&e, ERR_USAGE, "no such command");
        }
        for (char *at = e.text; (at = strchr(at, '\n')); at++)
            *at = ';';
        if (e.code)
            printf("error %s\n", e.text);
        else
            printf("ok %.17g\n", value);
        fflush(stdout);
    }
    mem_free(reference);
    mem_free(other);
    mem_free(image);
    return 0;
}
