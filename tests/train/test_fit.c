/* The training loop on a made-up task: it learns, it repeats bit for bit, it survives an
 * interruption, and it never destroys what is there. */
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "toy.h"
#include "train/initial.h"
#include "train/timing.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder; /* of this test program */

/* In folder/name, with up to four keys that differ, NULL-ended. */
#define train(name, resume, toy, ...)                                                              \
    train_with(name, resume, toy, (const char *const[]){__VA_ARGS__, NULL})
static struct toy_outcome train_with(const char *name, bool resume, struct toy toy,
                                     const char *const *sets)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s/%s", folder, name);
    return toy_train(dir, resume, toy, sets);
}

static const struct toy fine;

static void same_weights(const struct toy_outcome *a, const struct toy_outcome *b)
{
    assert_non_null(a->val);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->val, b->val, a->len * sizeof *a->val);
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
    struct toy_outcome a = train("a", false, fine, NULL), b = train("b", false, fine, NULL);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.last.step, 40);
    assert_true(a.best.best_loss < 0.05); /* the input's own error is 0.125 */
    assert_true(a.best.step % 10 == 0 && a.best.step == a.best.best_step);
    assert_int_equal(lines("a"), 8); /* every 10 steps a loss and a validation */
    same_weights(&a, &b);
    mem_free(a.val), mem_free(b.val);
}

static void resumes_to_the_same_bits(void **state)
{
    (void)state;
    static const char *const recipes[][4] = {
        {"fit.keep=1"},
        {"fit.average=0.9", "fit.clip=0.5", "fit.loss=l1"},
        {"fit.batch=2", "fit.accumulate=2", "fit.adam.weight_decay=0.01"},
        {"fit.schedule.kind=cosine", "fit.schedule.warmup=5", "fit.precision=bf16"}};
    for (int k = 0; k < 4; k++) {
        char straight_name[16], cut_name[16];
        snprintf(straight_name, sizeof straight_name, "straight%d", k);
        snprintf(cut_name, sizeof cut_name, "cut%d", k);
        struct toy_outcome straight = train_with(straight_name, false, fine, recipes[k]);
        /* The reader is ahead of the training, so where exactly the signal hits differs from run to
         * run. */
        struct toy_outcome cut =
            train_with(cut_name, false, (struct toy){.stop_at = 90}, recipes[k]);
        assert_int_equal(cut.code, ERR_STOPPED);
        if (!strstr(cut.err.text, "SIGUSR1")) fail_msg("%s", cut.err.text);
        assert_non_null(strstr(cut.err.hint, "--resume"));
        assert_true(cut.last.step > 0 && cut.last.step < 40);
        stop_on_signals(); /* forgets the one that was caught */
        struct toy_outcome rest = train_with(cut_name, true, fine, recipes[k]);
        assert_int_equal(rest.code, 0);
        assert_int_equal(rest.last.step, 40);
        same_weights(&straight, &rest);
        assert_true(straight.best.best_loss == rest.best.best_loss);
        assert_int_equal(lines(cut_name), lines(straight_name));
        mem_free(straight.val), mem_free(cut.val), mem_free(rest.val);
    }
}

/* Several batches a step are one larger batch. */
static void accumulation_is_a_larger_batch(void **state)
{
    (void)state;
    struct toy_outcome a = train("batch", false, fine, "fit.batch=6");
    struct toy_outcome b = train("accumulate", false, fine, "fit.batch=2", "fit.accumulate=3");
    same_weights(&a, &b);
    mem_free(a.val), mem_free(b.val);
}

/* The average is what is validated, and what readers of the checkpoint get. */
static void the_average_is_validated(void **state)
{
    (void)state;
    struct toy_outcome a = train("raw", false, fine, NULL);
    struct toy_outcome b = train("average", false, fine, "fit.average=0.99");
    assert_int_equal(b.code, 0);
    assert_true(memcmp(a.val, b.val, a.len * sizeof *a.val) != 0);
    assert_true(a.last.loss_mean == b.last.loss_mean); /* the training itself is the same */
    assert_true(a.best.best_loss != b.best.best_loss);
    mem_free(a.val), mem_free(b.val);
}

