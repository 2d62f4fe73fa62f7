/* What a training of months leaves behind and holds in memory: both stay as they are, however many
 * steps and resumptions there were. */
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "toy.h"
#include "train/insight.h"
#include "train/record.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder; /* of this test program */

static const char *path_of(const char *name, const char *file)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
    return path;
}

static long bytes_of(const char *name, const char *file)
{
    struct stat st;
    assert_int_equal(stat(path_of(name, file), &st), 0);
    return (long)st.st_size;
}

static char *text_of(const char *name, const char *file)
{
    struct err e = {0};
    size_t len;
    char *text = io_read_text(path_of(name, file), 1 << 24, &len, &e);
    if (!text) fail_msg("%s", e.text);
    return text;
}

static int count_files(const char *name)
{
    int n = 0;
    DIR *d = opendir(path_of(name, "."));
    assert_non_null(d);
    for (const struct dirent *f; (f = readdir(d));)
        n += f->d_name[0] != '.';
    closedir(d);
    return n;
}

/* ---- resumptions ---- */

enum { STARTS = 3 * RESUMPTIONS_KEPT, WHOLE = 16 }; /* of run.json; of a run directory */
static const char *const often[] = {"fit.steps=100000", "fit.validate_every=4", "fit.keep=2", NULL};

static void check_record(int resumptions)
{
    json_error_t at;
    json_t *j = json_load_file(path_of("many", "run.json"), 0, &at);
    assert_true(json_is_object(j));
    const json_t *list = json_object_get(j, "resumed");
    const int kept = resumptions < RESUMPTIONS_KEPT ? resumptions : RESUMPTIONS_KEPT;
    assert_int_equal(json_integer_value(json_object_get(j, "resumptions")), resumptions);
    assert_int_equal(json_array_size(list), kept);
    json_int_t before = -1;
    for (int i = 0; i < kept; i++) { /* in order; the first one is the first there was */
        const json_int_t step =
            json_integer_value(json_object_get(json_array_get(list, (size_t)i), "step"));
        assert_true(step > before);
        before = step;
    }
    assert_true(json_integer_value(json_object_get(json_array_get(list, 0), "step")) < 30);
    json_decref(j);
}

/* A training that is stopped every few steps: the number of its files, and the size of those that
 * have nothing to do with its length, become what they stay. */
static void resumptions_leave_no_trace(void **state)
{
    (void)state;
    char dir[300];
    long record = 0;
    int files = 0;
    snprintf(dir, sizeof dir, "%s/many", folder);
    for (int start = 0; start < STARTS; start++) {
        stop_on_signals(); /* forgets the one that was caught */
        struct toy_outcome o = toy_train(dir, start > 0, (struct toy){.stop_at = 30}, often);
        if (o.code != ERR_STOPPED) fail_msg("%s", o.err.text);
        if (start) check_record(start);
        if (start == RESUMPTIONS_KEPT) record = bytes_of("many", "run.json");
        if (count_files("many") > files) files = count_files("many");
        mem_free(o.val);
    }
    stop_on_signals();
    const long now = bytes_of("many", "run.json");
    print_message("%d starts: at most %d files, run.json of %ld bytes, then %ld\n", STARTS, files,
                  record, now);
    assert_true(now < record + 200); /* steps have more digits */
    assert_true(files <= EVENT_FILES_KEPT + 1 + WHOLE);
}

/* Of a run.json as it was before it was bounded, what it says of differences is kept. */
static void a_long_list_is_cut(void **state)
{
    (void)state;
    char dir[300];
    snprintf(dir, sizeof dir, "%s/old", folder);
    struct toy_outcome o = toy_train(dir, false, (struct toy){0}, NULL);
    mem_free(o.val);
    json_error_t at;
    json_t *j = json_load_file(path_of("old", "run.json"), 0, &at), *list = json_array();
    for (int i = 0; i < 100; i++)
        json_array_append_new(
            list, json_pack("{s:i s:[s]}", "step", i, "differs", i % 2 ? "threads" : "isa"));
    json_object_set_new(j, "resumed", list);
    assert_int_equal(json_dump_file(j, path_of("old", "run.json"), 0), 0);
    json_decref(j);
    o = toy_train(dir, true, (struct toy){0}, (const char *const[]){"fit.steps=44", NULL});
    if (o.code) fail_msg("%s", o.err.text);
    mem_free(o.val);
    j = json_load_file(path_of("old", "run.json"), 0, &at);
    assert_int_equal(json_integer_value(json_object_get(j, "resumptions")), 101);
    assert_int_equal(json_array_size(json_object_get(j, "resumed")), RESUMPTIONS_KEPT);
    const json_t *differed = json_object_get(j, "differed");
    assert_int_equal(json_array_size(differed), 2);
    assert_string_equal(json_string_value(json_array_get(differed, 0)), "isa");
    assert_string_equal(json_string_value(json_array_get(differed, 1)), "threads");
    json_decref(j);
}

/* ---- memory ---- */

enum { BATCH = 4, STEPS = 250, TIMES = 4 };
static long early, late; /* KiB, after STEPS and TIMES STEPS */

static long resident(void)
{
    long pages = 0, unused;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &unused, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void note_memory(int sample)
{
    if (sample == BATCH * STEPS) early = resident();
    if (sample == BATCH * STEPS * TIMES) late = resident();
}

/* With validations, pictures, checkpoints and logs on the way. */
static void memory_is_steady(void **state)
{
    (void)state;
    enum { MOST = 100 }; /* KiB: 150 bytes a step would show */
    static const char *const sets[] = {"fit.steps=1050", "fit.validate_every=10", "fit.keep=2",
                                       "fit.average=0.9", NULL};
    char dir[300];
    snprintf(dir, sizeof dir, "%s/long", folder);
    struct toy_outcome o = toy_train(dir, false, (struct toy){.watch = note_memory}, sets);
    if (o.code) fail_msg("%s", o.err.text);
    mem_free(o.val);
    print_message("resident after %d steps %ld KiB, after %d steps %ld KiB\n", STEPS, early,
                  TIMES * STEPS, late);
    assert_true(early > 0 && late > 0);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what is freed for a while */
    assert_true(late - early < MOST);
#endif
    char *log = text_of("long", "metrics.jsonl");
    int lines = 0;
    for (const char *p = log; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2 * 105);
    mem_free(log);
}

int main(void)
{
    char name[] = "/tmp/ssfd-test-month-XXXXXX";
    folder = mkdtemp(name);
    par_set_threads(1); /* tiny images */
    stop_on_signals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_is_steady),
                                       cmocka_unit_test(resumptions_leave_no_trace),
                                       cmocka_unit_test(a_long_list_is_cut)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
