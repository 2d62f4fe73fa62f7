/* Bad input: each gets a message that names file and place, the right exit code, and leaves nothing
 * behind that could pass for a result. */
#include "base/h5.h"
#include "base/mem.h"
#include "cli/shell.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONFIG = 78, DATA = 65, NOINPUT = 66, IO = 74 };

static const char *const yaml = "run: run\n"
                                "data: {train: [SCAN], validation: [good.h5],\n"
                                "       cache: references, height: 32, width: 32}\n"
                                "network: {filters: 4, levels: 2, groups: 2}\n"
                                "fit: {batch: 1, steps: 2}\n";

/* A scan (slices, coils, n, n) of a smooth object; `nan_at` >= 0 spoils one sample. */
static void write_scan(const char *name, int rank, const int64_t *dim, enum h5_type type,
                       long nan_at)
{
    char path[256];
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dim[i];
    snprintf(path, sizeof path, "%s/%s", shell_folder(), name);
    struct err e = {0};
    struct h5 *f = h5_create(path, &e);
    float complex *x = mem_new(n, sizeof *x, &e);
    int64_t zero[H5_MAX_RANK] = {0};
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)sin((double)i) + I * (float)cos(0.3 * (double)i);
    if (nan_at >= 0) x[nan_at] = NAN;
    assert_int_equal(h5_make(f, "kspace", type, rank, dim, &e), 0);
    if (n && type == H5_C64) assert_int_equal(h5_write_c64(f, "kspace", rank, zero, dim, x, &e), 0);
    assert_int_equal(h5_commit(f, &e), 0);
    h5_close(f);
    mem_free(x);
}

static int setup(void **state)
{
    if (shell_setup(state)) return -1;
    write_scan("good.h5", 4, (int64_t[]){2, 2, 32, 32}, H5_C64, -1);
    shell_write("text.h5", "this is not HDF5\n");
    write_scan("real.h5", 4, (int64_t[]){2, 2, 32, 32}, H5_F32, -1);
    write_scan("rank.h5", 2, (int64_t[]){32, 32}, H5_C64, -1);
    write_scan("empty.h5", 4, (int64_t[]){0, 2, 32, 32}, H5_C64, -1);
    write_scan("nan.h5", 4, (int64_t[]){2, 2, 32, 32}, H5_C64, 32 * 32 * 3 + 32 * 4 + 7);
    shell_run("head -c 9000 good.h5 >truncated.h5; : >zero.h5; mkdir nothing");
    char path[256];
    snprintf(path, sizeof path, "%s/absent.h5", shell_folder());
    struct h5 *f = h5_create(path, NULL);
    h5_make(f, "image", H5_F32, 1, (int64_t[]){4}, NULL);
    int bad = h5_commit(f, NULL);
    h5_close(f);
    /* Declared, never written: a file of some kB that asks for 200 GiB. */
    snprintf(path, sizeof path, "%s/large.h5", shell_folder());
    f = h5_create(path, NULL);
    bad |= h5_make(f, "kspace", H5_C64, 4, (int64_t[]){1, 30, 30000, 30000}, NULL) ||
           h5_commit(f, NULL);
    h5_close(f);
    snprintf(path, sizeof path, "%s/masked.h5", shell_folder());
    f = h5_create(path, NULL);
    bad |=
        h5_make(f, "kspace", H5_C64, 4, (int64_t[]){2, 2, 32, 32}, NULL) ||
        h5_make(f, "mask", H5_F32, 1, (int64_t[]){32}, NULL) ||
        h5_write_f32(f, "mask", 1, NULL, (int64_t[]){32}, (float[32]){[3] = 1, [16] = 1}, NULL) ||
        h5_commit(f, NULL);
    h5_close(f);
    return bad;
}

