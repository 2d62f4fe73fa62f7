#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_entry(FILE *f, const char *line, struct golden_entry *e)
{
    int used = 0, step = 0;
    assert_int_equal(sscanf(line, "%63s %d%n", e->name, &e->rank, &used), 2);
    assert_true(e->rank >= 1 && e->rank <= 4);
    e->len = 1;
    for (int k = 0; k < e->rank; k++, used += step) {
        assert_int_equal(sscanf(line + used, "%d%n", &e->dim[k], &step), 1);
        assert_true(e->dim[k] >= 1 && e->dim[k] <= 4096);
        e->len *= (size_t)e->dim[k];
    }
    e->v = calloc(e->len, sizeof *e->v);
    assert_non_null(e->v);
    for (size_t i = 0; i < e->len; i++)
        assert_int_equal(fscanf(f, "%lf", &e->v[i]), 1);
    fgetc(f); /* the end of the line */
}

struct golden *golden_read(const char *name)
{
    const char *root = getenv("SSFD_SOURCE");
    char path[4096], line[512];
    snprintf(path, sizeof path, "%s/tests/nn/golden/%s", root ? root : ".", name);
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("cannot open %s", path);
    struct golden *g = calloc(1, sizeof *g);
    assert_non_null(g);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#') continue;
        assert_true(g->n < (int)(sizeof g->list / sizeof *g->list));
        read_entry(f, line, &g->list[g->n++]);
    }
    fclose(f);
    return g;
}

void golden_free(struct golden *g)
{
    for (int i = 0; g && i < g->n; i++)
        free(g->list[i].v);
    free(g);
}

const struct golden_entry *golden_find(const struct golden *g, const char *name)
{
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->list[i].name, name)) return &g->list[i];
    return NULL;
}

static uint64_t fnv1a64(const char *name)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h;
}

double golden_uniform(const char *name, uint64_t i)
{
    uint64_t z = fnv1a64(name) + i * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return 2 * ((double)(z >> 11) * 0x1p-53) - 1;
}

void golden_image(const struct golden *g, const char *name, size_t n, double *x)
{
    const struct golden_entry *e = golden_find(g, "stream");
    char stream[64];
    assert_non_null(e);
    snprintf(stream, sizeof stream, "%s%.0f", name, e->v[0]);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)golden_uniform(stream, i);
}

void golden_param(const char *name, int rank, const int *dim, double *x)
{
    const size_t end = strlen(name), tail = strlen("weight");
    const bool weight = end > tail && !strcmp(name + end - tail, "weight");
    const int fan_in = rank < 4 ? 0 : strstr(name, ".deconv.") ? dim[0] : dim[1] * dim[2] * dim[3];
    const double bound = rank == 4 ? sqrt(6.0 / fan_in) : weight ? 0.5 : 0.1;
    size_t n = 1;
    for (int k = 0; k < rank; k++)
        n *= (size_t)dim[k];
    for (size_t i = 0; i < n; i++) {
        const double u = golden_uniform(name, i) * bound;
        x[i] = (float)(rank == 1 && weight ? 1 + u : u);
    }
}

struct unet_conf golden_conf(bool ssl)
{
    return ssl ? (struct unet_conf){1, 1, 4, 3, UNET_BLOCK_CONTEXT, 2, 0, .residual = false}
               : (struct unet_conf){2, 2, 4, 3, UNET_BLOCK_FASTMRI, 0, 0, .residual = false};
}

struct shape golden_input(bool ssl)
{
    return (struct shape){2, 32, 48, ssl ? 1 : 2};
}
