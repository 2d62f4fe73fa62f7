/* Checkpoints: what is written comes back to the bit; what is not whole or not ours changes
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/h5.h"
#include "base/hash.h"
#include "nn/ckpt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct unet_conf small = {1, 2, 4, 3, UNET_BLOCK_CONTEXT, 2, 0.1, .residual = false};
static const struct ckpt_info info = {"ssl",
                                      {1, 2, 4, 3, UNET_BLOCK_CONTEXT, 2, 0.1, .residual = false},
                                      1234,
                                      0.0625,
                                      1000,
                                      0.75,
                                      320,
                                      256,
                                      7,
                                      0.5,
                                      1100,
                                      3,
                                      0xfedcba9876543210,
                                      42,
                                      ""};
static char dir[64], path[96];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ssfd-ckpt-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/a.h5", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails where anything else was left behind */
}

static struct graph *build(struct unet_conf c, const char *output)
{
    struct graph *g = graph_new();
    unet_build(g, &c, graph_input(g, "input", c.in_channels));
    graph_output(g, graph_find(g, output));
    assert_int_equal(graph_seal(g, NULL), 0);
    return g;
}

/* What is wrong besides must be found behind a right checksum. */
static void reseal(void)
{
    assert_int_equal(seal_file(path, NULL), 0);
}

static struct params *fresh(struct unet_conf c, const char *output)
{
    struct graph *g = build(c, output);
    struct params *p = params_new(g, NULL);
    graph_free(g); /* parameters live on their own */
    return p;
}

static struct params *saved(void)
{
    struct params *p = fresh(small, "output");
    struct err e = {0};
    params_init(p, 5);
    for (size_t i = 0; i < p->len; i++) {
        p->m[i] = sinf((float)i);
        p->v[i] = 1e-30f * (float)i;
    }
    if (ckpt_save(path, p, &info, &e)) fail_msg("%s", e.text);
    return p;
}

static bool all_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0.0f) return false;
    return true;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct params *p = saved(), *q = fresh(small, "output");
    struct err e = {0};
    struct ckpt_info i = {0};
    const uint64_t version = q->version;
    if (ckpt_read_info(path, &i, &e) || ckpt_load(path, q, false, &e)) fail_msg("%s", e.text);
    assert_memory_equal(p->val, q->val, p->len * sizeof(float));
    assert_true(all_zero(q->m, q->len) && all_zero(q->v, q->len));
    assert_true(q->version != version);
    if (ckpt_load(path, q, true, &e)) fail_msg("%s", e.text);
    assert_memory_equal(p->m, q->m, p->len * sizeof(float));
    assert_memory_equal(p->v, q->v, p->len * sizeof(float));
    assert_string_equal(i.task, info.task);
    assert_int_equal(i.unet.in_channels, 1);
    assert_int_equal(i.unet.out_channels, 2);
    assert_int_equal(i.unet.filters, 4);
    assert_int_equal(i.unet.levels, 3);
    assert_int_equal(i.unet.block, UNET_BLOCK_CONTEXT);
    assert_int_equal(i.unet.groups, 2);
    assert_true(i.unet.dropout == 0.1 && i.best_loss == 0.0625);
    assert_int_equal(i.step, 1234);
    assert_int_equal(i.best_step, 1000);
    assert_true(i.loss_sum == 0.75);
    assert_int_equal(i.height, 320);
    assert_int_equal(i.width, 256);
    assert_true(i.loss_count == 7 && i.loss_mean == 0.5 && i.stale == 3 && i.validated == 1100 &&
                i.encoder == 42);
    assert_true(i.images == 0xfedcba9876543210 && i.unet.data_consistency == 0);
    i.unet.data_consistency = 3;
    if (ckpt_save(path, p, &i, &e) || ckpt_read_info(path, &i, &e)) fail_msg("%s", e.text);
    assert_int_equal(i.unet.data_consistency, 3);
    assert_string_equal(i.undersampling, "");
    memset(i.undersampling, 'x', CKPT_TEXT - 1); /* as long as it may be */
    if (ckpt_save(path, p, &i, &e) || ckpt_read_info(path, &i, &e)) fail_msg("%s", e.text);
    assert_true(strspn(i.undersampling, "x") == CKPT_TEXT - 1);
    i.unet.data_consistency = -1;
    assert_int_equal(ckpt_save(path, p, &i, &e), 0);
    assert_int_equal(ckpt_read_info(path, &i, &e), -1);
    assert_non_null(strstr(e.text, "attribute 'unet.data_consistency' is -1"));
    params_free(p);
    params_free(q);
}

