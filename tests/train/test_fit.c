/* The training loop on a made-up task: it learns, it repeats bit for bit, it survives an
 * interruption, and it never destroys what is there. */
#include "base/io.h"
#include "base/mem.h"
#include "base/stop.h"
#include "nn/ckpt.h"
#include "train/fit.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 16, PIXELS = N * N };

struct conf {
    int steps;
    struct fit_conf fit;
};
static const struct cfg_field fields[] = {CFG_INT(struct conf, steps, "0", 0, 100, "", "any"),
                                          CFG_GROUP(struct conf, fit, fit_ssl_fields, "training"),
                                          CFG_END};

struct source {
    int calls, stop_at, nan_at;
};

/* Task: remove a sinusoid of known frequency from a blob. */
static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    (void)mask, (void)e;
    struct source *s = ctx;
    s->calls++;
    if (s->calls == s->stop_at) raise(SIGUSR1);
    for (int i = 0; i < PIXELS; i++) {
        double y = i / N - 8.0, x = i % N - 8.0 + 0.3 * index;
        target[i] = (float)exp(-(x * x + y * y) / 20.0);
        input[i] = target[i] + (float)(0.5 * sin(2.0 * i + epoch));
        if (s->calls == s->nan_at) input[i] = NAN;
    }
    return 0;
}

static void measure(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums)
{
    (void)t, (void)input, (void)mask;
    for (int i = 0; i < PIXELS; i++)
        sums[0] += pow((double)output[i] - (double)target[i], 2) / PIXELS;
}

static void summarise(const double *sums, int n, double *values)
{
    values[0] = sums[0] / n;
}

static void tiles(const struct task *t, const float *input, const float *output,
                  const float *target, float *const *tile)
{
    (void)t, (void)target;
    memcpy(tile[0], input, PIXELS * sizeof(float));
    memcpy(tile[1], output, PIXELS * sizeof(float));
}

static struct task make_task(struct source *train, struct source *validation)
{
    struct unet_conf unet = {.in_channels = 1,
                             .out_channels = 1,
                             .filters = 4,
                             .levels = 3,
                             .block = UNET_BLOCK_CONTEXT,
                             .groups = 2,
                             .dropout = 0.1};
    return (struct task){
        .name = "ssl",
        .unet = unet,
        .height = N,
        .width = N,
        .train = {train, 6, PIXELS, PIXELS, 0, make},
        .validation = {validation, 3, PIXELS, PIXELS, 0, make},
        .nsums = 1,
        .nscores = 1,
        .scores = {"val_loss"},
        .measure = measure,
        .summarise = summarise,
        .ntiles = 2,
        .tile_names = {"in", "out"},
        .tiles = tiles,
    };
}

static char *folder; /* of this test program */
static const char *patience = "fit.patience=0", *rate = "fit.adam.lr=1e-2";
static int validation_nan_at;

struct outcome {
    int code;
    struct err err;
    struct ckpt_info last, best;
    float *val;
    size_t len;
};

/* One training into folder/name, 40 steps of 4 images unless told otherwise. */
static struct outcome train(const char *name, bool resume, int steps, struct source s)
{
    struct outcome o = {0};
    struct source quiet = {.nan_at = validation_nan_at};
    struct task task = make_task(&s, &quiet);
    struct conf conf = {0};
    char set[64];
    snprintf(set, sizeof set, "fit.steps=%d", steps);
    const char *sets[] = {set, "fit.validate_every=10", patience, rate};
    struct cfg *cfg = cfg_load(fields, &conf, NULL, sets, 4, &o.err);
    assert_non_null(cfg);
    struct cli cli = {
        .cfg = cfg, .command = "test", .fields = fields, .resume = resume, .quiet = true};
    struct run run;
    char dir[256], path[300];
    snprintf(dir, sizeof dir, "%s/%s", folder, name);
    int bad = run_begin(&run, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &o.err) ||
              fit(&task, &conf.fit, 5, &run, &cli, &o.err);
    o.code = bad ? (int)o.err.code : 0;
    run_end(&run);
    cfg_free(cfg);
    snprintf(path, sizeof path, "%s/best.h5", dir);
    ckpt_read_info(path, &o.best, NULL);
    snprintf(path, sizeof path, "%s/last.h5", dir);
    if (ckpt_read_info(path, &o.last, NULL) == 0) {
        struct graph *g = graph_new();
        graph_output(g, unet_build(g, &task.unet, graph_input(g, "input", 1)));
        assert_int_equal(graph_seal(g, NULL), 0);
        struct params *p = params_new(g, NULL);
        assert_int_equal(ckpt_load(path, p, true, NULL), 0);
        o.len = p->len;
        o.val = mem_new(p->len, sizeof *o.val, NULL);
        memcpy(o.val, p->val, p->len * sizeof *o.val);
        params_free(p);
        graph_free(g);
    }
    return o;
}