/* train-ssl on this scan fails with `code` and a message that holds every one of the words. */
static void refuses_scan(const char *scan, int code, const char *const *words)
{
    char sed[256];
    shell_write("c.yaml", yaml);
    snprintf(sed, sizeof sed, "sed -i 's|SCAN|%s|' c.yaml", scan);
    shell_run("%s", sed);
    const struct outcome *o = shell_run("train-ssl c.yaml --quiet");
    if (o->code != code) print_error("%s: exit %d\n%s", scan, o->code, o->err);
    assert_int_equal(o->code, code);
    for (; *words; words++)
        if (!strstr(o->err, *words)) fail_msg("%s: '%s' is not in: %s", scan, *words, o->err);
    assert_false(shell_exists("run/last.h5"));
    assert_false(shell_exists("run/best.h5"));
    char cached[64];
    snprintf(cached, sizeof cached, "references/%s", scan);
    assert_false(shell_exists(cached));
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void scans(void **state)
{
    (void)state;
    refuses_scan("missing.h5", NOINPUT, WORDS("missing.h5"));
    refuses_scan("nothing", NOINPUT, WORDS("nothing", ".h5"));
    refuses_scan("text.h5", DATA, WORDS("text.h5", "HDF5"));
    refuses_scan("zero.h5", DATA, WORDS("zero.h5", "empty"));
    refuses_scan("truncated.h5", DATA, WORDS("truncated.h5"));
    refuses_scan("absent.h5", DATA, WORDS("absent.h5", "kspace"));
    refuses_scan("rank.h5", DATA, WORDS("rank.h5", "kspace"));
    refuses_scan("real.h5", DATA, WORDS("real.h5", "kspace", "complex"));
    refuses_scan("empty.h5", DATA, WORDS("empty.h5", "slice"));
    /* Sample 32 * 32 * 3 + 32 * 4 + 7 is slice 1, coil 1, row 4, column 7. */
    refuses_scan("nan.h5", DATA, WORDS("nan.h5", "slice 1", "coil 1"));
    refuses_scan("masked.h5", DATA, WORDS("masked.h5", "undersampled"));
    refuses_scan("large.h5", DATA, WORDS("large.h5", "kspace", "30000"));
    refuses_scan("good.h5", CONFIG, WORDS("good", "data.train", "data.validation"));
}

/* The good configuration with one line added or replaced. */
static void refuses_config(const char *line, int code, const char *const *words)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s", yaml, line);
    shell_write("c.yaml", text);
    const struct outcome *o = shell_run("train-ssl c.yaml --quiet");
    if (o->code != code) print_error("%s: exit %d\n%s", line, o->code, o->err);
    assert_int_equal(o->code, code);
    for (; *words; words++)
        if (!strstr(o->err, *words)) fail_msg("%s: '%s' is not in: %s", line, *words, o->err);
    assert_false(shell_exists("run/last.h5"));
}

