/* kill -9 of the commands as users run them, at random moments and in the middle of a write of a
 * checkpoint, with all that a training remembers: resumed until it ends, it leaves the bits of one
 * that nobody disturbed. */
#include "cli/shell.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { KILLS = 8, MOST_STARTS = 12 * KILLS, KILLED = 128 + 9, WRITES = 150 };

static const char *const yaml =
    "data: {train: [scans/train], validation: [scans/validation],\n"
    "       cache: references, height: 64, width: 64}\n"
    "network: {filters: 4, levels: 3, groups: 2}\n"
    "fit: {batch: 2, accumulate: 2, steps: 60, validate_every: 3, patience: 2, clip: 0.5,\n"
    "      average: 0.9, keep: 2, pictures: 0, adam: {lr: 0.05},\n"
    "      schedule: {kind: cosine, warmup: 5}}\n";

static int setup(void **state)
{
    if (shell_setup(state)) return -1;
    shell_write("c.yaml", yaml);
    return shell_run("make-scans scans/train --scans 2 --seed 1 --slices 2 --coils 2 --size 64 "
                     "--width 64 --quiet && make-scans scans/validation --scans 1 --seed 2 "
                     "--slices 2 --coils 2 --size 64 --width 64 --quiet && "
                     "grep -v groups c.yaml | sed '/^data/i network: {filters: 4, levels: 3}' "
                     ">train-recon.yaml && mv c.yaml train-ssl.yaml")
        ->code;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One start of a training, resumed if there is a state. Killed after so many seconds, or in so
 * many-th write. Whether it was; otherwise it has come to its end. */
static bool start(const char *command, const char *run, double seconds, int write)
{
    char how[128] = "wait $!";
    if (seconds > 0.0) snprintf(how, sizeof how, "sleep %.3f; kill -9 $!; wait $!", seconds);
    const struct outcome *o =
        shell_run("resume=$(ls %s/*.h5 >/dev/null 2>&1 && echo --resume); KILL_IN_WRITE=%d "
                  "LD_PRELOAD=$KILL_IN_WRITE_MODULE "
                  "ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 "
                  "%s %s.yaml --quiet --threads 1 --set run=%s $resume & %s",
                  run, write, command, command, run, how);
    if (o->code && o->code != KILLED) fail_msg("%s: exit %d\n%s", command, o->code, o->err);
    /* Killed between a best.h5 and the first last.h5, it goes on from that. */
    if (strstr(o->err, "warning") && !strstr(o->err, "going on from best.h5"))
        fail_msg("%s", o->err);
    return o->code == KILLED;
}

static void same_as_straight(const char *command, const char *run)
{
    const struct outcome *o =
        shell_run("for f in last.h5 best.h5 metrics.jsonl; do cmp straight-%s/$f %s/$f || exit 1; "
                  "done; ! ls %s/*.tmp 2>/dev/null",
                  command, run, run);
    if (o->code) fail_msg("%s: %s%s", run, o->out, o->err);
}

/* Kills it KILLS times; one that comes to its end before gives way to the next. */
static void killed(const char *command, bool in_writes, struct rng *r, double whole)
{
    char run[64];
    int kills = 0, done = 0, starts = 0;
    for (bool ended = false; kills < KILLS || !ended;) {
        const bool enough = kills == KILLS;
        snprintf(run, sizeof run, "%s-%s%d", in_writes ? "writes" : "moments", command, done);
        assert_true(++starts < MOST_STARTS);
        ended = !start(command, run, in_writes || enough ? 0.0 : whole * rng_uniform(r),
                       in_writes && !enough ? 1 + (int)rng_below(r, WRITES) : 0);
        kills += !ended;
        if (!ended) continue;
        same_as_straight(command, run);
        done++;
    }
    print_message("%s: killed %d times %s, %d trainings\n", command, kills,
                  in_writes ? "within writes" : "at random moments", done);
}

static void both(const char *command)
{
    char run[64];
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    snprintf(run, sizeof run, "straight-%s", command);
    assert_false(start(command, "references-made", 0.0, 0));
    const double begin = now();
    assert_false(start(command, run, 0.0, 0));
    const double whole = now() - begin;
    print_message("%s: %.2f s undisturbed, %s\n", command, whole,
                  strstr(shell_run("tail -n 1 %s/metrics.jsonl", run)->out, "\"step\": 60")
                      ? "to the end"
                      : "until out of patience");
    killed(command, false, &r, whole);
    killed(command, true, &r, whole);
}

static void train_ssl(void **state)
{
    (void)state;
    both("train-ssl");
}

static void train_recon(void **state)
{
    (void)state;
    shell_run("rm -rf references-made");
    both("train-recon");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(train_ssl), cmocka_unit_test(train_recon)};
    return cmocka_run_group_tests(tests, setup, shell_teardown);
}