static long lines(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    long n = 0;
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static void learns_and_repeats(void **state)
{
    (void)state;
    struct outcome a = train("a", false, 40, (struct source){0});
    struct outcome b = train("b", false, 40, (struct source){0});
    assert_int_equal(a.code, 0);
    assert_int_equal((int)a.last.step, 40);
    assert_true(a.best.best_loss < 0.05); /* the input's own error is 0.125 */
    assert_true(a.best.step % 10 == 0 && a.best.step == a.best.best_step);
    assert_int_equal(lines("a"), 8); /* every 10 steps a loss and a validation */
    assert_memory_equal(a.val, b.val, a.len * sizeof *a.val);
    mem_free(a.val), mem_free(b.val);
}

static void resumes_to_the_same_bits(void **state)
{
    (void)state;
    struct outcome straight = train("straight", false, 40, (struct source){0});
    /* The reader is ahead of the training, so where exactly the signal hits differs from run to
     * run. */
    struct outcome cut = train("cut", false, 40, (struct source){.stop_at = 90});
    assert_int_equal(cut.code, ERR_STOPPED);
    if (!strstr(cut.err.text, "SIGUSR1")) fail_msg("%s", cut.err.text);
    assert_non_null(strstr(cut.err.text, "SIGUSR1"));
    assert_non_null(strstr(cut.err.hint, "--resume"));
    assert_true(cut.last.step > 0 && cut.last.step < 40);
    stop_on_signals(); /* forgets the one that was caught */
    struct outcome rest = train("cut", true, 40, (struct source){0});
    assert_int_equal(rest.code, 0);
    assert_int_equal((int)rest.last.step, 40);
    assert_memory_equal(straight.val, rest.val, rest.len * sizeof *rest.val);
    assert_true(straight.best.best_loss == rest.best.best_loss);
    assert_int_equal(lines("cut"), lines("straight"));
    mem_free(straight.val), mem_free(cut.val), mem_free(rest.val);
}

static void a_loss_that_is_not_a_number_stops_it(void **state)
{
    (void)state;
    struct outcome o = train("nan", false, 40, (struct source){.nan_at = 4 * 24 + 1});
    assert_int_equal(o.code, ERR_FAILED);
    assert_non_null(strstr(o.err.text, "step 25"));
    assert_int_equal((int)o.last.step, 20); /* the last good checkpoint stays */
    mem_free(o.val);
}

static void a_validation_that_is_not_a_number_stops_it(void **state)
{
    (void)state;
    validation_nan_at = 4 + 2; /* the second validation: a batch of 4 holds the 3 images */
    struct outcome o = train("nan-validation", false, 40, (struct source){0});
    validation_nan_at = 0;
    assert_int_equal(o.code, ERR_FAILED);
    assert_non_null(strstr(o.err.text, "step 20"));
    assert_int_equal((int)o.last.step, 10);
    mem_free(o.val);
}

static void a_finished_training_stays_as_it_is(void **state)
{
    (void)state;
    struct outcome first = train("finished", false, 10, (struct source){0});
    struct outcome again = train("finished", true, 10, (struct source){0});
    assert_int_equal(again.code, 0);
    assert_int_equal((int)again.last.step, 10);
    assert_memory_equal(first.val, again.val, first.len * sizeof *first.val);
    mem_free(first.val), mem_free(again.val);
}

static void patience_that_ran_out_stays_out(void **state)
{
    (void)state;
    patience = "fit.patience=1";
    rate = "fit.adam.lr=0.3"; /* too high to get better for long */
    struct outcome first = train("patience", false, 400, (struct source){0});
    assert_int_equal(first.code, 0);
    assert_true(first.last.step < 400);
    assert_int_equal((int)(first.last.step - first.last.best_step), 10);
    struct outcome again = train("patience", true, 400, (struct source){0});
    assert_int_equal(again.code, 0);
    assert_true(again.last.step == first.last.step);
    assert_memory_equal(first.val, again.val, first.len * sizeof *first.val);
    patience = "fit.patience=0";
    rate = "fit.adam.lr=1e-2";
    mem_free(first.val), mem_free(again.val);
}

static void one_training_at_a_time(void **state)
{
    (void)state;
    char dir[256];
    snprintf(dir, sizeof dir, "%s/locked", folder);
    struct conf conf = {0};
    struct err e = {0};
    struct cfg *cfg = cfg_load(fields, &conf, NULL, NULL, 0, &e);
    struct cli cli = {.cfg = cfg, .command = "test", .fields = fields, .quiet = true};
    struct run first, second;
    assert_int_equal(run_begin(&first, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &e), 0);
    assert_int_equal(run_begin(&second, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &e), -1);
    assert_non_null(strstr(e.text, "another training"));
    run_end(&second);
    run_end(&first);
    assert_int_equal(run_begin(&second, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &e), 0);
    run_end(&second);
    cfg_free(cfg);
}

static void what_is_there_is_not_overwritten(void **state)
{
    (void)state;
    struct outcome first = train("kept", false, 10, (struct source){0});
    assert_int_equal(first.code, 0);
    struct outcome again = train("kept", false, 10, (struct source){0});
    assert_int_equal(again.code, ERR_CONFIG);
    assert_memory_equal(first.val, again.val, first.len * sizeof *first.val);
    struct outcome other =
        train("kept", true, 30, (struct source){0}); /* steps change the schedule */
    assert_int_equal(other.code, ERR_CONFIG);
    if (!strstr(other.err.text, "'steps: 10', now 'steps: 30'")) fail_msg("%s", other.err.text);
    struct outcome nothing = train("nothing", true, 10, (struct source){0});
    assert_int_equal(nothing.code, ERR_NOINPUT);
    mem_free(first.val), mem_free(again.val), mem_free(other.val);
}

static void a_directory_that_cannot_be_written_is_refused_at_once(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(io_write_text(path, "x", 1, NULL), 0);
    struct outcome o = train("file/run", false, 10, (struct source){0});
    assert_int_equal(o.code, ERR_IO);
    assert_non_null(strstr(o.err.text, "file"));
}

static void sizes_that_cannot_be_halved_are_refused(void **state)
{
    (void)state;
    struct unet_conf unet = {
        .in_channels = 1, .out_channels = 1, .filters = 20, .levels = 5, .groups = 10};
    struct err e = {0};
    const struct fit_conf conf = {0};
    assert_int_equal(fit_check(&conf, &unet, 320, 160, &e), 0);
    assert_int_equal(fit_check(&conf, &unet, 230, 180, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.hint, "240"));
    assert_non_null(strstr(e.hint, "192"));
}

int main(void)
{
    char name[] = "/tmp/ssfd-test-fit-XXXXXX";
    folder = mkdtemp(name);
    stop_on_signals();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_repeats),
        cmocka_unit_test(resumes_to_the_same_bits),
        cmocka_unit_test(a_loss_that_is_not_a_number_stops_it),
        cmocka_unit_test(a_validation_that_is_not_a_number_stops_it),
        cmocka_unit_test(a_finished_training_stays_as_it_is),
        cmocka_unit_test(patience_that_ran_out_stays_out),
        cmocka_unit_test(one_training_at_a_time),
        cmocka_unit_test(what_is_there_is_not_overwritten),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_refused_at_once),
        cmocka_unit_test(sizes_that_cannot_be_halved_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
