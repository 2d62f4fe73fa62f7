/* The Winograd convolution where the rule that chooses it (wino_pays) hides it from test_conv.c:
 * maps smaller than a tile, few channels. Against the naive double-precision oracle, measured as in
 * test_grad.c; and its promises about bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/par.h"
#include "compare.h"
#include "naive.h"
#include "nn/winograd.h"

static const double TOLERANCE = 5e-6;

static const struct wino_conf shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1},    {3, 1, 1, 17, 5, 17, 1, 1},  {1, 3, 2, 2, 3, 2, 1, 1},
    {3, 5, 7, 3, 9, 3, 1, 1},    {1, 5, 7, 16, 16, 16, 1, 1}, {3, 4, 4, 8, 24, 8, 1, 1},
    {1, 9, 6, 20, 20, 20, 1, 1}, {3, 7, 5, 33, 17, 33, 1, 1}, {1, 23, 19, 33, 17, 33, 1, 1},
    {1, 6, 40, 1, 100, 1, 1, 1}, {2, 72, 70, 5, 12, 5, 1, 1}, {1, 181, 179, 5, 12, 5, 1, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct sizes {
    size_t x, y, w, b;
};

static struct sizes sizes_of(const struct wino_conf *c)
{
    const size_t pixels = (size_t)c->n * (size_t)c->h * (size_t)c->w;
    return (struct sizes){pixels * (size_t)c->in, pixels * (size_t)c->out,
                          9 * (size_t)c->in * (size_t)c->out, (size_t)c->out};
}

static void *get(size_t count, size_t size)
{
    void *p = mem_new(count, size, NULL);
    assert_non_null(p);
    return p;
}

struct io32 { /* what goes in (x, w, b, dy) and what comes out */
    float *x, *w, *b, *dy, *y, *dx, *dw, *db;
};

static struct io32 io_new(const struct wino_conf *c)
{
    const struct sizes s = sizes_of(c);
    return (struct io32){get(s.x, 4), get(s.w, 4), get(s.b, 4), get(s.y, 4),
                         get(s.y, 4), get(s.x, 4), get(s.w, 4), get(s.b, 4)};
}

