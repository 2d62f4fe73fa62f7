/* Work in jobs: results do not depend on threads or interruptions, and what is in a journal is what
 * was computed. */
#include "base/cfg.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "eval/journal.h"
#include "eval/work.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { JOBS = 23, VALUES = 3 };

static char dir[] = "/tmp/ssfd-work-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/" STUDY_JOURNAL, dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static int fresh(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static double value_of(int job, int v)
{
    return job == 4 && v == 1 ? INFINITY : sin(job * 3.7 + v) / 3.0;
}

struct trial {
    int seat[64]; /* the job in each */
    atomic_int computed;
    int stop_at, fail_at, fail_too;
};

static int fetch(void *ctx, int job, int seat, struct err *e)
{
    struct trial *t = ctx;
    (void)e;
    t->seat[seat] = job;
    return 0;
}

static int compute(void *ctx, int job, int seat, int lane, double *value, struct err *e)
{
    struct trial *t = ctx;
    (void)lane;
    assert_int_equal(t->seat[seat], job);
    atomic_fetch_add(&t->computed, 1);
    if (job == t->stop_at) raise(SIGTERM);
    if (job == t->fail_at || job == t->fail_too) return err_set(e, ERR_DATA, "job %d is bad", job);
    for (int v = 0; v < VALUES; v++)
        value[v] = value_of(job, v);
    return 0;
}

static int run(struct trial *t, bool resume, double *value, struct err *e)
{
    struct study_env env = {.output = dir,
                            .quiet = true,
                            .resume = resume,
                            .out = stdout,
                            .notes = tmpfile(),
                            .key = "key\n"};
    struct work w = {.what = "test",
                     .jobs = JOBS,
                     .values = VALUES,
                     .lanes = work_lanes(),
                     .seats = work_seats(),
                     .fetch = fetch,
                     .compute = compute,
                     .ctx = t};
    int rc = work_run(&w, &env, value, e);
    fclose(env.notes);
    return rc;
}

static struct trial trial(void)
{
    return (struct trial){.stop_at = -1, .fail_at = -1, .fail_too = -1};
}

static void check(const double *value)
{
    for (int i = 0; i < JOBS * VALUES; i++)
        assert_true(value[i] == value_of(i / VALUES, i % VALUES));
}

static void any_number_of_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        double value[JOBS * VALUES] = {0};
        struct trial t = trial();
        struct err e = {0};
        par_set_threads(threads);
        assert_int_equal(run(&t, false, value, &e), 0);
        assert_int_equal(t.computed, JOBS);
        check(value);
    }
    par_set_threads(2);
}

