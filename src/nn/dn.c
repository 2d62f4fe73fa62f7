#include "nn/dn.h"

#include "base/mem.h"

#include <assert.h>
#include <dnnl.h>
#include <stdint.h>
#include <stdio.h>

/* What differs between oneDNN 2.6 and 3.x: memory descriptors are structs there and handles here,
 * and operation descriptors are gone. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;
#else
typedef const dnnl_memory_desc_t *md_ref;
#endif

enum { MAX_ARGS = 6 };

struct dn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

/* A primitive with its arguments. Memory objects are made once; only their addresses are set later.
 */
struct step {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t prim;
    int nargs;
    dnnl_exec_arg_t arg[MAX_ARGS];
    size_t scratch; /* bytes of the library's temporary memory, the last argument when not 0 */
};

struct dn_conv {
    struct dn *d;
    struct dn_conv_conf conf;
    struct step forward, data, weights;              /* the three passes */
    struct step pack_forward, pack_data, unpack;     /* reorders of the weights */
    size_t packed_forward, packed_data, raw_weights; /* bytes, rounded up */
};

static int failed(struct err *e, const char *what, dnnl_status_t status)
{
    return err_set(e, ERR_FAILED, "oneDNN %s cannot make %s (status %d)", dn_version(), what,
                   (int)status);
}

const char *dn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

enum dn_isa dn_isa(void)
{
    static const struct {
        dnnl_cpu_isa_t bits;
        enum dn_isa isa;
    } known[] = {{dnnl_cpu_isa_avx512_core_amx, DN_ISA_AMX},
                 {dnnl_cpu_isa_avx512_core_bf16, DN_ISA_AVX512_BF16},
                 {dnnl_cpu_isa_avx512_core, DN_ISA_AVX512},
                 {dnnl_cpu_isa_avx2, DN_ISA_AVX2}};
    const unsigned now = (unsigned)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((now & (unsigned)known[i].bits) == (unsigned)known[i].bits) return known[i].isa;
    return DN_ISA_ANY;
}

const char *dn_isa_name(enum dn_isa isa)
{
    static const char *const names[] = {"baseline", "avx2", "avx512", "avx512_bf16", "amx"};
    return names[isa];
}

struct dn *dn_new(struct err *e)
{
    struct dn *d = mem_new(1, sizeof *d, e);
    if (!d) return NULL;
    dnnl_status_t s = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (s == dnnl_success) s = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    if (s == dnnl_success) return d;
    failed(e, "an engine", s);
    dn_free(d);
    return NULL;
}

void dn_free(struct dn *d)
{
    if (!d) return;
    if (d->stream) dnnl_stream_destroy(d->stream);
    if (d->engine) dnnl_engine_destroy(d->engine);
    mem_free(d);
}

/* --- memory descriptors --- */

struct mds { /* of one convolution; weights: `any` for the kernels, `oihw` as stored */
    dnnl_memory_desc_t x, y, bias, any, oihw;
};

static size_t md_bytes(md_ref m)
{
#if DNNL_VERSION_MAJOR >= 3
    return m ? dnnl_memory_desc_get_size(m) : 0;
#else
    return dnnl_memory_desc_get_size(m);
#endif
}

static md_ref md_of(const dnnl_memory_desc_t *m)
{
#if DNNL_VERSION_MAJOR >= 3
    return *m;
#else
    return m;
#endif
}

static dnnl_status_t md_make(dnnl_memory_desc_t *m, int rank, const dnnl_dims_t dims,
                             dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(m, rank, dims, dnnl_f32, tag);
#else
    return dnnl_memory_desc_init_by_tag(m, rank, dims, dnnl_f32, tag);
#endif
}

static void mds_release(struct mds *m)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t *const all[] = {&m->x, &m->y, &m->bias, &m->any, &m->oihw};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (*all[i]) dnnl_memory_desc_destroy(*all[i]);
#endif
    *m = (struct mds){0};
}

