/* The loader: the stream of samples depends on the seed and the position alone. */
#include "base/mem.h"
#include "data/loader.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fake {
    int calls, fail_at, sleep_us;
};

static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    struct fake *f = ctx;
    if (++f->calls == f->fail_at) return err_set(e, ERR_DATA, "sample %u is broken", index);
    if (f->sleep_us) usleep((useconds_t)f->sleep_us);
    input[0] = (float)index;
    input[1] = (float)epoch;
    target[0] = -(float)index;
    (void)mask;
    return 0;
}

static struct sample_source source(struct fake *f, uint32_t n)
{
    return (struct sample_source){f, n, 2, 1, 0, make};
}

static void an_epoch_is_a_permutation_and_epochs_differ(void **state)
{
    (void)state;
    struct fake f = {0};
    struct loader *l = loader_new(source(&f, 10), (struct loader_conf){4, 2, true, 3, 0}, NULL);
    int seen[2][10] = {0}, order[20];
    for (int b = 0; b < 5; b++) {
        const struct batch *batch;
        assert_int_equal(loader_next(l, &batch, NULL), 0);
        assert_int_equal(batch->n, 4);
        for (int i = 0; i < 4; i++) {
            int at = b * 4 + i;
            assert_int_equal(batch->epoch[i], at / 10); /* a batch may cross into the next epoch */
            assert_true(batch->input[2 * i] == (float)batch->index[i]);
            assert_true(batch->input[2 * i + 1] == (float)batch->epoch[i]);
            seen[at / 10][batch->index[i]]++;
            order[at] = (int)batch->index[i];
        }
    }
    int moved = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(seen[0][i], 1);
        assert_int_equal(seen[1][i], 1);
        moved += order[i] != order[i + 10];
    }
    assert_true(moved > 0);
    loader_free(l);
}

static void starts_anywhere(void **state)
{
    (void)state;
    enum { SIZE = 3, BATCHES = 12 };
    uint32_t straight[BATCHES * SIZE];
    for (int first = 0; first < BATCHES; first += 5) {
        struct fake f = {.sleep_us = first ? 500 : 0}; /* timing must not matter */
        struct loader *l = loader_new(
            source(&f, 7),
            (struct loader_conf){SIZE, 1 + first % 3, true, 11, (uint64_t)(first * SIZE)}, NULL);
        for (int b = first; b < BATCHES; b++) {
            const struct batch *batch;
            assert_int_equal(loader_next(l, &batch, NULL), 0);
            for (int i = 0; i < SIZE; i++)
                if (!first)
                    straight[b * SIZE + i] = batch->index[i];
                else
                    assert_int_equal(batch->index[i], straight[b * SIZE + i]);
        }
        loader_free(l); /* with batches ready that nobody took */
    }
}

static void a_pass_ends_with_a_short_batch(void **state)
{
    (void)state;
    struct fake f = {0};
    struct loader *l = loader_new(source(&f, 5), (struct loader_conf){2, 4, false, 0, 0}, NULL);
    const struct batch *batch;
    for (int b = 0; b < 3; b++) {
        assert_int_equal(loader_next(l, &batch, NULL), 0);
        assert_int_equal(batch->n, b < 2 ? 2 : 1);
        for (int i = 0; i < 2; i++) {
            int at = b * 2 + i;
            assert_int_equal(batch->index[i], at < 5 ? at : 4);
        }
    }
    assert_int_equal(loader_next(l, &batch, NULL), 0);
    assert_null(batch);
    assert_int_equal(loader_next(l, &batch, NULL), 0);
    assert_null(batch);
    loader_free(l);
}

static void an_error_arrives_after_the_good_batches(void **state)
{
    (void)state;
    struct fake f = {.fail_at = 6};
    struct loader *l = loader_new(source(&f, 100), (struct loader_conf){2, 8, false, 0, 0}, NULL);
    const struct batch *batch;
    struct err e = {0};
    assert_int_equal(loader_next(l, &batch, &e), 0);
    assert_int_equal(loader_next(l, &batch, &e), 0);
    assert_int_equal(loader_next(l, &batch, &e), -1);
    assert_string_equal(e.text, "sample 5 is broken");
    loader_free(l);
    assert_null(loader_new(source(&f, 0), (struct loader_conf){2, 1, false, 0, 0}, &e));
}

/* ---- where the reader runs ---- */

static int see(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
               struct err *e)
{
    (void)index, (void)epoch, (void)input, (void)target, (void)mask, (void)e;
    sched_getaffinity(0, sizeof(cpu_set_t), ctx);
    return 0;
}

/* Exits with the number of processors that the reader of a loader may run on. */
static int child(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const struct sample_source s = {&set, 1, 1, 1, 0, see};
    struct loader *l = loader_new(s, (struct loader_conf){1, 1, false, 0, 0}, NULL);
    const struct batch *batch;
    const int bad = loader_next(l, &batch, NULL);
    loader_free(l);
    return bad ? 0 : CPU_COUNT(&set);
}

static int processors(const char *before)
{
    char self[512], command[700];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    snprintf(command, sizeof command, "%s '%s' child", before, self);
    return WEXITSTATUS(system(command));
}

/* Where the program may run, whatever OpenMP binds; and nowhere else. */
static void the_reader_runs_where_the_program_may(void **state)
{
    (void)state;
    cpu_set_t set;
    char taskset[64];
    int first = 0;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    while (!CPU_ISSET(first, &set))
        first++;
    assert_int_equal(processors(""), CPU_COUNT(&set));
    assert_int_equal(processors("OMP_PROC_BIND=true"), CPU_COUNT(&set));
    snprintf(taskset, sizeof taskset, "taskset -c %d", first);
    assert_int_equal(processors(taskset), 1);
    snprintf(taskset, sizeof taskset, "OMP_PROC_BIND=true taskset -c %d", first);
    assert_int_equal(processors(taskset), 1);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2) return child();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_is_a_permutation_and_epochs_differ),
        cmocka_unit_test(starts_anywhere),
        cmocka_unit_test(a_pass_ends_with_a_short_batch),
        cmocka_unit_test(an_error_arrives_after_the_good_batches),
        cmocka_unit_test(the_reader_runs_where_the_program_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
