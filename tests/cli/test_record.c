/* What the trainings say about how they compute: precision, run.json, --explain, explain.txt. */
#include "cli/shell.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum {
    SIZE = 64,
    BATCH = 2,
    FILTERS = 8,
    LEVELS = 5,
    CONVOLUTIONS = 2 * LEVELS + 3 * (LEVELS - 1) + 1
};

static const char *const yaml = "run: ssl\n"
                                "data: {train: [scans/train], validation: [scans/validation],\n"
                                "       cache: references, height: 64, width: 64}\n"
                                "network: {filters: 8, levels: 5, groups: 4}\n"
                                "fit: {batch: 2, steps: 4, validate_every: 2, pictures: 0}\n";

static const struct outcome *succeeds(const struct outcome *o)
{
    if (o->code) print_error("exit %d\n%s", o->code, o->err);
    assert_int_equal(o->code, 0);
    return o;
}

static int setup(void **state)
{
    if (shell_setup(state)) return -1;
    const char *const small = "--slices 2 --coils 2 --size 64 --width 64 --quiet";
    shell_write("ssl.yaml", yaml);
    return shell_run("make-scans scans/train --scans 2 --seed 1 %s && "
                     "make-scans scans/validation --scans 1 --seed 2 %s",
                     small, small)
        ->code;
}

/* run.json of a run; json_decref. */
static json_t *record(const char *run)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s/run.json", shell_folder(), run);
    json_t *j = json_load_file(path, 0, NULL);
    assert_true(json_is_object(j));
    return j;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    if (!text) fail_msg("run.json has no %s", key);
    return text;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

/* The convolutions whose kernels' names begin with `start`. */
static int kernels(const json_t *j, const char *start)
{
    int n = 0;
    json_t *const list = json_object_get(j, "kernels");
    for (void *i = json_object_iter(list); i; i = json_object_iter_next(list, i)) {
        const bool counts = strncmp(json_object_iter_key(i), start, strlen(start)) == 0;
        n += counts ? (int)json_integer_value(json_object_iter_value(i)) : 0;
    }
    return n;
}

static void what_computed_is_recorded(void **state)
{
    (void)state;
    assert_int_equal(count(succeeds(shell_run("train-ssl ssl.yaml --threads 2"))->err, "warning"),
                     0);
    json_t *j = record("ssl");
    assert_string_equal(text_of(j, "command"), "train-ssl");
    assert_string_equal(text_of(j, "precision"), "fp32");
    assert_true(strlen(text_of(j, "isa")) > 0);
    assert_true(strchr(text_of(j, "onednn"), '.') != NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "threads")), 2);
    assert_int_equal(kernels(j, ""), CONVOLUTIONS);
    assert_null(json_object_get(j, "resumed"));
    json_decref(j);
    succeeds(shell_run("grep -q 'precision fp32, threads 2' ssl/explain.txt && "
                       "grep -q '^block1.conv1:block1_relu1 ' ssl/explain.txt && "
                       "grep -q '^convolutions: .* of peak$' ssl/explain.txt"));
    /* Nothing was computed, so nothing is added. */
    succeeds(
        shell_run("cp ssl/run.json was && train-ssl ssl.yaml --resume && cmp ssl/run.json was"));
}

static void precisions(void **state)
{
    (void)state;
    succeeds(shell_run("train-ssl ssl.yaml --set run=direct --set fit.precision=fp32-direct"));
    json_t *j = record("direct");
    assert_string_equal(text_of(j, "precision"), "fp32-direct");
    assert_int_equal(kernels(j, ""), CONVOLUTIONS);
    assert_int_equal(kernels(j, "own"), 0);
    json_decref(j);

    const struct outcome *o = shell_run("train-ssl ssl.yaml --set fit.precision=half");
    assert_int_equal(o->code, 78);
    assert_non_null(strstr(o->err, "fit.precision"));
    assert_non_null(strstr(o->err, "fp32, fp32-whole, fp32-direct, bf16"));
    o = succeeds(shell_run("train-ssl --help"));
    assert_non_null(strstr(o->out, "fit.precision"));

    o = succeeds(shell_run("train-ssl ssl.yaml --set run=bf16 --set fit.precision=bf16"));
    j = record("bf16");
    if (count(o->err, "warning") == 0) {
        assert_string_equal(text_of(j, "precision"), "bf16");
        /* Without AMX some are faster by Winograd's scheme, in float32. */
        assert_true(kernels(j, "own bf16 ") > 0);
        assert_int_equal(kernels(j, "own "), CONVOLUTIONS);
        assert_int_equal(shell_run("cmp bf16/last.h5 ssl/last.h5")->code, 1);
    }
    json_decref(j);
}