static dnnl_status_t mds_make(struct mds *m, const struct dn_conv_conf *c)
{
    const dnnl_dims_t x = {c->n, c->in, c->h, c->w}, y = {c->n, c->out, c->h, c->w};
    const dnnl_dims_t w = {c->out, c->in, c->side, c->side}, b = {c->out};
    dnnl_status_t s = md_make(&m->x, 4, x, dnnl_nhwc);
    if (s == dnnl_success) s = md_make(&m->y, 4, y, dnnl_nhwc);
    if (s == dnnl_success) s = md_make(&m->any, 4, w, dnnl_format_tag_any);
    if (s == dnnl_success) s = md_make(&m->oihw, 4, w, dnnl_oihw);
    if (s == dnnl_success) s = md_make(&m->bias, 1, b, dnnl_x);
    return s;
}

/* --- steps --- */

static md_ref step_md(const struct step *s, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(s->desc, what, index);
}

static dnnl_status_t step_arg(struct step *s, struct dn *d, int arg, md_ref m)
{
    assert(s->nargs < MAX_ARGS);
    dnnl_exec_arg_t *a = &s->arg[s->nargs++];
    a->arg = arg;
    return dnnl_memory_create(&a->memory, m, d->engine, DNNL_MEMORY_NONE);
}

struct arg {
    int arg;
    dnnl_query_t query;
    int index;
}; /* an argument and where its layout is found */

/* Makes the primitive of s->desc and its arguments, scratch last. */
static dnnl_status_t step_make(struct step *s, struct dn *d, int n, const struct arg *args)
{
    dnnl_status_t st = dnnl_primitive_create(&s->prim, s->desc);
    for (int i = 0; st == dnnl_success && i < n; i++)
        st = step_arg(s, d, args[i].arg, step_md(s, args[i].query, args[i].index));
    const md_ref scratch = step_md(s, dnnl_query_scratchpad_md, 0);
    s->scratch = scratch ? md_bytes(scratch) : 0;
    if (st == dnnl_success && s->scratch) st = step_arg(s, d, DNNL_ARG_SCRATCHPAD, scratch);
    return st;
}

static void step_release(struct step *s)
{
    for (int i = 0; i < s->nargs; i++)
        if (s->arg[i].memory) dnnl_memory_destroy(s->arg[i].memory);
    if (s->prim) dnnl_primitive_destroy(s->prim);
    if (s->desc) dnnl_primitive_desc_destroy(s->desc);
    *s = (struct step){0};
}

static void step_run(const struct step *s, struct dn *d, const void *const *at, void *scratch)
{
    const int given = s->nargs - (s->scratch ? 1 : 0);
    dnnl_status_t st = dnnl_success;
    for (int i = 0; st == dnnl_success && i < s->nargs;
         i++) /* the library's handles are not const */
        st = dnnl_memory_set_data_handle(s->arg[i].memory,
                                         i < given ? (void *)(uintptr_t)at[i] : scratch);
    if (st == dnnl_success) st = dnnl_primitive_execute(s->prim, d->stream, s->nargs, s->arg);
    if (st == dnnl_success) st = dnnl_stream_wait(d->stream);
    assert(st == dnnl_success); /* the primitive was made for exactly these arguments */
    (void)st;
}

static int reorder_make(struct step *s, struct dn *d, md_ref from, md_ref to,
                        const_dnnl_primitive_attr_t attr, struct err *e)
{
    static const struct arg args[] = {{DNNL_ARG_FROM, dnnl_query_src_md, 0},
                                      {DNNL_ARG_TO, dnnl_query_dst_md, 0}};
    dnnl_status_t st =
        dnnl_reorder_primitive_desc_create(&s->desc, from, d->engine, to, d->engine, attr);
    if (st == dnnl_success) st = step_make(s, d, 2, args);
    return st == dnnl_success ? 0 : failed(e, "a reorder of weights", st);
}

/* --- convolution descriptors --- */

static const dnnl_dims_t unit = {1, 1}, none = {0, 0};

