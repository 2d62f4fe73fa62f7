/* Forward, and backward to the data, which is a convolution by rotated and transposed weights: a
 * thread takes a few rows of an image, brings them and their neighbours into bfloat16, and walks
 * along the pixels 32 at a time. Pixels lie one after the other, rows parted by one column of
 * zeros, so the taps of a row of the kernel on a pixel are one run of numbers: the summands of a
 * product, without a copy for each tap. */
#include "nn/bf16_conv.h"

#ifdef __AVX512BF16__

#include "base/mem.h"
#include "base/par.h"
#include "nn/fetch.h"

#include <assert.h>
#include <immintrin.h>
#include <stdio.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    SIDE = BF16_SIDE,
    BLOCK = SIDE * SIDE, /* of results */
    TILE = 16 * SIDE,    /* numbers of a factor's tile */
    SLABS = 8,           /* of an image, at least, of which none is below LEAST_ROWS */
    LEAST_ROWS = 4,
};

/* Of `rows` rows at a time; 0: as many as fit into the cache, whatever the threads and the batch:
 * what a NaN reaches must not depend on them. */
static struct bf16_pass pass_make(const struct bf16_conv *c, int channels, int groups, int columns,
                                  int rows)
{
    const struct conv_conf *f = &c->conf;
    struct bf16_pass p = {.n = f->n,
                          .h = f->h,
                          .w = f->w,
                          .side = c->side,
                          .gap = c->gap,
                          .channels = channels,
                          .groups = groups,
                          .columns = columns,
                          .pairs = divide_up(columns, SIDE),
                          .threads = par_threads()};
    const struct bf16_map m = bf16_map_plain(f->n, f->h, f->w, channels, NULL);
    const size_t row =
        (size_t)(f->w + c->gap) * (size_t)channels * sizeof(bf16) * (size_t)bf16_planes(c);
    const int share = divide_up(f->h, SLABS); /* something for every thread */
    const int fit = bf16_rows_of(BF16_SLAB_BYTES, row, LEAST_ROWS);
    p.rows = rows ? rows : bf16_rows_within(f->h, bf16_smaller(share, fit), LEAST_ROWS);
    p.slabs = divide_up(f->h, p.rows);
    p.steps = divide_up(c->side * channels, SIDE);
    p.step = 2 * TILE * (size_t)bf16_planes(c);
    const size_t len = bf16_map_pixels_len(&m, c->gap, p.rows + 2 * c->gap);
    p.low = c->split ? len : 0;
    p.scratch = mem_lines(len * (size_t)bf16_planes(c) * sizeof(bf16));
    p.weights = (size_t)(groups * p.pairs * c->side * p.steps) * p.step;
    return p;
}

static size_t bias_len(const struct bf16_conv *c) /* for every column, block by block */
{
    return (size_t)(c->forward.groups * c->forward.pairs * SIDE);
}

/* Whether the gradient of x is not made on the way to that of the weights. */
static bool data_alone(const struct bf16_conv *c)
{
    return c->conf.backward_data && (c->weights.wide || !c->conf.backward_weights);
}

static void *make(const struct conv_conf *conf, enum dn_isa isa, bool split, struct conv_need *need,
                  struct err *e)
{
    struct bf16_conv *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    c->conf = *conf;
    c->unit = isa >= DN_ISA_AMX && bf16_unit_works(BF16_AMX) ? BF16_AMX : BF16_AVX512;
    c->split = split;
    c->side = conf->up ? 1 : conf->side;
    c->gap = c->side / 2;
    c->taps = c->side * c->side;
    c->wide = conf->up ? 4 * conf->out : conf->out;
    c->forward = pass_make(c, conf->in, conf->up ? 2 : 1, conf->up ? 2 * conf->out : conf->out, 0);
    c->weights = bf16_gradient_make(c);
    c->data = pass_make(c, c->wide, 1, conf->in, c->weights.wide ? 0 : c->weights.rows);
    const size_t data = data_alone(c) ? c->data.scratch * (size_t)c->data.threads : 0;
    const size_t weights = bf16_gradient_scratch(c);
    need->packed =
        bias_len(c) * sizeof(float) +
        (c->forward.weights + (conf->backward_data ? c->data.weights : 0)) * sizeof(bf16);
    need->forward = c->forward.scratch * (size_t)c->forward.threads;
    need->parts = c->forward.slabs * c->forward.groups;
    need->columns = c->forward.columns;
    need->backward = data > weights ? data : weights;
    return c;
}