static void bf16_without_its_products_is_fp32(void **state)
{
    (void)state;
    const char *const old = "ONEDNN_MAX_CPU_ISA=AVX2 train-ssl ssl.yaml --quiet";
    const struct outcome *o =
        succeeds(shell_run("%s --set run=old-bf16 --set fit.precision=bf16", old));
    assert_int_equal(count(o->err, "\n"), 1);
    assert_int_equal(strncmp(o->err, "train-ssl: warning: ", 20), 0);
    assert_non_null(strstr(o->err, "AVX512_BF16"));
    assert_non_null(strstr(o->err, "fp32"));
    json_t *j = record("old-bf16");
    assert_string_equal(text_of(j, "precision"), "fp32");
    assert_string_equal(text_of(j, "isa"), "avx2");
    json_decref(j);
    assert_int_equal(count(succeeds(shell_run("%s --set run=old", old))->err, "warning"), 0);
    succeeds(shell_run("cmp old/last.h5 old-bf16/last.h5"));
    o = succeeds(shell_run("%s --explain --set fit.precision=bf16", old));
    assert_int_equal(count(o->err, "warning"), 1);
    assert_non_null(strstr(o->out, "precision fp32, "));
}

/* --- memory --- */

/* The most that a command run so far had, in KiB. */
static long most_memory(void)
{
    struct rusage of;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &of), 0);
    return of.ru_maxrss;
}

/* A step of 2048 images takes what one of 256 does: what goes at once, and is ready, are a few. */
static void memory_is_not_that_of_the_step(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* memory that was freed stays with AddressSanitizer for a while */
#endif
    const char *const step = "train-ssl ssl.yaml --quiet --threads 2 --set fit.steps=1 --set "
                             "run=step%d --set fit.accumulate=%d";
    char command[256];
    long most[2];
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, step, i, i ? 1024 : 128);
        succeeds(shell_run("%s", command));
        most[i] = most_memory();
    }
    print_message("%ld and %ld KiB\n", most[0], most[1]);
    assert_true((double)most[1] < 1.05 * (double)most[0]);
}

/* --- resumptions --- */

static const char *const longer =
    "ssl.yaml --quiet --set run=cut --set fit.steps=4000 --set fit.patience=0";

/* Trains from where it is until there is a new checkpoint, then stops it. */
static const struct outcome *interrupt(const char *environment, const char *options)
{
    const struct outcome *o =
        shell_run("touch mark; %s train-ssl %s %s & stop_when TERM [ cut/last.h5 -nt mark ]",
                  environment, longer, options);
    if (o->code != 75) print_error("%s", o->err);
    assert_int_equal(o->code, 75);
    return o;
}

/* What the last resumption says differs: n keys, the first of them `first`. */
static void differs(int resumptions, size_t n, const char *first)
{
    json_t *j = record("cut"), *list = json_object_get(j, "resumed");
    assert_int_equal(json_array_size(list), resumptions);
    const json_t *last = json_array_get(list, (size_t)resumptions - 1);
    const json_t *keys = json_object_get(last, "differs");
    assert_true(strlen(text_of(last, "time")) > 0);
    assert_int_equal(kernels(last, ""), CONVOLUTIONS);
    assert_int_equal(json_array_size(keys), n);
    if (n) assert_string_equal(json_string_value(json_array_get(keys, 0)), first);
    json_decref(j);
}

static void a_resumption_elsewhere_warns(void **state)
{
    (void)state;
    interrupt("", "--threads 2");
    assert_int_equal(count(interrupt("", "--threads 2 --resume")->err, "warning"), 0);
    differs(1, 0, NULL);
    const struct outcome *o = interrupt("", "--threads 1 --resume");
    assert_int_equal(count(o->err, "train-ssl: warning: "), 1);
    assert_non_null(strstr(o->err, "the bits of this training will differ"));
    assert_non_null(strstr(o->err, ": threads was 2, is 1\n"));
    differs(2, 1, "threads");
    o = interrupt("", "--threads 2 --resume"); /* what happened stays in the weights */
    assert_int_equal(count(o->err, "train-ssl: warning: "), 1);
    assert_non_null(strstr(o->err, "earlier resumption"));
    differs(3, 0, NULL);
    /* A processor that cannot do what was done; one that can do no more makes no difference. */
    json_t *j = record("cut");
    const bool less = strcmp(text_of(j, "isa"), "avx2") && strcmp(text_of(j, "isa"), "baseline");
    json_decref(j);
    o = interrupt("ONEDNN_MAX_CPU_ISA=AVX2", "--threads 2 --resume");
    if (less) assert_non_null(strstr(o->err, "isa was "));
    if (less) assert_non_null(strstr(o->err, "kernels was {"));
    differs(4, less ? 2 : 0, "isa");
    /* The record is no condition of going on. */
    succeeds(shell_run("echo '{' >cut/run.json"));
    assert_non_null(
        strstr(interrupt("", "--threads 2 --resume")->err, "threads was unknown, is 2"));
    differs(1, 5, "isa");
}

/* --- --explain --- */