static dnnl_status_t desc_forward(dnnl_primitive_desc_t *desc, struct dn *d, const struct mds *m,
                                  const struct dn_conv_conf *c, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t pad = {c->side / 2, c->side / 2};
    const bool trains = c->backward_weights || c->backward_data;
    const dnnl_prop_kind_t kind = trains ? dnnl_forward_training : dnnl_forward_inference;
    const md_ref bias = c->bias ? md_of(&m->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(desc, d->engine, kind,
                                                          dnnl_convolution_direct, m->x, m->any,
                                                          bias, m->y, unit, none, pad, pad, attr);
#else
    dnnl_convolution_desc_t op;
    const dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
        &op, kind, dnnl_convolution_direct, &m->x, &m->any, bias, &m->y, unit, none, pad, pad);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(desc, &op, attr, d->engine, NULL);
#endif
}

static dnnl_status_t desc_data(dnnl_primitive_desc_t *desc, struct dn *d, const struct mds *m,
                               const struct dn_conv_conf *c, const_dnnl_primitive_attr_t attr,
                               const_dnnl_primitive_desc_t forward)
{
    const dnnl_dims_t pad = {c->side / 2, c->side / 2};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_data_primitive_desc_create(
        desc, d->engine, dnnl_convolution_direct, m->x, m->any, m->y, unit, none, pad, pad, forward,
        attr);
#else
    dnnl_convolution_desc_t op;
    const dnnl_status_t s = dnnl_dilated_convolution_backward_data_desc_init(
        &op, dnnl_convolution_direct, &m->x, &m->any, &m->y, unit, none, pad, pad);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(desc, &op, attr, d->engine, forward);
#endif
}