static void clipping_changes_the_course(void **state)
{
    (void)state;
    struct toy_outcome a = train("unclipped", false, fine, "fit.clip=1e9");
    struct toy_outcome b = train("none", false, fine, "fit.clip=0");
    struct toy_outcome c = train("clipped", false, fine, "fit.clip=1e-3");
    same_weights(&a, &b);
    assert_true(memcmp(a.val, c.val, a.len * sizeof *a.val) != 0);
    mem_free(a.val), mem_free(b.val), mem_free(c.val);
}

/* Stops with the step and the sample, and leaves the last checkpoint as it was. */
static void fails(const char *name, struct toy toy, enum err_code code, const char *step,
                  const char *sample, uint64_t last)
{
    struct toy_outcome o = train(name, false, toy, NULL);
    assert_int_equal(o.code, code);
    if (!strstr(o.err.text, step) || !strstr(o.err.text, sample)) fail_msg("%s", o.err.text);
    assert_int_equal(o.last.step, last);
    assert_non_null(o.val);
    mem_free(o.val);
}

static void failures_name_step_and_sample(void **state)
{
    (void)state;
    const int at = 4 * 24 + 1; /* the first sample of step 25 */
    fails("nan", (struct toy){.nan_at = at}, ERR_FAILED, "the loss became nan at step 25",
          "blob 5 holds values that are not finite", 20);
    fails("loud", (struct toy){.loud_at = at}, ERR_FAILED, "at step 25, ",
          " times its running mean (fit.explosion is 1000); images are finite: training blob 5; "
          "training blob",
          20);
    /* The data fail, not the network: the state is saved. */
    fails("gone", (struct toy){.fail_at = at}, ERR_NOINPUT,
          "step 25: training blob 5: ", "blob.h5: cannot be opened", 24);
    /* The second of three images of the second validation. */
    fails("nan-validation", (struct toy){.validation_nan_at = 3 + 2}, ERR_FAILED, "step 20",
          "val_loss became nan", 10);
    /* The first image of the third: the state is saved, with the validation due. */
    fails("gone-validation", (struct toy){.validation_fail_at = 2 * 3 + 1}, ERR_NOINPUT,
          "validation after step 30: validation blob 0: ", "blob.h5: cannot be opened", 30);
}

static void data_that_come_back_continue_it(void **state)
{
    (void)state;
    struct toy_outcome straight = train("present", false, fine, NULL);
    struct toy_outcome cut = train("vanished", false, (struct toy){.fail_at = 70}, NULL);
    assert_int_equal(cut.code, ERR_NOINPUT);
    assert_non_null(strstr(cut.err.hint, "--resume"));
    struct toy_outcome rest = train("vanished", true, fine, NULL);
    assert_int_equal(rest.code, 0);
    same_weights(&straight, &rest);
    mem_free(cut.val), mem_free(rest.val);
    cut = train("unseen", false, (struct toy){.validation_fail_at = 5}, NULL);
    assert_int_equal(cut.code, ERR_NOINPUT);
    if (!strstr(cut.err.hint, "after step 20 is saved")) fail_msg("%s", cut.err.hint);
    rest = train("unseen", true, fine, NULL);
    assert_int_equal(rest.code, 0);
    same_weights(&straight, &rest);
    assert_int_equal(lines("unseen"), lines("present"));
    mem_free(straight.val), mem_free(cut.val), mem_free(rest.val);
}

static void a_finished_training_stays_as_it_is(void **state)
{
    (void)state;
    struct toy_outcome first = train("finished", false, fine, "fit.steps=10");
    struct toy_outcome again = train("finished", true, fine, "fit.steps=10");
    assert_int_equal(again.code, 0);
    assert_int_equal(again.last.step, 10);
    same_weights(&first, &again);
    mem_free(first.val), mem_free(again.val);
}

