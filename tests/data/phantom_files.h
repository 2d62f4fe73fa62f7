/* Small simulated scans for tests, and what is in them. */
#pragma once

#include "base/h5.h"
#include "base/mem.h"
#include "data/defect.h"
#include "data/phantom.h"
#include "scratch.h"

static struct err e;

static inline struct phantom_conf small(void)
{
    return (struct phantom_conf){.out = scratch,
                                 .scans = 2,
                                 .seed = 5,
                                 .slices = 3,
                                 .coils = 4,
                                 .size = 64,
                                 .anatomy = "",
                                 .defect = "",
                                 .snr = 30,
                                 .texture = 1};
}

static inline struct phantom *scan_new(const struct phantom_conf *c, int scan)
{
    struct phantom *p = phantom_new(c, NULL, scan, &e);
    if (!p) fail_msg("%s", e.text);
    return p;
}

static inline const char *written(const char *name, struct phantom_conf c, int scan)
{
    const char *path = scratch_path(name);
    struct phantom *p = scan_new(&c, scan);
    if (phantom_write(p, path, NULL, NULL, &e)) fail_msg("%s", e.text);
    phantom_free(p);
    return path;
}

static inline char *bytes_of(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *b = mem_new(*n, 1, &e);
    assert_int_equal(fread(b, 1, *n, f), *n);
    fclose(f);
    return b;
}

static inline bool same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    mem_free(x);
    mem_free(y);
    return same;
}

static inline float complex *kspace_of(const char *path, size_t *n)
{
    struct h5_info info;
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    assert_int_equal(h5_describe(f, "kspace", &info, &e), 0);
    *n = (size_t)(info.dim[0] * info.dim[1] * info.dim[2] * info.dim[3]);
    float complex *k = mem_new(*n, sizeof *k, &e);
    assert_int_equal(h5_read_c64(f, "kspace", 4, NULL, info.dim, k, &e), 0);
    h5_close(f);
    return k;
}

static inline float *rss_of(const char *path, int slices, int size)
{
    const int64_t dim[3] = {slices, size, size};
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    float *x = mem_new((size_t)slices * (size_t)size * (size_t)size, sizeof *x, &e);
    assert_int_equal(h5_read_f32(f, "reconstruction_rss", 3, NULL, dim, x, &e), 0);
    h5_close(f);
    return x;
}