static dnnl_status_t desc_weights(dnnl_primitive_desc_t *desc, struct dn *d, const struct mds *m,
                                  const struct dn_conv_conf *c, const_dnnl_primitive_attr_t attr,
                                  const_dnnl_primitive_desc_t forward)
{
    const dnnl_dims_t pad = {c->side / 2, c->side / 2};
    const md_ref bias = c->bias ? md_of(&m->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_weights_primitive_desc_create(
        desc, d->engine, dnnl_convolution_direct, m->x, m->any, bias, m->y, unit, none, pad, pad,
        forward, attr);
#else
    dnnl_convolution_desc_t op;
    const dnnl_status_t s = dnnl_dilated_convolution_backward_weights_desc_init(
        &op, dnnl_convolution_direct, &m->x, &m->any, bias, &m->y, unit, none, pad, pad);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(desc, &op, attr, d->engine, forward);
#endif
}

/* --- a convolution --- */

static int make_forward(struct dn_conv *c, const struct mds *m, dnnl_primitive_attr_t attr,
                        struct err *e)
{
    static const struct arg args[] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                      {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                                      {DNNL_ARG_DST, dnnl_query_dst_md, 0},
                                      {DNNL_ARG_BIAS, dnnl_query_weights_md, 1}};
    struct step *s = &c->forward;
    dnnl_status_t st = desc_forward(&s->desc, c->d, m, &c->conf, attr);
    if (st == dnnl_success) st = step_make(s, c->d, c->conf.bias ? 4 : 3, args);
    if (st != dnnl_success) return failed(e, "a convolution", st);
    const md_ref w = step_md(s, dnnl_query_weights_md, 0);
    c->packed_forward = mem_lines(md_bytes(w));
    return reorder_make(&c->pack_forward, c->d, md_of(&m->oihw), w, attr, e);
}

static int make_data(struct dn_conv *c, const struct mds *m, dnnl_primitive_attr_t attr,
                     struct err *e)
{
    static const struct arg args[] = {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
                                      {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                                      {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0}};
    struct step *s = &c->data;
    dnnl_status_t st = desc_data(&s->desc, c->d, m, &c->conf, attr, c->forward.desc);
    if (st == dnnl_success) st = step_make(s, c->d, 3, args);
    if (st != dnnl_success) return failed(e, "the data gradient of a convolution", st);
    const md_ref w = step_md(s, dnnl_query_weights_md, 0);
    c->packed_data = mem_lines(md_bytes(w));
    return reorder_make(&c->pack_data, c->d, md_of(&m->oihw), w, attr, e);
}

static int make_weights(struct dn_conv *c, const struct mds *m, dnnl_primitive_attr_t attr,
                        struct err *e)
{
    static const struct arg args[] = {{DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                      {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
                                      {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0},
                                      {DNNL_ARG_DIFF_BIAS, dnnl_query_diff_weights_md, 1}};
    struct step *s = &c->weights;
    dnnl_status_t st = desc_weights(&s->desc, c->d, m, &c->conf, attr, c->forward.desc);
    if (st == dnnl_success) st = step_make(s, c->d, c->conf.bias ? 4 : 3, args);
    if (st != dnnl_success) return failed(e, "the weight gradient of a convolution", st);
    const md_ref w = step_md(s, dnnl_query_diff_weights_md, 0);
    c->raw_weights = mem_lines(md_bytes(w));
    return reorder_make(&c->unpack, c->d, w, md_of(&m->oihw), attr, e);
}

struct dn_conv *dn_conv_new(struct dn *d, struct dn_conv_conf conf, struct err *e)
{
    assert(conf.side == 1 || conf.side == 3);
    struct dn_conv *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    c->d = d;
    c->conf = conf;
    int failure = -1;
    struct mds m = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = mds_make(&m, &conf);
    if (s == dnnl_success) s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s != dnnl_success) {
        failed(e, "a description of a convolution", s);
        goto out;
    }
    if (make_forward(c, &m, attr, e)) goto out;
    if (conf.backward_weights && make_weights(c, &m, attr, e)) goto out;
    if (conf.backward_data && make_data(c, &m, attr, e)) goto out;
    failure = 0;
out:
    if (attr) dnnl_primitive_attr_destroy(attr);
    mds_release(&m);
    if (!failure) return c;
    err_wrap(e, "%dx%d convolution of %d x %d x %d x %d to %d channels", conf.side, conf.side,
             conf.n, conf.h, conf.w, conf.in, conf.out);
    dn_conv_free(c);
    return NULL;
}

void dn_conv_free(struct dn_conv *c)
{
    if (!c) return;
    struct step *const all[] = {&c->forward,      &c->data,      &c->weights,
                                &c->pack_forward, &c->pack_data, &c->unpack};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        step_release(all[i]);
    mem_free(c);
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t dn_conv_packed_bytes(const struct dn_conv *c)
{
    return c->packed_forward + c->packed_data;
}

size_t dn_conv_scratch_forward(const struct dn_conv *c)
{
    return c->forward.scratch;
}

/* The gradient of the weights in the library's layout, then the temporary memory of one step at a
 * time. */
size_t dn_conv_scratch_backward(const struct dn_conv *c)
{
    return c->raw_weights + most(most(c->data.scratch, c->weights.scratch), c->unpack.scratch);
}

void dn_conv_pack(struct dn_conv *c, const float *w, void *packed)
{
    unsigned char *at = packed;
    step_run(&c->pack_forward, c->d, (const void *[]){w, at}, NULL);
    if (c->data.prim)
        step_run(&c->pack_data, c->d, (const void *[]){w, at + c->packed_forward}, NULL);
}

void dn_conv_forward(struct dn_conv *c, const float *x, const void *packed, const float *bias,
                     float *y, void *scratch)
{
    step_run(&c->forward, c->d, (const void *[]){x, packed, y, bias}, scratch);
}

void dn_conv_backward(struct dn_conv *c, const float *x, const float *dy, const void *packed,
                      float *dx, float *dw, float *db, void *scratch)
{
    unsigned char *raw = scratch, *rest = raw + c->raw_weights;
    if (dx)
        step_run(&c->data, c->d,
                 (const void *[]){dy, (const unsigned char *)packed + c->packed_forward, dx}, rest);
    if (!dw) return;
    step_run(&c->weights, c->d, (const void *[]){x, dy, raw, db}, rest);
    step_run(&c->unpack, c->d, (const void *[]){raw, dw}, rest);
}

static const char *kernel_of(const struct step *s)
{
    const char *text = "none";
    if (s->desc) dnnl_primitive_desc_query(s->desc, dnnl_query_impl_info_str, 0, (void *)&text);
    return text;
}

void dn_conv_kernel(const struct dn_conv *c, char *text, size_t size)
{
    if (c->conf.backward_weights || c->conf.backward_data)
        snprintf(text, size, "%s | %s | %s", kernel_of(&c->forward), kernel_of(&c->data),
                 kernel_of(&c->weights));
    else
        snprintf(text, size, "%s", kernel_of(&c->forward));
}