static void the_first_failure_is_reported(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        double value[JOBS * VALUES];
        struct trial t = trial();
        struct err e = {0};
        t.fail_at = 10;
        t.fail_too = 8; /* in the order of the jobs this comes first */
        par_set_threads(threads);
        assert_int_equal(run(&t, false, value, &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        assert_string_equal(e.text, "job 8 is bad");
    }
    par_set_threads(2);
}

/* A line that a crash cut off is computed again, and nothing else is. */
static void a_cut_line_counts_as_not_written(void **state)
{
    (void)state;
    double value[JOBS * VALUES] = {0}, again[JOBS * VALUES] = {0};
    struct trial t = trial();
    struct err e = {0};
    assert_int_equal(run(&t, false, value, &e), 0);
    size_t len;
    char *text = io_read_text(path, 1 << 20, &len, &e);
    assert_non_null(text);
    for (size_t cut = 1; cut < 60; cut += 13) {
        assert_int_equal(io_write_text(path, text, len - cut, &e), 0);
        t = trial();
        assert_int_equal(run(&t, true, again, &e), 0);
        assert_in_range(t.computed, 1, 2);
        check(again);
    }
    /* A digit that is another one ends what is believed, though it is a number still. */
    char *at = strstr(text, "\n12 ");
    assert_non_null(at);
    at = strstr(at, "p-");
    at[-1] = at[-1] == '7' ? '8' : '7';
    assert_int_equal(io_write_text(path, text, len, &e), 0);
    t = trial();
    assert_int_equal(run(&t, true, again, &e), 0);
    assert_int_equal(t.computed, JOBS - 12);
    check(again);
    /* Cut off within its head, it says nothing; a head of another study is refused all the same. */
    for (size_t keep = 0; keep < (size_t)(strstr(text, "\n0 ") - text); keep += 7) {
        assert_int_equal(io_write_text(path, text, keep, &e), 0);
        t = trial();
        assert_int_equal(run(&t, true, again, &e), 0);
        assert_int_equal(t.computed, JOBS);
        check(again);
    }
    mem_free(text);
}

static void another_study_is_refused(void **state)
{
    (void)state;
    double value[JOBS * VALUES];
    bool done[JOBS] = {0};
    struct journal j;
    struct err e = {0};
    int count;
    assert_int_equal(journal_open(&j, path, "a\nb\n", JOBS, VALUES, false, done, value, &count, &e),
                     0);
    journal_close(&j);
    assert_int_equal(journal_open(&j, path, "a\nc\n", JOBS, VALUES, true, done, value, &count, &e),
                     -1);
    journal_close(&j);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "it has 'b', not 'c'"));
    assert_int_equal(journal_open(&j, path, "a\nb\n", JOBS, 2, true, done, value, &count, &e), -1);
    journal_close(&j);
    assert_int_equal(journal_open(&j, path, "a\nb\n", JOBS, VALUES, true, done, value, &count, &e),
                     0);
    assert_int_equal(count, 0);
    assert_int_equal(journal_remove(&j, &e), 0);
    assert_false(io_exists(path));
}

/* Last: the request to stop stays. */
static void stops_and_goes_on(void **state)
{
    (void)state;
    double value[JOBS * VALUES] = {0};
    struct trial t = trial();
    struct err e = {0};
    bool done[JOBS] = {0};
    struct journal j;
    stop_on_signals();
    t.stop_at = 7;
    assert_int_equal(run(&t, false, value, &e), -1);
    assert_int_equal(e.code, ERR_STOPPED);
    assert_non_null(strstr(e.text, "SIGTERM"));
    assert_non_null(strstr(e.hint, "--resume"));
    assert_in_range(t.computed, 8, JOBS - 1);
    /* What was computed is in the journal, to the last bit. */
    size_t len;
    char *text = io_read_text(path, 1 << 20, &len, &e);
    assert_non_null(text);
    assert_int_equal(strncmp(text, "ssfd study journal", 18), 0);
    char *key = strstr(text, "\n#"), *end = strstr(text, "\n0 ");
    assert_true(key && end);
    char want[256] = "";
    for (char *p = key; p < end;) { /* the marks taken off */
        size_t n = strcspn(p + 2, "\n");
        strncat(want, p + 2, n);
        strcat(want, "\n");
        p += 2 + n;
    }
    int count = 0;
    double back[JOBS * VALUES] = {0};
    assert_int_equal(journal_open(&j, path, want, JOBS, VALUES, true, done, back, &count, &e), 0);
    journal_close(&j);
    assert_int_equal(count, t.computed);
    for (int i = 0; i < JOBS; i++)
        for (int v = 0; v < VALUES && done[i]; v++)
            assert_true(back[i * VALUES + v] == value_of(i, v));
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(any_number_of_threads, fresh),
        cmocka_unit_test_setup(the_first_failure_is_reported, fresh),
        cmocka_unit_test_setup(a_cut_line_counts_as_not_written, fresh),
        cmocka_unit_test_setup(another_study_is_refused, fresh),
        cmocka_unit_test_setup(stops_and_goes_on, fresh),
    };
    return cmocka_run_group_tests_name("work", tests, set_up, tear_down);
}