static void test_encoder_of_a_whole_network(void **state)
{
    (void)state;
    struct params *p = saved(), *q = fresh(small, "block3_relu1");
    struct err e = {0};
    if (ckpt_load(path, q, true, &e)) fail_msg("%s", e.text);
    assert_true(q->n > 0 && q->n < p->n);
    for (int i = 0; i < q->n; i++) {
        const struct param *from = params_find(p, q->list[i].name);
        assert_memory_equal(q->val + q->list[i].offset, p->val + from->offset,
                            from->len * sizeof(float));
    }
    params_free(p);
    params_free(q);
}

/* Loading into a network of configuration c must fail with `code` and `text` and change nothing. */
static void refuse(struct unet_conf c, bool moments, enum err_code code, const char *text)
{
    struct params *q = fresh(c, "output");
    struct err e = {0};
    const uint64_t version = q->version;
    assert_int_equal(ckpt_load(path, q, moments, &e), -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, text) || !strstr(e.text, path)) fail_msg("'%s' lacks '%s'", e.text, text);
    assert_true(all_zero(q->val, q->len) && all_zero(q->m, q->len) && all_zero(q->v, q->len));
    assert_int_equal(q->version, version);
    params_free(q);
}

static void test_other_networks(void **state)
{
    (void)state;
    params_free(saved());
    struct unet_conf c = small;
    c.filters = 6;
    refuse(c, false, ERR_DATA,
           "parameter 'block1.conv1.weight' is 4 x 1 x 3 x 3 in the file, 6 x 1 x 3 x 3 in this "
           "network");
    c = small;
    c.levels = 4;
    refuse(c, false, ERR_DATA, "parameter 'block4.conv1.weight' is missing");
    c = small;
    c.out_channels = 1; /* found at the very end: nothing may have been loaded */
    refuse(c, true, ERR_DATA,
           "parameter 'output.weight' is 2 x 4 x 1 x 1 in the file, 1 x 4 x 1 x 1");
}

static void test_missing(void **state)
{
    (void)state;
    struct ckpt_info i;
    struct err e = {0};
    unlink(path);
    refuse(small, false, ERR_NOINPUT, "");
    assert_int_equal(ckpt_read_info(path, &i, &e), -1);
    assert_int_equal(e.code, ERR_NOINPUT);
}

static void test_truncated(void **state)
{
    (void)state;
    params_free(saved());
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    fclose(f);
    for (int eighths = 0; eighths < 8; eighths++) {
        struct ckpt_info i;
        params_free(saved());
        assert_int_equal(truncate(path, size * eighths / 8), 0);
        refuse(small, true, ERR_DATA, "");
        assert_int_equal(ckpt_read_info(path, &i, NULL), -1);
    }
}

/* Any bit, anywhere. */
static void test_damaged(void **state)
{
    (void)state;
    params_free(saved());
    assert_int_equal(ckpt_check(path, NULL), 0);
    FILE *f = fopen(path, "r+b");
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    for (int k = 0; k < 50; k++) {
        const long at = k * (size - 1) / 49;
        fseek(f, at, SEEK_SET);
        const int was = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(was ^ 1 << k % 8, f);
        fflush(f);
        struct ckpt_info i;
        assert_int_equal(ckpt_check(path, NULL), -1);
        assert_int_equal(ckpt_read_info(path, &i, NULL), -1);
        refuse(small, true, ERR_DATA, at < size - SEAL_BYTES ? "checksum is another" : "checksum");
        fseek(f, at, SEEK_SET);
        fputc(was, f);
        fflush(f);
    }
    fclose(f);
    assert_int_equal(ckpt_check(path, NULL), 0);
}

/* With an average, readers get it, and the training gets both. */
static void test_average(void **state)
{
    (void)state;
    struct params *p = fresh(small, "output"), *q = fresh(small, "output");
    struct err e = {0};
    params_init(p, 5);
    assert_int_equal(params_average_begin(p, &e), 0);
    for (size_t i = 0; i < p->len; i++)
        p->val[i] += 1.0f;
    if (ckpt_save(path, p, &info, &e) || ckpt_load(path, q, false, &e)) fail_msg("%s", e.text);
    assert_memory_equal(q->val, p->mean, p->len * sizeof(float));
    if (params_average_begin(q, &e) || ckpt_load(path, q, true, &e)) fail_msg("%s", e.text);
    assert_memory_equal(q->val, p->val, p->len * sizeof(float));
    assert_memory_equal(q->mean, p->mean, p->len * sizeof(float));
    params_free(saved()); /* without */
    const float before = q->val[0];
    assert_int_equal(ckpt_load(path, q, true, &e), -1);
    assert_non_null(strstr(e.text, "raw"));
    assert_true(q->val[0] == before);
    params_free(p);
    params_free(q);
}

