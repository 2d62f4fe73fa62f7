/* Whatever happens to a training, killed at any moment, a full disk, a damaged file: resumed, it
 * ends with the bits of an undisturbed one. Killed trainings are processes of their own: this
 * program, started again with arguments. */
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stop.h"
#include "toy.h"
#include "train/states.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* libhdf5 1.10 leaks where the disk is full. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

enum { KILLS = 20, MOST_CALLS = 60 };

/* A state after every second step: much of the time is spent in saving. */
static const char *const often[] = {"fit.steps=160",   "fit.validate_every=2", "fit.pictures=0",
                                    "fit.average=0.9", "fit.keep=2",           NULL};

static char *folder;

/* ---- the process that is killed ---- */

/* What saving asks of the file system goes through here (meson.build); the call that brings this to
 * zero kills the process instead. */
static long calls_left = -1;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

static void count_call(void)
{
    if (calls_left > 0 && --calls_left == 0) kill(getpid(), SIGKILL);
}

int __wrap_rename(const char *from, const char *to)
{
    count_call();
    return __real_rename(from, to);
}

int __wrap_fsync(int fd)
{
    count_call();
    return __real_fsync(fd);
}

int __wrap_link(const char *from, const char *to)
{
    count_call();
    return __real_link(from, to);
}

int __wrap_unlink(const char *path)
{
    count_call();
    return __real_unlink(path);
}

static int child(const char *dir, const char *calls)
{
    calls_left = atol(calls);
    struct toy_outcome o = toy_train(dir, states_any(dir), (struct toy){0}, often);
    if (o.code) fprintf(stderr, "%s\n", o.err.text);
    mem_free(o.val);
    return o.code;
}

/* ---- those who kill it ---- */

extern char **environ;

/* Runs it until the given call, or for so many milliseconds; 0: to its end. Whether it was killed.
 */