static void io_free(struct io32 *io)
{
    float *const all[] = {io->x, io->w, io->b, io->dy, io->y, io->dx, io->dw, io->db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static void fill(size_t n, float *x, uint32_t stream)
{
    struct rng r = rng_make(7, RNG_TEST, 0, stream);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&r);
}

static void io_fill(const struct wino_conf *c, struct io32 *io)
{
    const struct sizes s = sizes_of(c);
    fill(s.x, io->x, 0);
    fill(s.w, io->w, 1);
    fill(s.b, io->b, 2);
    fill(s.y, io->dy, 3);
}

/* All passes, in memory that is exactly as large as asked for and full of NaN. */
static void run(const struct wino_conf *c, struct io32 *io)
{
    struct wino *w = wino_new(*c, NULL);
    assert_non_null(w);
    const size_t f = wino_scratch_forward(w), b = wino_scratch_backward(w);
    const size_t p = wino_packed_bytes(w);
    void *packed = get(p, 1), *forward = get(f, 1), *backward = get(b, 1);
    memset(packed, 0xff, p);
    memset(forward, 0xff, f);
    memset(backward, 0xff, b);
    const struct sizes s = sizes_of(c);
    memset(io->y, 0xff, s.y * sizeof(float));
    memset(io->dx, 0xff, s.x * sizeof(float));
    memset(io->dw, 0xff, s.w * sizeof(float));
    memset(io->db, 0xff, s.b * sizeof(float));
    wino_pack(w, io->w, packed);
    wino_forward(w, (const float *const[]){io->x, NULL}, packed, io->b, 1.0f, io->y, forward);
    wino_backward(w, &(struct wino_gradient){.x = {io->x},
                                             .dy = io->dy,
                                             .packed = packed,
                                             .dx = {io->dx},
                                             .dw = io->dw,
                                             .db = io->db,
                                             .scratch = backward});
    mem_free(packed);
    mem_free(forward);
    mem_free(backward);
    wino_free(w);
}

static double *widen(size_t n, const float *x)
{
    double *d = get(n, sizeof *d);
    for (size_t i = 0; i < n; i++)
        d[i] = x[i];
    return d;
}

static void check(const struct wino_conf *c, const char *what, size_t n, const float *x,
                  const double *ref)
{
    const double e = relative_error_f32(n, x, ref);
    print_message("%d x %d x %d, %d to %d: %s %.1e\n", c->n, c->h, c->w, c->in, c->out, what, e);
    assert_true(e <= TOLERANCE);
}

static void test_oracle(void **state)
{
    (void)state;
    for (int k = 0; k < SHAPES; k++) {
        const struct wino_conf *c = &shapes[k];
        assert_false(wino_pays(c));
        const struct sizes s = sizes_of(c);
        const struct shape shape = {c->n, c->h, c->w, c->in};
        struct io32 io = io_new(c);
        io_fill(c, &io);
        run(c, &io);
        double *x = widen(s.x, io.x), *w = widen(s.w, io.w), *b = widen(s.b, io.b);
        double *dy = widen(s.y, io.dy), *y = get(s.y, 8), *dx = get(s.x, 8), *dw = get(s.w, 8);
        double *db = get(s.b, 8);
        naive_conv(shape, c->out, 3, x, w, b, y);
        naive_conv_back(shape, c->out, 3, x, w, dy, dx, dw, db);
        check(c, "y", s.y, io.y, y);
        check(c, "dx", s.x, io.dx, dx);
        check(c, "dw", s.w, io.dw, dw);
        check(c, "db", s.b, io.db, db);
        double *const all[] = {x, w, b, dy, y, dx, dw, db};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            mem_free(all[i]);
        io_free(&io);
    }
}

static void test_threads(void **state)
{
    (void)state;
    const int before = par_threads();
    for (int k = 0; k < SHAPES; k++) {
        const struct wino_conf *c = &shapes[k];
        const struct sizes s = sizes_of(c);
        struct io32 one = io_new(c), more = io_new(c);
        io_fill(c, &one);
        io_fill(c, &more);
        par_set_threads(1);
        run(c, &one);
        for (int threads = 1; threads <= 5; threads++) {
            par_set_threads(threads);
            run(c, &more);
            assert_memory_equal(one.y, more.y, s.y * sizeof(float));
            assert_memory_equal(one.dx, more.dx, s.x * sizeof(float));
            assert_memory_equal(one.dw, more.dw, s.w * sizeof(float));
            assert_memory_equal(one.db, more.db, s.b * sizeof(float));
        }
        io_free(&one);
        io_free(&more);
    }
    par_set_threads(before);
}

/* An image alone, and at each place of a batch. */
static void test_batch(void **state)
{
    (void)state;
    for (int k = 0; k < SHAPES; k++) {
        struct wino_conf c = shapes[k];
        c.n = 1;
        const struct sizes s = sizes_of(&c);
        struct io32 alone = io_new(&c);
        io_fill(&c, &alone);
        run(&c, &alone);
        c.n = 3;
        const struct sizes all = sizes_of(&c);
        for (size_t place = 0; place < 3; place++) {
            struct io32 batch = io_new(&c);
            io_fill(&c, &batch);
            fill(all.x, batch.x, 4);
            memcpy(batch.x + place * s.x, alone.x, s.x * sizeof(float));
            memcpy(batch.dy + place * s.y, alone.dy, s.y * sizeof(float));
            run(&c, &batch);
            assert_memory_equal(batch.y + place * s.y, alone.y, s.y * sizeof(float));
            assert_memory_equal(batch.dx + place * s.x, alone.dx, s.x * sizeof(float));
            io_free(&batch);
        }
        io_free(&alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_oracle),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