static void patience_that_ran_out_stays_out(void **state)
{
    (void)state;
    const char *const sets[] = {"fit.steps=400", "fit.patience=1", "fit.adam.lr=0.3",
                                NULL}; /* too high to get better for long */
    struct toy_outcome first = train_with("patience", false, fine, sets);
    assert_int_equal(first.code, 0);
    assert_true(first.last.step < 400);
    assert_int_equal(first.last.step - first.last.best_step, 10);
    struct toy_outcome again = train_with("patience", true, fine, sets);
    assert_int_equal(again.code, 0);
    assert_true(again.last.step == first.last.step);
    same_weights(&first, &again);
    mem_free(first.val), mem_free(again.val);
}

/* A validation every second epoch of one and a half steps, and after the last step. */
static void validates_by_epochs(void **state)
{
    (void)state;
    struct toy_outcome o = train("epochs", false, fine, "fit.validate_every=0", "fit.steps=0",
                                 "fit.epochs=5", "fit.validate_epochs=2");
    assert_int_equal(o.code, 0);
    assert_int_equal(o.last.step, 8);         /* 30 samples in batches of 4 */
    assert_int_equal(lines("epochs"), 1 + 3); /* after steps 3, 6, 8 */
    mem_free(o.val);
}

static void one_training_at_a_time(void **state)
{
    (void)state;
    char dir[256];
    snprintf(dir, sizeof dir, "%s/locked", folder);
    struct toy_conf conf = {0};
    struct err e = {0};
    struct cfg *cfg = cfg_load(toy_fields, &conf, NULL, NULL, 0, &e);
    struct cli cli = {.cfg = cfg,
                      .command = "test",
                      .fields = toy_fields,
                      .conf_size = sizeof conf,
                      .quiet = true};
    const char *const *free_keys = fit_may_change(&conf.fit);
    struct run first, second;
    assert_int_equal(run_begin(&first, dir, &cli, &conf, 5, free_keys, &e), 0);
    assert_int_equal(run_begin(&second, dir, &cli, &conf, 5, free_keys, &e), -1);
    assert_non_null(strstr(e.text, "another training"));
    run_end(&second);
    run_end(&first);
    assert_int_equal(run_begin(&second, dir, &cli, &conf, 5, free_keys, &e), 0);
    run_end(&second);
    cfg_free(cfg);
}

static void what_is_there_is_not_overwritten(void **state)
{
    (void)state;
    struct toy_outcome first = train("kept", false, fine, "fit.steps=10");
    assert_int_equal(first.code, 0);
    struct toy_outcome again = train("kept", false, fine, "fit.steps=10");
    assert_int_equal(again.code, ERR_CONFIG);
    same_weights(&first, &again);
    struct toy_outcome nothing = train("nothing", true, fine, NULL);
    assert_int_equal(nothing.code, ERR_NOINPUT);
    mem_free(first.val), mem_free(again.val);
}

static void what_may_change_and_what_not(void **state)
{
    (void)state;
    struct toy_outcome short_one = train("changed", false, fine, "fit.steps=10");
    struct toy_outcome other =
        train("changed", true, fine, "fit.steps=10", "fit.adam.lr=1e-3", "fit.batch=2");
    assert_int_equal(other.code, ERR_CONFIG);
    if (!strstr(other.err.text, "fit.batch was 4, is 2; fit.adam.lr was 0.01, is 0.001"))
        fail_msg("%s", other.err.text);
    /* With this schedule a longer training begins as a shorter one. */
    struct toy_outcome straight = train("longer", false, fine, "fit.steps=30");
    struct toy_outcome longer = train("changed", true, fine, "fit.steps=30", "fit.ahead=5");
    assert_int_equal(longer.code, 0);
    same_weights(&straight, &longer);
    /* Other scans are another training. */
    struct toy_outcome scans =
        train("changed", true, (struct toy){.fingerprint = 7}, "fit.steps=30");
    assert_int_equal(scans.code, ERR_DATA);
    assert_non_null(strstr(scans.err.text, "the scans behind data.train"));
    mem_free(short_one.val), mem_free(other.val), mem_free(straight.val);
    mem_free(longer.val), mem_free(scans.val);
}