/* The encoder of a network, frozen in another, comes from the checkpoint of the first, and is not
 * saved with the other. */
static void test_frozen(void **state)
{
    (void)state;
    struct params *from = saved();
    struct graph *g = graph_new();
    struct err e = {0};
    const int x = nn_conv(g, graph_input(g, "input", 1), "own", 1, 3, true);
    graph_frozen(g, "ssfd.", "ssfd.");
    unet_build(g, &small, x);
    graph_output(g, graph_find(g, "ssfd.block3_relu1"));
    if (graph_seal(g, &e)) fail_msg("%s", e.text);
    struct params *p = params_new(g, &e);
    assert_int_equal(p->trained, 2);
    if (ckpt_load_frozen(path, p, "ssfd.", &e)) fail_msg("%s", e.text);
    for (int i = p->trained; i < p->n; i++) {
        const struct param *q = &p->list[i], *f = params_find(from, q->name + 5);
        assert_true(q->frozen && !q->decays);
        assert_memory_equal(p->val + q->offset, from->val + f->offset, f->len * sizeof(float));
    }
    if (ckpt_save(path, p, &info, &e)) fail_msg("%s", e.text);
    struct h5 *h = h5_open(path, &e);
    assert_true(h5_has(h, "params/own.weight") && !h5_has(h, "params/ssfd.block1.conv1.weight"));
    h5_close(h);
    params_free(from);
    params_free(p);
    graph_free(g);
}

static void test_not_a_checkpoint(void **state)
{
    (void)state;
    struct ckpt_info i;
    struct err e = {0};
    FILE *f = fopen(path, "w");
    fputs("this is text\n", f);
    fclose(f);
    refuse(small, false, ERR_DATA, "");
    struct h5 *h = h5_create(path, NULL);
    assert_int_equal(h5_commit(h, NULL), 0);
    h5_close(h);
    refuse(small, false, ERR_DATA, "no checksum");
    reseal();
    refuse(small, false, ERR_DATA, "is not a checkpoint");
    assert_int_equal(ckpt_read_info(path, &i, &e), -1);
    h = h5_create(path, NULL);
    h5_set_attr_text(h, "/", "format", "ssfd checkpoint 99", NULL);
    assert_int_equal(h5_commit(h, NULL), 0);
    h5_close(h);
    reseal();
    refuse(small, false, ERR_DATA, "its format is 'ssfd checkpoint 99'");
}

static void test_values_that_are_not_finite(void **state)
{
    (void)state;
    struct params *p = saved();
    struct err e = {0};
    p->v[p->len - 1] = INFINITY;
    p->val[3] = 0.5f;
    assert_int_equal(ckpt_save(path, p, &info, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_int_equal(ckpt_load(path, p, true, NULL), 0); /* the file before is still there */
    assert_true(p->val[3] != 0.5f && isfinite(p->v[p->len - 1]));
    params_free(p);
}

static void test_bad_description(void **state)
{
    (void)state;
    struct params *p = saved();
    struct ckpt_info bad = info, out;
    struct err e = {0};
    bad.unet.levels = 77;
    assert_int_equal(ckpt_save(path, p, &bad, NULL), 0);
    assert_int_equal(ckpt_read_info(path, &out, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "attribute 'unet.levels' is 77"));
    params_free(p);
}

static void test_unwritable(void **state)
{
    (void)state;
    struct params *p = fresh(small, "output");
    struct err e = {0};
    assert_int_equal(ckpt_save("/no-such-directory/a.h5", p, &info, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    params_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_encoder_of_a_whole_network),
        cmocka_unit_test(test_other_networks),   cmocka_unit_test(test_missing),
        cmocka_unit_test(test_truncated),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_average),          cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_not_a_checkpoint), cmocka_unit_test(test_values_that_are_not_finite),
        cmocka_unit_test(test_bad_description),  cmocka_unit_test(test_unwritable),
    };
    return cmocka_run_group_tests_name("ckpt", tests, make_dir, remove_dir);
}
