/* The loader: the stream of samples depends on the seed and the position alone. */
#include "base/mem.h"
#include "data/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_is_a_permutation_and_epochs_differ),
        cmocka_unit_test(starts_anywhere),
        cmocka_unit_test(a_pass_ends_with_a_short_batch),
        cmocka_unit_test(an_error_arrives_after_the_good_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