static void edit_resolved(const char *name, const char *sed)
{
    char command[600];
    snprintf(command, sizeof command, "sed -i '%s' '%s/%s/config.resolved.yaml'", sed, folder,
             name);
    assert_int_equal(system(command), 0);
}

/* A key that there was not yet when the run was started had its default then; one that there is no
 * more is named. */
static void keys_that_come_and_go(void **state)
{
    (void)state;
    struct toy_outcome first = train("keys", false, fine, "fit.steps=10");
    edit_resolved("keys", "/clip:/d");
    struct toy_outcome clipped = train("keys", true, fine, "fit.steps=10", "fit.clip=1");
    assert_int_equal(clipped.code, ERR_CONFIG);
    assert_non_null(strstr(clipped.err.text, "fit.clip was 0, is 1"));
    struct toy_outcome as_before = train("keys", true, fine, "fit.steps=10");
    assert_int_equal(as_before.code, 0);
    edit_resolved("keys", "$a forgotten: 3");
    struct toy_outcome forgotten = train("keys", true, fine, "fit.steps=10");
    assert_int_equal(forgotten.code, ERR_CONFIG);
    assert_non_null(strstr(forgotten.err.text, "forgotten was 3, is none"));
    mem_free(first.val), mem_free(clipped.val), mem_free(as_before.val), mem_free(forgotten.val);
}

static void a_cosine_cannot_get_longer(void **state)
{
    (void)state;
    struct toy_outcome a = train("cosine", false, fine, "fit.schedule.kind=cosine", "fit.steps=10");
    struct toy_outcome b = train("cosine", true, fine, "fit.schedule.kind=cosine", "fit.steps=20");
    assert_int_equal(b.code, ERR_CONFIG);
    assert_non_null(strstr(b.err.text, "fit.steps was 10, is 20"));
    mem_free(a.val), mem_free(b.val);
}