static void configurations(void **state)
{
    (void)state;
    refuses_config("sede: 3\n", CONFIG, WORDS("c.yaml:6:1", "sede", "did you mean 'seed'"));
    refuses_config("seed: 3\nseed: 4\n", CONFIG, WORDS("c.yaml:7:1", "seed"));
    refuses_config("seed: 1.5\n", CONFIG, WORDS("c.yaml:6:", "1.5"));
    shell_write("c.yaml", yaml);
    shell_run("sed -i 's/batch: 1/batch: 8abc, adam: {lr: nan}/' c.yaml");
    const struct outcome *both = shell_run("train-ssl c.yaml");
    assert_int_equal(both->code, CONFIG);
    assert_non_null(strstr(both->err, "c.yaml:5:"));
    assert_non_null(strstr(both->err, "8abc"));
    assert_non_null(strstr(both->err, "nan"));
    refuses_config("patches: {side: 8abc}\n", CONFIG, WORDS("c.yaml:6:", "8abc"));
    refuses_config("patches: {coverage: nan}\n", CONFIG, WORDS("c.yaml:6:", "nan"));
    const struct outcome *o =
        shell_run("train-ssl c.yaml --set fit.batch=8abc --set fit.adam.lr=nan");
    assert_int_equal(o->code, CONFIG); /* all mistakes at once */
    assert_non_null(strstr(o->err, "8abc"));
    assert_non_null(strstr(o->err, "fit.adam.lr"));
    assert_non_null(strstr(o->err, "c.yaml:6:"));

    /* No scans to train on: before anything is done, in either command. */
    static const char *const empty[] = {"train-ssl", "train-recon"};
    for (int i = 0; i < 4; i++) {
        o = shell_run(
            "printf '%%s\\n' 'run: run' 'data: {train: [], validation: [good.h5]}' >e.yaml; "
            "%s e.yaml%s",
            empty[i / 2], i % 2 ? " --check" : "");
        assert_int_equal(o->code, CONFIG);
        if (!strstr(o->err, "data.train is empty")) fail_msg("%s", o->err);
    }

    shell_run("head -c 200000 /dev/zero | tr '\\0' '[' >c.yaml");
    o = shell_run("timeout 5 train-ssl c.yaml");
    assert_int_equal(o->code, CONFIG);
    assert_non_null(strstr(o->err, "c.yaml"));
    assert_int_equal(shell_run("train-ssl no.yaml")->code, NOINPUT);
    assert_non_null(strstr(shell_run("train-ssl no.yaml")->err, "no.yaml"));
}

/* Legal values that cannot be meant: some are refused, of others a warning is all. */
static void what_cannot_be_meant(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    shell_run("cp good.h5 other.h5; sed -i 's|SCAN|other.h5|' c.yaml");
    static const char *const refused[][3] = {
        {"data.train='[other.h5, \"\"]'", "data.train: entry 2 of 2 is empty", ""},
        {"network.groups=3", "network.groups is 3", "network.filters, 4"},
        {"fit.schedule.min_lr=0.01", "fit.schedule.min_lr is 0.01", "fit.adam.lr, 0.001"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct outcome *o = shell_run("train-ssl c.yaml --quiet --set %s", refused[i][0]);
        assert_int_equal(o->code, CONFIG);
        if (!strstr(o->err, refused[i][1]) || !strstr(o->err, refused[i][2]))
            fail_msg("%s: %s", refused[i][0], o->err);
    }
    assert_false(shell_exists("run/last.h5"));
    for (int check = 0; check < 2; check++) {
        const struct outcome *o = shell_run("train-ssl c.yaml --set fit.schedule.warmup=2 %s",
                                            check ? "--check" : "--set run=warm");
        assert_int_equal(o->code, 0);
        assert_non_null(strstr(o->err, "warmup is 2, but the training has 2 steps"));
    }
    const struct outcome *o = shell_run("train-ssl c.yaml --check --set fit.schedule.warmup=1");
    assert_null(strstr(o->err, "warning"));
    shell_run("grep -v network c.yaml >r.yaml; mv r.yaml c.yaml");
    o = shell_run("train-recon c.yaml --set mask.acceleration=1 --set run=whole --quiet");
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->err, "warning: mask: nothing of other.h5 is left out"));
}

/* Without scans --check has figures for every thousand of them. */
static void check_without_scans(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    const struct outcome *o = shell_run("train-ssl c.yaml --check --set fit.steps=0");
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->out, "# scans: data.train: SCAN: No such file"));
    assert_non_null(
        strstr(o->out, "# all 500 epochs, for every 1000 images, without validations: "));
    /* 1000 (12 x 640 x 368 + 8 x 15 x 8 x 8) bytes */
    assert_non_null(strstr(o->out, "references: 2.6 GiB for every 1000 slices of 640 x 368 with 15 "
                                   "coils"));
    o = shell_run("train-ssl c.yaml --check");
    assert_non_null(strstr(o->out, "# all 2 steps, without validations: "));
}