/* --- weights --- */

/* Channel k of dy's map in the stored weights: (out, in, …), or (in, out, 2, 2) with k = ab out +
 * o. */
size_t bf16_stored_wide(const struct bf16_conv *c, int k)
{
    const size_t out = (size_t)c->conf.out, wide = (size_t)k;
    return c->conf.up ? wide % out * 4 + wide / out : wide * (size_t)(c->conf.in * c->taps);
}

size_t bf16_stored_in(const struct bf16_conv *c, int k)
{
    return (size_t)k * (size_t)(c->conf.up ? 4 * c->conf.out : c->taps);
}

/* Summand k of kernel row a, in the stored weights. */
static const float *summand(const struct bf16_conv *c, const struct bf16_pass *p,
                            const float *weights, int a, int k)
{
    if (k >= p->side * p->channels) return NULL;
    const int tap = a * p->side + k / p->channels, channel = k % p->channels;
    if (p == &c->data) return weights + bf16_stored_wide(c, channel) + (c->taps - 1 - tap);
    return weights + bf16_stored_in(c, channel) + tap;
}

/* Columns `pair` of group `group`, kernel row a. */
static void pack_row(const struct bf16_conv *c, const struct bf16_pass *p, const float *weights,
                     int group, int pair, int a, bf16 *to)
{
    int column[SIDE] = {0};
    const int from = pair * SIDE, columns = bf16_smaller(p->columns - from, SIDE);
    for (int k = 0; k < columns; k++) {
        const int at = group * p->columns + from + k;
        column[k] = (int)(p == &c->data ? bf16_stored_in(c, at) : bf16_stored_wide(c, at));
    }
    const size_t low = c->split ? 2 * TILE : 0;
    for (int s = 0; s < p->steps; s++, to += p->step)
        for (int k = 0; k < SIDE; k += 2) {
            const float *even = summand(c, p, weights, a, s * SIDE + k);
            const float *odd = summand(c, p, weights, a, s * SIDE + k + 1);
            for (int t = 0; t < 2; t++)
                bf16_map_weights(even, odd, column + 16 * t, columns - 16 * t,
                                 to + t * TILE + k * 16, low);
        }
}

static void pack_pass(const struct bf16_conv *c, const struct bf16_pass *p, const float *weights,
                      bf16 *to)
{
    const int blocks = p->groups * p->pairs;
#pragma omp parallel for collapse(2)
    for (int b = 0; b < blocks; b++)
        for (int a = 0; a < p->side; a++)
            pack_row(c, p, weights, b / p->pairs, b % p->pairs, a,
                     to + (size_t)(b * p->side + a) * (size_t)p->steps * p->step);
}

static void pack(const void *k, const float *weights, const float *bias, void *packed)
{
    const struct bf16_conv *c = k;
    const struct bf16_pass *p = &c->forward;
    float *to = packed;
    for (int b = 0; b < p->groups * p->pairs; b++)
        for (int i = 0; i < SIDE; i++) {
            const int column = b % p->pairs * SIDE + i;
            to[b * SIDE + i] = bias && column < p->columns ? bias[column % c->conf.out] : 0.0f;
        }
    bf16 *u = (bf16 *)(to + bias_len(c));
    pack_pass(c, p, weights, u);
    if (c->conf.backward_data) pack_pass(c, &c->data, weights, u + p->weights);
}

/* --- forward, and backward to the data --- */

struct target { /* a run of the map that is written; at: its first pixel of a slab, or NULL */
    float *at;
    size_t row, pixel;
};
struct vector {                  /* 16 columns: where they go in either run */
    __mmask16 in0, in1, packed1; /* lanes of either run; in1 moved to the front */
    size_t at0, at1;
};
struct writer { /* where results of a block of columns go */
    struct target run[2];
    struct vector v[2];
    const float *bias; /* 32, or NULL */
    float slope;
};

static __mmask16 first(int lanes)
{
    return (__mmask16)(lanes >= 16 ? 0xffff : lanes <= 0 ? 0 : (1 << lanes) - 1);
}

/* Columns c, …, c + 15 of `columns`, of which the first `len` are of run 0. */
static struct vector vector_at(int c, int columns, int len, const struct target run[2])
{
    const __mmask16 all = first(columns - c), in0 = all & first(len - c);
    const __mmask16 in1 = all & (__mmask16)~in0;
    struct vector v = {.in0 = run[0].at ? in0 : 0,
                       .in1 = run[1].at ? in1 : 0,
                       .at0 = (size_t)c,
                       .at1 = (size_t)(c > len ? c - len : 0)};
    v.packed1 = first(__builtin_popcount(v.in1));
    return v;
}