static void a_directory_that_cannot_be_written_is_refused_at_once(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(io_write_text(path, "x", 1, NULL), 0);
    struct toy_outcome o = train("file/run", false, fine, NULL);
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

/* ---- what is in the run directory ---- */

static const char *path_of(const char *name, const char *file)
{
    static char path[2][300];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s/%s", folder, name, file);
    return path[turn];
}

/* Of run.json: the steps that "time" is of, and seconds by phase. */
static struct timing time_of(const char *name)
{
    struct timing t = {0};
    json_t *j = json_load_file(path_of(name, "run.json"), 0, NULL);
    const json_t *time = json_object_get(j, "time");
    t.steps = (uint64_t)json_integer_value(json_object_get(time, "steps"));
    assert_true(!time || json_object_size(time) == TIMING_PHASES + 1);
    for (int i = 0; i < TIMING_PHASES; i++)
        t.seconds[i] = json_number_value(json_object_get(time, timing_names[i]));
    json_decref(j);
    return t;
}

static void forget_time(const char *name)
{
    json_t *j = json_load_file(path_of(name, "run.json"), 0, NULL);
    json_object_del(j, "time");
    assert_int_equal(json_dump_file(j, path_of(name, "run.json"), 0), 0);
    json_decref(j);
}

/* Where the time went is that of all starts, and goes with the checkpoints. */
static void the_time_of_all_starts_is_recorded(void **state)
{
    (void)state;
    struct toy_outcome cut = train("timed", false, (struct toy){.stop_at = 90}, NULL);
    assert_int_equal(cut.code, ERR_STOPPED);
    stop_on_signals();
    const struct timing first = time_of("timed");
    assert_int_equal(first.steps, cut.last.step);
    static const int always[] = {TIMING_FORWARD, TIMING_BACKWARD, TIMING_VALIDATION, TIMING_SAVING};
    for (int k = 0; k < 4; k++)
        if (!(first.seconds[always[k]] > 0.0)) fail_msg("%s", timing_names[always[k]]);
    struct toy_outcome rest = train("timed", true, fine, NULL);
    assert_int_equal(rest.code, 0);
    const struct timing both = time_of("timed");
    assert_int_equal(both.steps, 40);
    for (int i = 0; i < TIMING_PHASES; i++)
        assert_true(both.seconds[i] >= first.seconds[i] - 1e-3);
    for (int k = 0; k < 4; k++)
        assert_true(both.seconds[always[k]] > first.seconds[always[k]]);
    /* Of a run that began before there was a record, it is the time since. */
    forget_time("timed");
    struct toy_outcome longer = train("timed", true, fine, "fit.steps=45");
    assert_int_equal(time_of("timed").steps, 5);
    /* A loss that explodes loses the steps since the checkpoint, and their time. */
    struct toy_outcome loud = train("lost", false, (struct toy){.loud_at = 4 * 24 + 1}, NULL);
    assert_int_equal(loud.code, ERR_FAILED);
    assert_int_equal(time_of("lost").steps, 20);
    mem_free(cut.val), mem_free(rest.val), mem_free(longer.val), mem_free(loud.val);
}

/* The n-th line of metrics.jsonl that has a key, from 0; NULL: there is none. */
static json_t *line_with(const char *name, const char *key, int n)
{
    char line[1024];
    FILE *f = fopen(path_of(name, "metrics.jsonl"), "r");
    json_t *found = NULL;
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f)) {
        json_t *j = json_loads(line, 0, NULL);
        assert_non_null(j);
        if (json_object_get(j, key) && n-- == 0)
            found = j;
        else
            json_decref(j);
    }
    fclose(f);
    return found;
}