static void an_early_end_is_told(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    const struct outcome *o =
        shell_run("cp good.h5 other.h5; sed -i 's|SCAN|other.h5|' c.yaml; "
                  "train-ssl c.yaml --quiet --set run=early --set fit.adam.lr=0 --set "
                  "fit.schedule.min_lr=0 --set fit.steps=9 --set fit.validate_every=1 "
                  "--set fit.patience=3");
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->out, "steps: 4\nstopped_early: no better val_loss in 3 validations\n"
                                   "best_step: 1\nbest_val_loss: "));
    const double best = strtod(strstr(o->out, "best_val_loss: ") + 15, NULL);
    assert_true(best > 0.0 && best == strtod(strstr(o->out, "\nval_loss: ") + 11, NULL));
    o = shell_run("train-ssl c.yaml --quiet --set run=whole-length --set fit.steps=2");
    assert_null(strstr(o->out, "stopped_early"));
    assert_non_null(strstr(o->out, "best_val_loss: "));
}

static void sizes_the_network_cannot_halve(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    const struct outcome *o = shell_run(
        "train-ssl c.yaml --set data.height=230 --set data.width=180 --set network.levels=5");
    assert_int_equal(o->code, CONFIG);
    assert_non_null(strstr(o->err, "240"));
    assert_non_null(strstr(o->err, "192"));
}

static void a_run_directory_that_cannot_be_written(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    const struct outcome *o =
        shell_run("sed -i 's|SCAN|other.h5|' c.yaml && cp good.h5 other.h5 && "
                  "train-ssl c.yaml --set run=text.h5/run");
    assert_int_equal(o->code, IO);
    assert_non_null(strstr(o->err, "text.h5"));
    assert_false(shell_exists("references/other.h5")); /* found out before any work */
}

static void a_checkpoint_of_another_network(void **state)
{
    (void)state;
    shell_write("c.yaml", yaml);
    assert_int_equal(shell_run("sed -i 's|SCAN|other.h5|' c.yaml && cp good.h5 other.h5 && "
                               "train-ssl c.yaml --quiet --set run=ssl && "
                               "train-ssl c.yaml --quiet --set run=ssl3 --set network.filters=6")
                         ->code,
                     0);
    /* Resume with a checkpoint put there from another training. */
    const struct outcome *o =
        shell_run("cp ssl3/last.h5 ssl/last.h5; train-ssl c.yaml --set run=ssl --resume");
    assert_int_equal(o->code, DATA);
    assert_non_null(strstr(o->err, "last.h5"));
    static const char *const study =
        "output: study\n"
        "data: {scans: [good.h5], cache: references}\n"
        "study: {kind: perturbation, metrics: {ssfd: {checkpoint: X}}}\n";
    shell_write("s.yaml", study);
    /* Two levels have conv 1 to 4: conv 9 does not exist. */
    o = shell_run("sed -i 's|X|ssl3/last.h5|' s.yaml; eval-study s.yaml");
    assert_int_equal(o->code, CONFIG);
    if (!strstr(o->err, "conv9")) fail_msg("%s", o->err);
    o = shell_run("sed -i 's|ssl3/last.h5|good.h5|' s.yaml; eval-study s.yaml");
    assert_int_equal(o->code, DATA);
    assert_non_null(strstr(o->err, "good.h5"));
    o = shell_run("sed -i 's|good.h5}|none.h5}|' s.yaml; eval-study s.yaml");
    assert_int_equal(o->code, NOINPUT);
    assert_non_null(strstr(o->err, "none.h5"));
    assert_false(shell_exists("study/curves.csv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),
        cmocka_unit_test(configurations),
        cmocka_unit_test(what_cannot_be_meant),
        cmocka_unit_test(check_without_scans),
        cmocka_unit_test(an_early_end_is_told),
        cmocka_unit_test(sizes_the_network_cannot_halve),
        cmocka_unit_test(a_run_directory_that_cannot_be_written),
        cmocka_unit_test(a_checkpoint_of_another_network),
    };
    return cmocka_run_group_tests(tests, setup, shell_teardown);
}