/* Returns what is written. */
INLINE __m512 write_vector(const struct writer *w, const struct vector *v, int row, int column,
                           __m512 y)
{
    const size_t r = (size_t)row, c = (size_t)column;
    const __mmask16 below = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ); /* no NaN is */
    const __m512 slope = _mm512_set1_ps(w->slope);
    y = w->slope == 0.0f ? _mm512_maskz_mov_ps((__mmask16)~below, y) /* infinity times 0 is none */
                         : _mm512_mask_mul_ps(y, below, y, slope);
    if (v->in0) {
        fetch_to_write(w->run[0].at + r * w->run[0].row + c * w->run[0].pixel + v->at0, FETCH_LINE);
        _mm512_mask_storeu_ps(w->run[0].at + r * w->run[0].row + c * w->run[0].pixel + v->at0,
                              v->in0, y);
    }
    if (v->in1)
        _mm512_mask_storeu_ps(w->run[1].at + r * w->run[1].row + c * w->run[1].pixel + v->at1,
                              v->packed1, _mm512_maskz_compress_ps(v->in1, y));
    return y;
}

/* Of 16 columns, over the pixels of a product. */
struct tally {
    __m512 sum, squares;
};

INLINE void add_to(struct tally *t, __m512 y)
{
    t->sum = _mm512_add_ps(t->sum, y);
    t->squares = _mm512_fmadd_ps(y, y, t->squares);
}

INLINE void add_double(double *to, __m512 v)
{
    const __m512d lower = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d upper = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    _mm512_storeu_pd(to, _mm512_add_pd(_mm512_loadu_pd(to), lower));
    _mm512_storeu_pd(to + 8, _mm512_add_pd(_mm512_loadu_pd(to + 8), upper));
}

/* Results of `count` pixels from number `from` on, without those between the rows. `sums`, if
 * asked for: adds the sum of each of 32 columns, and of its squares. */
INLINE void write_some(const struct bf16_pass *p, const struct writer *w, int from, int count,
                       const float *c, bool summed, double sums[2][SIDE])
{
    const __m512 none = _mm512_setzero_ps();
    const __m512 b0 = w->bias ? _mm512_loadu_ps(w->bias) : none;
    const __m512 b1 = w->bias ? _mm512_loadu_ps(w->bias + 16) : none;
    const bool right = w->v[1].in0 || w->v[1].in1;
    const int width = p->w + p->gap;
    struct tally t[2] = {{none, none}, {none, none}};
    int row = from / width, column = from % width;
    for (int k = 0; k < count; k++, c += SIDE) {
        if (column < p->w) {
            const __m512 y0 = _mm512_add_ps(_mm512_load_ps(c), b0);
            const __m512 y1 = _mm512_add_ps(_mm512_load_ps(c + 16), b1);
            const __m512 z0 = write_vector(w, &w->v[0], row, column, y0);
            if (summed) add_to(&t[0], z0);
            const __m512 z1 = right ? write_vector(w, &w->v[1], row, column, y1) : none;
            if (summed) add_to(&t[1], z1);
        }
        if (++column == width) {
            column = 0;
            row++;
        }
    }
    for (int k = 0; summed && k < 2; k++) {
        add_double(sums[0] + 16 * k, t[k].sum);
        add_double(sums[1] + 16 * k, t[k].squares);
    }
}

static void write_pixels(const struct bf16_pass *p, const struct writer *w, int from, int count,
                         const float *c)
{
    write_some(p, w, from, count, c, false, NULL);
}

static void write_and_sum(const struct bf16_pass *p, const struct writer *w, int from, int count,
                          const float *c, double sums[2][SIDE])
{
    write_some(p, w, from, count, c, true, sums);
}