struct row {
    char name[64], shape[64], kernel[128];
    double at, size, kept, scratch, ms[2], gflops[2], peak, bytes; /* 0: a dash */
};

static bool read_row(const char *line, struct row *r)
{
    char cell[10][24];
    if (sscanf(line, "%63s %63s %23s %23s %23s %23s %23s %23s %23s %23s %23s %23s %127[^\n]",
               r->name, r->shape, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6],
               cell[7], cell[8], cell[9], r->kernel) != 13)
        return false;
    double *const to[] = {&r->at,    &r->size,      &r->kept,      &r->scratch, &r->ms[0],
                          &r->ms[1], &r->gflops[0], &r->gflops[1], &r->peak,    &r->bytes};
    for (int i = 0; i < 10; i++)
        *to[i] = atof(cell[i]); /* of a dash: 0 */
    return true;
}

/* By the defining sums: forward, to the weights, to x but for the image itself. */
static double step_gflop(void)
{
    double sum = 0.0;
    for (int level = 0; level < LEVELS; level++) {
        const double pixels = BATCH * pow(SIZE >> level, 2), f = FILTERS << level;
        const double first = level ? f / 2.0 : 1.0;
        sum += pixels * 9.0 * f * (first * (level ? 3.0 : 2.0) + f * 3.0);
        if (level == LEVELS - 1) break;
        sum += pixels * 3.0 * f * (2.0 * f + 9.0 * (2.0 * f + f)); /* the way up */
    }
    return 2e-9 * (sum + 3.0 * BATCH * SIZE * SIZE * FILTERS);
}

/* The lines of the table; returns what follows them. */
static const char *read_table(const char *out, struct row *row, int *n)
{
    const char *line = strstr(out, "\nnode ");
    assert_non_null(line);
    for (*n = 0; *n < 100; ++*n) {
        line = strchr(line + 1, '\n');
        assert_non_null(line);
        if (strncmp(line, "\narena ", 7) == 0) return line;
        if (!read_row(line + 1, &row[*n])) fail_msg("no line of the table: %.200s", line);
    }
    return NULL;
}

static double number_after(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    if (!at) fail_msg("'%s' is not in: %s", what, text);
    return atof(at + strlen(what));
}

static void close_to(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance)) fail_msg("%g and %g", a, b);
}

static void explain(void **state)
{
    (void)state;
    static struct row row[100];
    const struct outcome *o =
        succeeds(shell_run("train-ssl ssl.yaml --explain --threads 1 --set data.train=nowhere"));
    assert_non_null(strstr(o->out, "precision fp32, threads 1, isa "));
    assert_int_equal(count(o->out, "training steps on random numbers, of "), 1);
    int n, convolutions = 0;
    const char *sums = read_table(o->out, row, &n);
    double conv_ms = 0.0, other_ms = 0.0, gflop = 0.0;
    for (int i = 0; i < n; i++) {
        const struct row *r = &row[i];
        const bool input = strncmp(r->name, "input:", 6) == 0, conv = r->gflops[0] > 0.0;
        if (strstr(r->kernel, "ref")) fail_msg("%s: %s", r->name, r->kernel);
        if (!input && !(r->ms[0] + r->ms[1] > 0.0)) fail_msg("%s took no time", r->name);
        *(conv ? &conv_ms : &other_ms) += r->ms[0] + r->ms[1];
        convolutions += conv;
        for (int k = 0; k < 2; k++)
            gflop += 1e-3 * r->ms[k] * r->gflops[k];
        if (conv != (r->peak > 0.0 || r->bytes == 0.0) && !input) fail_msg("%s", r->name);
    }
    assert_int_equal(convolutions, CONVOLUTIONS);
    const double whole = number_after(sums, "whole "), rounding = 1e-3 * n;
    const double in_whole = number_after(sums, "in their own time, ");
    close_to(number_after(sums, ": convolutions "), conv_ms, rounding);
    close_to(number_after(sums, "other nodes "), other_ms, rounding);
    close_to(conv_ms + other_ms + number_after(sums, "weights to kernels ") +
                 number_after(sums, "optimiser and gaps "),
             whole, 2.0 * rounding);
    close_to(number_after(sums, "\nconvolutions: "), step_gflop(), 1e-3);
    close_to(gflop, step_gflop(), 0.05 * gflop);
    close_to(in_whole, 1e3 * step_gflop() / whole, 0.01 * in_whole);
    close_to(number_after(sums, " in the whole, "), in_whole / number_after(sums, "\npeak "),
             2e-3 + 0.01 * in_whole / number_after(sums, "\npeak "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_not_that_of_the_step), /* before any that takes more */
        cmocka_unit_test(what_computed_is_recorded),
        cmocka_unit_test(precisions),
        cmocka_unit_test(bf16_without_its_products_is_fp32),
        cmocka_unit_test(a_resumption_elsewhere_warns),
        cmocka_unit_test(explain),
    };
    return cmocka_run_group_tests(tests, setup, shell_teardown);
}