static bool run_child(const char *dir, long calls, long ms)
{
    char count[32];
    snprintf(count, sizeof count, "%ld", calls);
    char *argv[] = {(char *)"test_recovery", (char *)dir, count, NULL};
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    if (ms) {
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
        kill(pid, SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static char *text_of(const char *name)
{
    size_t len;
    struct err e = {0};
    char *text = io_read_text(path_of(name), 1 << 20, &len, &e);
    if (!text) fail_msg("%s", e.text);
    return text;
}

static int count_files(const char *dir, const char *end)
{
    int n = 0;
    DIR *d = opendir(path_of(dir));
    const struct dirent *f;
    assert_non_null(d);
    while ((f = readdir(d))) {
        const size_t len = strlen(f->d_name);
        n += len >= strlen(end) && !strcmp(f->d_name + len - strlen(end), end);
    }
    closedir(d);
    return n;
}

static struct toy_outcome straight(void)
{
    static struct toy_outcome o;
    if (!o.val) o = toy_train(path_of("straight"), false, (struct toy){0}, often);
    assert_int_equal(o.code, 0);
    return o;
}

/* The weights, the best network, and the log, line by line. */
static void check_same(const char *name)
{
    const struct toy_outcome a = straight();
    struct toy_outcome b = toy_train(path_of(name), true, (struct toy){0}, often);
    char log[64];
    assert_int_equal(b.code, 0);
    assert_int_equal(b.len, a.len);
    assert_memory_equal(a.val, b.val, a.len * sizeof *a.val);
    assert_true(a.best.best_loss == b.best.best_loss && a.best.best_step == b.best.best_step);
    snprintf(log, sizeof log, "%s/metrics.jsonl", name);
    char *x = text_of("straight/metrics.jsonl"), *y = text_of(log);
    assert_string_equal(x, y);
    mem_free(x), mem_free(y), mem_free(b.val);
    assert_int_equal(count_files(name, ".tmp"), 0);
    assert_int_equal(count_files(name, ".h5"), 2 + 2); /* last, best, and two older ones */
}

/* Milliseconds of a training that nobody kills. */
static long undisturbed(void)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_false(run_child(path_of("undisturbed"), 0, 0));
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
}

/* Within a third of the time that a whole training takes on this machine, so that most are killed
 * several times; one that is done gives way to the next. */
static void killed_at_random_moments(void **state)
{
    (void)state;
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    const uint32_t most = (uint32_t)undisturbed() / 3 + 1;
    int killed = 0, done = 0;
    for (int i = 0; killed < KILLS && i < 20 * KILLS; i++) {
        char name[32];
        snprintf(name, sizeof name, "moments%d", done);
        if (run_child(path_of(name), 0, 1 + (long)rng_below(&r, most))) {
            killed++;
            continue;
        }
        check_same(name);
        done++;
    }
    print_message("killed %d times, %d trainings done meanwhile\n", killed, done);
    assert_int_equal(killed, KILLS);
    char last[32];
    snprintf(last, sizeof last, "moments%d", done);
    run_child(path_of(last), 0, 0);
    check_same(last);
}

static void killed_while_saving(void **state)
{
    (void)state;
    struct rng r = rng_make(1, RNG_TEST, 0, 1);
    int killed = 0;
    for (int i = 0; i < KILLS; i++)
        killed += run_child(path_of("saving"), 1 + (long)rng_below(&r, MOST_CALLS), 0);
    run_child(path_of("saving"), 0, 0);
    print_message("killed %d times\n", killed);
    assert_int_equal(killed, KILLS);
    check_same("saving");
}

/* A disk that takes no more: told at the first state that does not fit. */
static void a_full_disk(void **state)
{
    (void)state;
    const char *const half[] = {"fit.steps=20", NULL};
    const struct toy_outcome all = toy_train(path_of("roomy"), false, (struct toy){0}, NULL);
    struct toy_outcome o = toy_train(path_of("full"), false, (struct toy){0}, half);
    struct rlimit room, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
    none = room;
    none.rlim_cur = 20000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    const struct toy_outcome cut = toy_train(path_of("full"), true, (struct toy){0}, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    assert_int_equal(cut.code, ERR_IO);
    if (!strstr(cut.err.text, "after step ") || !strstr(cut.err.text, "File too large"))
        fail_msg("%s", cut.err.text);
    assert_non_null(strstr(cut.err.hint, "--resume"));
    assert_int_equal(cut.last.step, 20);
    assert_int_equal(count_files("full", ".tmp"), 0);
    const struct toy_outcome rest = toy_train(path_of("full"), true, (struct toy){0}, NULL);
    assert_int_equal(rest.code, 0);
    assert_memory_equal(all.val, rest.val, all.len * sizeof *all.val);
    mem_free(all.val), mem_free(o.val), mem_free(cut.val), mem_free(rest.val);
}

static void damage(const char *name)
{
    FILE *f = fopen(path_of(name), "r+b");
    assert_non_null(f);
    fseek(f, 5000, SEEK_SET);
    const int c = fgetc(f);
    fseek(f, 5000, SEEK_SET);
    fputc(c ^ 4, f);
    fclose(f);
}

static void a_damaged_state_is_skipped(void **state)
{
    (void)state;
    const char *const part[] = {"fit.steps=30", "fit.keep=2", NULL};
    const char *const whole[] = {"fit.steps=40", "fit.keep=2", NULL};
    const struct toy_outcome all = toy_train(path_of("sound"), false, (struct toy){0}, whole);
    struct toy_outcome o = toy_train(path_of("damaged"), false, (struct toy){0}, part);
    damage("damaged/last.h5");
    damage("damaged/step-0000000020.h5");
    const struct toy_outcome rest = toy_train(path_of("damaged"), true, (struct toy){0}, whole);
    assert_int_equal(rest.code, 0);
    assert_memory_equal(all.val, rest.val, all.len * sizeof *all.val);
    assert_true(io_exists(path_of("damaged/last.h5.damaged")));
    assert_true(io_exists(path_of("damaged/step-0000000020.h5.damaged")));
    mem_free(all.val), mem_free(o.val), mem_free(rest.val);
}

static void the_best_network_is_a_state_too(void **state)
{
    (void)state;
    const char *const part[] = {"fit.steps=10", "fit.keep=0", NULL};
    const char *const whole[] = {"fit.steps=20", "fit.keep=0", NULL};
    const struct toy_outcome all = toy_train(path_of("entire"), false, (struct toy){0}, whole);
    struct toy_outcome o = toy_train(path_of("best"), false, (struct toy){0}, part);
    damage("best/last.h5");
    const struct toy_outcome rest = toy_train(path_of("best"), true, (struct toy){0}, whole);
    assert_int_equal(rest.code, 0);
    assert_memory_equal(all.val, rest.val, all.len * sizeof *all.val);
    /* Nor does a training without --resume take its place. */
    assert_int_equal(unlink(path_of("best/last.h5")), 0);
    const struct toy_outcome fresh = toy_train(path_of("best"), false, (struct toy){0}, whole);
    assert_int_equal(fresh.code, ERR_CONFIG);
    assert_true(io_exists(path_of("best/best.h5")));
    mem_free(all.val), mem_free(o.val), mem_free(rest.val), mem_free(fresh.val);
}

static void without_a_whole_state_it_says_so(void **state)
{
    (void)state;
    const char *const part[] = {"fit.steps=10", NULL};
    struct toy_outcome o = toy_train(path_of("lost"), false, (struct toy){0}, part);
    damage("lost/last.h5");
    damage("lost/best.h5");
    const struct toy_outcome lost = toy_train(path_of("lost"), true, (struct toy){0}, part);
    assert_int_equal(lost.code, ERR_DATA);
    assert_non_null(strstr(lost.err.text, "no checkpoint of it is whole"));
    mem_free(o.val);
}

int main(int argc, char **argv)
{
    stop_on_signals();
    if (argc == 3) return child(argv[1], argv[2]);
    char name[] = "/tmp/ssfd-test-recovery-XXXXXX";
    folder = mkdtemp(name);
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_random_moments),
                                       cmocka_unit_test(killed_while_saving),
                                       cmocka_unit_test(a_full_disk),
                                       cmocka_unit_test(a_damaged_state_is_skipped),
                                       cmocka_unit_test(the_best_network_is_a_state_too),
                                       cmocka_unit_test(without_a_whole_state_it_says_so)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