/* `to`: one run, or two where a joined map is written. `sums`: of all columns, or NULL. */
static void run_columns(const struct bf16_job *j, struct bf16_worker *worker, const bf16 *x,
                        int rows, int group, int pair, const struct target to[2], double *sums)
{
    const struct bf16_pass *p = j->p;
    const int block = group * p->pairs + pair, width = p->w + p->gap, pixels = rows * width;
    const int len = p->groups == 1 ? j->y.run[0].len : p->columns;
    const struct writer w = {.run = {to[0], to[1]},
                             .v = {vector_at(pair * SIDE, p->columns, len, to),
                                   vector_at(pair * SIDE + 16, p->columns, len, to)},
                             .bias = j->bias ? j->bias + block * SIDE : NULL,
                             .slope = j->slope};
    const size_t pixel = (size_t)p->channels, segment = (size_t)p->steps * p->step;
    struct bf16_product q = {.a = {.segment = (size_t)width * pixel,
                                   .step = SIDE,
                                   .tile = 16 * pixel,
                                   .low = p->low,
                                   .row = pixel},
                             .b = {.at = j->weights + (size_t)(block * p->side) * segment,
                                   .segment = segment,
                                   .step = p->step,
                                   .tile = TILE,
                                   .low = 2 * TILE},
                             .segments = p->side,
                             .steps = p->steps,
                             .columns = bf16_smaller(p->columns - pair * SIDE, SIDE),
                             .split = j->split};
    _Alignas(64) float c[BLOCK];
    double sum[2][SIDE] = {{0.0}};
    for (int from = 0; from < pixels; from += SIDE) {
        q.a.at = x + (size_t)from * pixel;
        q.rows = bf16_smaller(pixels - from, SIDE);
        bf16_multiply(worker, &q, c);
        if (sums)
            write_and_sum(p, &w, from, q.rows, c, sum);
        else
            write_pixels(p, &w, from, q.rows, c);
    }
    for (int k = 0; sums && k < 2; k++)
        memcpy(sums + k * p->columns + pair * SIDE, sum[k], (size_t)q.columns * sizeof *sums);
}

void bf16_run_slab(const struct bf16_job *j, struct bf16_worker *worker, int slab, const bf16 *x)
{
    const struct bf16_pass *p = j->p;
    const int image = slab / p->slabs, from = slab % p->slabs * p->rows;
    const int rows = bf16_smaller(p->h - from, p->rows);
    struct target to[2] = {0};
    for (int r = 0; r < j->y.runs; r++) {
        const struct bf16_run *run = &j->y.run[r]; /* the map of a result */
        const size_t offset = (size_t)image * run->image + (size_t)from * run->row;
        to[r] = (struct target){.row = run->row, .pixel = run->pixel};
        if (run->at) to[r].at = (float *)(uintptr_t)run->at + offset;
    }
    const struct target lower[2] = {to[1]};
    if (p->groups == 2) to[1] = (struct target){0}; /* each run by itself */
    for (int g = 0; g < p->groups; g++) {
        const size_t part = (size_t)(slab * p->groups + g) * 2 * (size_t)p->columns;
        for (int pair = 0; pair < p->pairs; pair++)
            run_columns(j, worker, x, rows, g, pair, g ? lower : to,
                        j->sums ? j->sums + part : NULL);
    }
}

static void bring_slab(const struct bf16_job *j, int slab, bf16 *x)
{
    const struct bf16_pass *p = j->p;
    const int image = slab / p->slabs, from = slab % p->slabs * p->rows;
    const int rows = bf16_smaller(p->h - from, p->rows);
    bf16_map_pixels(&j->x, p->gap, image * (p->h + p->gap) + from, rows + 2 * p->gap, true, true, x,
                    p->low, 0, NULL);
}

/* A thread's memory goes with the number of a run of the outer loop; slabs go to who is free. */
static void run_pass(const struct bf16_job *j, enum bf16_unit unit, unsigned char *scratch)
{
    const int all = j->p->n * j->p->slabs;
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < j->p->threads; t++) {
        struct bf16_worker worker;
        bf16_begin(&worker, unit);
        for (;;) {
            int slab;
#pragma omp atomic capture
            slab = next++;
            if (slab >= all) break;
            bf16 *x = (bf16 *)(scratch + (size_t)t * j->p->scratch);
            bring_slab(j, slab, x);
            bf16_run_slab(j, &worker, slab, x);
        }
        bf16_end(&worker);
    }
}

static struct bf16_map map_in(const struct bf16_conv *c, const float *const x[2])
{
    const struct conv_conf *f = &c->conf;
    if (!f->first || f->first == f->in) return bf16_map_plain(f->n, f->h, f->w, f->in, x[0]);
    return bf16_map_joined(f->n, f->h, f->w, f->first, x[0], f->in - f->first, x[1]);
}