static double value_in(const json_t *line, const char *key)
{
    const json_t *v = json_object_get(line, key);
    if (!json_is_real(v)) fail_msg("no %s", key);
    return json_real_value(v);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

/* The parts of the loss make it up, in every line; the l2 is that of the task's own score. */
static void check_parts(const char *name)
{
    json_t *j;
    int n = 0;
    for (; (j = line_with(name, "loss", n)); n++) {
        const double l2 = value_in(j, "loss_l2"), ssfd = value_in(j, "loss_ssfd");
        assert_true(l2 > 0.0 && ssfd > 0.0 && !near(l2, ssfd));
        assert_true(near(value_in(j, "loss"), 0.75 * l2 + 0.25 * ssfd));
        json_decref(j);
    }
    assert_int_equal(n, 4);
    for (n = 0; (j = line_with(name, "val_loss", n)); n++) {
        const double l2 = value_in(j, "val_loss_l2"), ssfd = value_in(j, "val_loss_ssfd");
        assert_true(near(l2, value_in(j, "val_l2")));
        assert_true(near(value_in(j, "val_loss"), 0.75 * l2 + 0.25 * ssfd));
        json_decref(j);
    }
    assert_int_equal(n, 4);
}

static void the_parts_of_a_loss_are_logged_apart(void **state)
{
    (void)state;
    char checkpoint[400];
    struct toy_outcome encoder = train("encoder", false, fine, "fit.steps=10");
    snprintf(checkpoint, sizeof checkpoint, "fit.ssfd.checkpoint=%s",
             path_of("encoder", "last.h5"));
    const char *const sets[] = {"fit.ssfd.weight=0.25", "fit.ssfd.layer=conv5", checkpoint, NULL};
    json_t *j = line_with("encoder", "loss", 0); /* whose loss has no parts */
    assert_int_equal(json_object_size(j), 4);
    json_decref(j);
    struct toy_outcome straight = train_with("parts", false, fine, sets);
    if (straight.code) fail_msg("%s", straight.err.text);
    check_parts("parts");
    /* A resumed training logs the same, also in the line that an interruption falls into. */
    struct toy_outcome cut = train_with("parts-cut", false, (struct toy){.stop_at = 70}, sets);
    assert_int_equal(cut.code, ERR_STOPPED);
    print_message("stopped after step %d\n", (int)cut.last.step);
    stop_on_signals();
    struct toy_outcome rest = train_with("parts-cut", true, fine, sets);
    if (rest.code) fail_msg("%s", rest.err.text);
    same_weights(&straight, &rest);
    char *a = io_read_text(path_of("parts", "metrics.jsonl"), 1 << 20, &(size_t){0}, NULL);
    char *b = io_read_text(path_of("parts-cut", "metrics.jsonl"), 1 << 20, &(size_t){0}, NULL);
    assert_string_equal(a, b);
    mem_free(a), mem_free(b);
    mem_free(encoder.val), mem_free(straight.val), mem_free(cut.val), mem_free(rest.val);
}

/* "fit.initial=…" */
static const char *initial(const char *name, const char *file)
{
    static char set[340];
    snprintf(set, sizeof set, "fit.initial=%s", path_of(name, file));
    return set;
}

/* At a rate of 0 the weights stay as they began. */
static void it_begins_with_weights_of_another(void **state)
{
    (void)state;
    static const char *const source[] = {"fit.average=0", "fit.average=0.9"};
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "source-averaged" : "source", *to = k ? "still-averaged" : "still";
        struct toy_outcome a = train(name, false, fine, source[k]);
        struct toy_outcome b = train(to, false, fine, initial(name, "last.h5"), "fit.adam.lr=0",
                                     "fit.schedule.min_lr=0", "fit.steps=10");
        if (b.code) fail_msg("%s", b.err.text);
        assert_int_equal(b.last.step, 10);
        same_weights(&a, &b);
        json_t *j = json_load_file(path_of(to, "run.json"), 0, NULL);
        const json_t *from = json_object_get(j, "initial");
        uint64_t checksum;
        char text[20];
        assert_int_equal(seal_check(path_of(name, "last.h5"), &checksum, NULL), 0);
        snprintf(text, sizeof text, "%016llx", (unsigned long long)checksum);
        assert_string_equal(json_string_value(json_object_get(from, "checksum")), text);
        assert_string_equal(json_string_value(json_object_get(from, "checkpoint")),
                            path_of(name, "last.h5"));
        assert_int_equal(json_integer_value(json_object_get(from, "step")), 40);
        json_decref(j);
        mem_free(a.val), mem_free(b.val);
    }
    /* Trained on from there it is better than from random weights, and another average. */
    struct toy_outcome cold = train("cold", false, fine, "fit.steps=10", "fit.average=0.9");
    struct toy_outcome warm =
        train("warm", false, fine, "fit.steps=10", "fit.average=0.9", initial("source", "best.h5"));
    assert_true(warm.best.best_loss < 0.5 * cold.best.best_loss);
    json_t *j = json_load_file(path_of("cold", "run.json"), 0, NULL);
    assert_true(json_is_object(j) && !json_object_get(j, "initial"));
    json_decref(j);
    mem_free(cold.val), mem_free(warm.val);
}

/* A resumed training goes on from its own state: the file may be gone. */
static void a_state_comes_before_initial_weights(void **state)
{
    (void)state;
    struct toy_outcome a = train("origin", false, fine, "fit.steps=10");
    struct toy_outcome straight = train("onward", false, fine, initial("origin", "best.h5"));
    struct toy_outcome cut =
        train("onward-cut", false, (struct toy){.stop_at = 90}, initial("origin", "best.h5"));
    assert_int_equal(cut.code, ERR_STOPPED);
    stop_on_signals();
    assert_int_equal(rename(path_of("origin", "best.h5"), path_of("origin", "moved.h5")), 0);
    struct toy_outcome none =
        train("onward-none", false, fine, initial("origin", "best.h5"), "fit.steps=10");
    assert_int_equal(none.code, ERR_NOINPUT);
    struct toy_outcome other = train("onward-cut", true, fine, initial("origin", "moved.h5"));
    assert_int_equal(other.code, ERR_CONFIG);
    struct toy_outcome rest = train("onward-cut", true, fine, initial("origin", "best.h5"));
    if (rest.code) fail_msg("%s", rest.err.text);
    same_weights(&straight, &rest);
    json_t *j = json_load_file(path_of("onward-cut", "run.json"), 0, NULL);
    assert_non_null(json_object_get(j, "initial"));
    json_decref(j);
    mem_free(a.val), mem_free(straight.val), mem_free(cut.val), mem_free(rest.val);
    mem_free(other.val), mem_free(none.val);
}

static void refuses_initial(const char *path, const char *task, const struct unet_conf *unet,
                            enum err_code code, const char *what)
{
    struct err e = {0};
    assert_int_equal(initial_check(path, task, unet, &e), -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, path) || !strstr(e.text, what)) fail_msg("%s", e.text);
}

static void initial_weights_of_something_else_are_refused(void **state)
{
    (void)state;
    struct toy_outcome a = train("theirs", false, fine, "fit.steps=10");
    mem_free(a.val);
    const char *path = path_of("theirs", "last.h5");
    struct unet_conf unet = a.last.unet;
    assert_int_equal(initial_check(path, "ssl", &unet, NULL), 0);
    unet.dropout = 0.5;
    assert_int_equal(initial_check(path, "ssl", &unet, NULL), 0);
    refuses_initial(path, "recon", &unet, ERR_DATA, "task 'ssl', not 'recon'");
    unet.filters = 8;
    unet.block = UNET_BLOCK_FASTMRI;
    refuses_initial(path, "ssl", &unet, ERR_DATA, "filters is 4, here 8");
    unet.filters = 4;
    refuses_initial(path, "ssl", &unet, ERR_DATA, "block is context, here fastmri");
    unet.block = UNET_BLOCK_CONTEXT;
    unet.data_consistency = 1;
    refuses_initial(path, "ssl", &unet, ERR_DATA, "data_consistency is 0, here 1");
    refuses_initial(path_of("theirs", "none.h5"), "ssl", &unet, ERR_NOINPUT, "fit.initial");
    refuses_initial(path_of("theirs", "run.json"), "ssl", &unet, ERR_DATA, "fit.initial");
}

int main(void)
{
    char name[] = "/tmp/ssfd-test-fit-XXXXXX";
    folder = mkdtemp(name);
    par_set_threads(1); /* tiny images */
    stop_on_signals();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_repeats),
        cmocka_unit_test(resumes_to_the_same_bits),
        cmocka_unit_test(accumulation_is_a_larger_batch),
        cmocka_unit_test(the_average_is_validated),
        cmocka_unit_test(clipping_changes_the_course),
        cmocka_unit_test(failures_name_step_and_sample),
        cmocka_unit_test(data_that_come_back_continue_it),
        cmocka_unit_test(a_finished_training_stays_as_it_is),
        cmocka_unit_test(patience_that_ran_out_stays_out),
        cmocka_unit_test(validates_by_epochs),
        cmocka_unit_test(one_training_at_a_time),
        cmocka_unit_test(what_is_there_is_not_overwritten),
        cmocka_unit_test(what_may_change_and_what_not),
        cmocka_unit_test(keys_that_come_and_go),
        cmocka_unit_test(a_cosine_cannot_get_longer),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_refused_at_once),
        cmocka_unit_test(sizes_that_cannot_be_halved_are_refused),
        cmocka_unit_test(the_time_of_all_starts_is_recorded),
        cmocka_unit_test(the_parts_of_a_loss_are_logged_apart),
        cmocka_unit_test(it_begins_with_weights_of_another),
        cmocka_unit_test(a_state_comes_before_initial_weights),
        cmocka_unit_test(initial_weights_of_something_else_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