static struct bf16_map map_x(const struct bf16_conv *c, const struct conv_x *x)
{
    struct bf16_map m = map_in(c, x->at);
    for (int r = 0; r < m.runs; r++)
        if (c->conf.norm[r].tile)
            m.run[r].norm =
                (struct bf16_norm){x->norm[r], c->conf.norm[r].tile, c->conf.norm[r].slope};
    return m;
}

static struct bf16_map map_out(const struct bf16_conv *c, const float *y)
{
    const struct conv_conf *f = &c->conf;
    return f->up ? bf16_map_up(f->n, f->h, f->w, f->out, y)
                 : bf16_map_plain(f->n, f->h, f->w, f->out, y);
}

static void forward(const void *k, const struct conv_x *x, const void *packed, float *y,
                    double *sums, void *scratch)
{
    const struct bf16_conv *c = k;
    const float *bias = packed;
    const struct bf16_job j = {.p = &c->forward,
                               .x = map_x(c, x),
                               .y = map_out(c, y),
                               .weights = (const bf16 *)(bias + bias_len(c)),
                               .bias = bias,
                               .slope = c->conf.slope,
                               .split = c->split,
                               .sums = sums};
    run_pass(&j, c->unit, scratch);
}

static void backward(const void *k, const struct conv_gradient *v)
{
    const struct bf16_conv *c = k;
    const float *bias = v->packed;
    struct bf16_map map = map_out(c, v->dy);
    bf16_map_relu(&map, c->conf.slope, v->y);
    const struct bf16_job data = {.p = &c->data,
                                  .x = map,
                                  .y = map_in(c, (const float *const[]){v->dx[0], v->dx[1]}),
                                  .weights =
                                      (const bf16 *)(bias + bias_len(c)) + c->forward.weights,
                                  .slope = 1.0f,
                                  .split = c->split};
    const bool wanted = v->dx[0] || v->dx[1], alone = wanted && data_alone(c);
    if (alone) run_pass(&data, c->unit, v->scratch);
    if (v->dw)
        bf16_gradient_run(c, map_x(c, &v->x), map, wanted && !alone ? &data : NULL, v->dw, v->db,
                          v->scratch);
}

/* --- the two kernels --- */

/* All shapes but those whose sums of dy would not fit into a row's. */
static bool sums_fit(const struct conv_conf *c)
{
    return (c->up ? 4 : 1) * c->out <= BF16_MAP_MOST;
}

static bool takes_plain(const struct conv_conf *c, enum dn_isa isa)
{
    return c->precision == NN_BF16 && isa >= DN_ISA_AVX512_BF16 && sums_fit(c);
}

static bool takes_split(const struct conv_conf *c, enum dn_isa isa)
{
    return c->precision == NN_FP32 && isa >= DN_ISA_AMX && bf16_unit_works(BF16_AMX) && sums_fit(c);
}

static void *make_plain(const struct conv_conf *c, enum dn_isa isa, struct dn *d,
                        struct conv_need *need, struct err *e)
{
    (void)d;
    return make(c, isa, false, need, e);
}

static void *make_split(const struct conv_conf *c, enum dn_isa isa, struct dn *d,
                        struct conv_need *need, struct err *e)
{
    (void)d;
    return make(c, isa, true, need, e);
}

static void describe(const void *k, char *text, size_t size)
{
    const struct bf16_conv *c = k;
    snprintf(text, size, "own bf16%s %s", c->split ? " split" : "",
             c->unit == BF16_AMX ? "amx" : "avx512");
}

const struct conv_kernel conv_bf16 = {.name = "bf16",
                                      .joins = true,
                                      .applies_norm = true,
                                      .takes = takes_plain,
                                      .make = make_plain,
                                      .free = mem_free,
                                      .pack = pack,
                                      .forward = forward,
                                      .backward = backward,
                                      .describe = describe};
const struct conv_kernel conv_bf16_split = {.name = "bf16 split",
                                            .joins = true,
                                            .applies_norm = true,
                                            .takes = takes_split,
                                            .make = make_split,
                                            .free = mem_free,
                                            .pack = pack,
                                            .forward = forward,
                                            .backward = backward,
                                            .describe = describe};

#else

static bool takes_nothing(const struct conv_conf *c, enum dn_isa isa)
{
    (void)c, (void)isa;
    return false;
}

const struct conv_kernel conv_bf16 = {.name = "bf16", .joins = true, .takes = takes_nothing};
const struct conv_kernel conv_bf16_split = {
    .name = "bf16 split", .joins = true, .takes = takes_nothing};

#endif
