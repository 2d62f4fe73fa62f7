/* Nonnegative least squares by what characterises its solution, leaving one out by doing it, CSV
 * files well and ill formed, and fit-ssfd on scores that were made from known weights. */
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/csv.h"
#include "eval/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 40, LAYERS = 5 };

static double x[ROWS * LAYERS], y[ROWS];
static char dir[] = "/tmp/ssfd-fit-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* Layers that go together, as those of an encoder do, of very different size. */
static void make_data(uint64_t seed, double noise)
{
    static const double weight[LAYERS] = {2000.0, 0.0, 30.0, -1.0, 0.5};
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < ROWS; i++) {
        double common = rng_uniform(&rng);
        y[i] = -9.0 + noise * rng_normal(&rng);
        for (int k = 0; k < LAYERS; k++) {
            x[i * LAYERS + k] = pow(10.0, k - 3) * (common + 0.3 * rng_uniform(&rng));
            y[i] += weight[k] * x[i * LAYERS + k];
        }
    }
}

/* Karush, Kuhn, Tucker: the residual has sum 0, is orthogonal to columns of weight > 0, and no
 * other would reduce it by entering. */
static void check_optimal(int without)
{
    struct fit f;
    double sum = 0.0, size = 0.0;
    fit_nonnegative(x, y, ROWS, LAYERS, without, &f);
    for (int i = 0; i < ROWS; i++)
        if (i != without) sum += y[i] - fit_predict(&f, x + i * LAYERS, LAYERS);
    assert_true(fabs(sum) < 1e-8);
    for (int k = 0; k < LAYERS; k++) {
        double slope = 0.0;
        for (int i = 0; i < ROWS; i++) {
            if (i == without) continue;
            double residual = y[i] - fit_predict(&f, x + i * LAYERS, LAYERS);
            slope += residual * x[i * LAYERS + k];
            size += fabs(residual * x[i * LAYERS + k]);
        }
        assert_true(f.weight[k] >= 0.0);
        if (f.weight[k] > 0.0)
            assert_true(fabs(slope) <= 1e-7 * (size + 1e-9));
        else
            assert_true(slope <= 1e-7 * (size + 1e-9));
    }
}

static void weights_are_optimal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        for (int noise = 0; noise < 2; noise++) {
            make_data(seed, noise);
            for (int without = -1; without < ROWS; without += 9)
                check_optimal(without);
        }
}

static void left_out_is_not_looked_at(void **state)
{
    (void)state;
    double prediction[ROWS], other[ROWS];
    struct fit f;
    make_data(3, 1.0);
    fit_leave_one_out(x, y, ROWS, LAYERS, prediction);
    for (int i = 0; i < ROWS; i += 7) {
        /* the same from a table that never had the row */
        static double fewer_x[ROWS * LAYERS], fewer_y[ROWS];
        int n = 0;
        for (int j = 0; j < ROWS; j++) {
            if (j == i) continue;
            memcpy(fewer_x + n * LAYERS, x + j * LAYERS, LAYERS * sizeof *x);
            fewer_y[n++] = y[j];
        }
        fit_nonnegative(fewer_x, fewer_y, n, LAYERS, -1, &f);
        assert_true(fabs(fit_predict(&f, x + i * LAYERS, LAYERS) - prediction[i]) < 1e-6);
        double keep = y[i];
        y[i] = 1e3;
        fit_leave_one_out(x, y, ROWS, LAYERS, other);
        y[i] = keep;
        assert_true(other[i] == prediction[i]);
    }
}

static void constant_columns_get_nothing(void **state)
{
    (void)state;
    struct fit f;
    make_data(5, 0.5);
    for (int i = 0; i < ROWS; i++)
        x[i * LAYERS + 1] = 0.7;
    fit_nonnegative(x, y, ROWS, LAYERS, -1, &f);
    assert_true(f.weight[1] == 0.0 && isfinite(f.intercept) && f.weight[0] > 0.0);
}

/* ---- CSV --------------------------------------------------------------------------------- */

static int read_text(struct csv *t, const char *text, struct err *e)
{
    char path[64];
    snprintf(path, sizeof path, "%s/t.csv", dir);
    assert_int_equal(io_write_text(path, text, strlen(text), NULL), 0);
    int rc = csv_read(t, path, e);
    unlink(path);
    return rc;
}

static void csv_cells(void **state)
{
    (void)state;
    struct csv t;
    struct err e = {0};
    if (read_text(&t, "a,\"b,\nc\",d\r\n1,\"x \"\"y\"\"\",\r\n\n,,3", &e)) fail_msg("%s", e.text);
    assert_int_equal(t.columns, 3);
    assert_int_equal(t.rows, 2);
    assert_int_equal(csv_column(&t, "b,\nc"), 1);
    assert_int_equal(csv_column(&t, "b"), -1);
    assert_string_equal(csv_cell(&t, 0, 1), "x \"y\"");
    assert_string_equal(csv_cell(&t, 0, 2), "");
    assert_string_equal(csv_cell(&t, 1, 0), "");
    assert_string_equal(csv_cell(&t, 1, 2), "3");
    csv_free(&t);
}

static void csv_refusals(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"a,b\n1\n", "line 2: less than 2 cells"},
                                         {"a,b\n1,2,3\n", "line 2: more than 2 cells"},
                                         {"a,b\n1,\"2\n", "quotation mark"},
                                         {"a,a\n1,2\n", "two columns are named 'a'"},
                                         {"a,b\n", "no row"},
                                         {"", "no row"}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct csv t;
        struct err e = {0};
        assert_int_equal(read_text(&t, bad[k][0], &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        if (!strstr(e.text, bad[k][1])) fail_msg("'%s' does not say '%s'", e.text, bad[k][1]);
    }
}

/* ---- The command ------------------------------------------------------------------------- */

static void command(void **state)
{
    (void)state;
    char path[3][64], line[1024];
    static const char *const name[] = {"distances.csv", "scores.csv", "weights.yaml"};
    for (int k = 0; k < 3; k++)
        snprintf(path[k], sizeof path[k], "%s/%s", dir, name[k]);
    FILE *distances = fopen(path[0], "w"), *scores = fopen(path[1], "w");
    assert_true(distances && scores);
    fputs("scan,ssfd_conv3,ssfd_conv9\n", distances);
    fputs("reader,scan,score\n", scores);
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    for (int i = 0; i < 20; i++) {
        double p = rng_uniform(&rng), q = rng_uniform(&rng), score = 9.0 - 4.0 * p - 0.25 * q;
        fprintf(distances, "s%d,%.17g,%.17g\n", i, p, q);
        fprintf(scores, "A,s%d,%.17g\nB,s%d,%.17g\n", i, score - 0.5, i, score + 0.5);
    }
    fclose(distances);
    fclose(scores);
    snprintf(line, sizeof line,
             "%s/src/eval/fit-ssfd %s --distances %s --scores %s --prefix ssfd_ "
             "--layers '[conv3, conv9]' >/dev/null",
             getenv("SSFD_BUILD"), path[2], path[0], path[1]);
    assert_int_equal(system(line), 0);
    size_t len;
    char *text = io_read_text(path[2], 4096, &len, NULL);
    assert_non_null(text);
    double first = 0, second = 0;
    const char *at = strstr(text, "weights: [");
    assert_true(at && strstr(text, "layers: [conv3, conv9]"));
    assert_int_equal(sscanf(at, "weights: [%lf, %lf]", &first, &second), 2);
    assert_true(fabs(first - 4.0) < 1e-6 && fabs(second - 0.25) < 1e-6);
    mem_free(text);
    strcpy(strstr(line, " >/dev/null"), " --better lower >/dev/null 2>&1"); /* then all are 0 */
    assert_true(system(line) != 0);
    for (int k = 0; k < 3; k++)
        unlink(path[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_optimal),
        cmocka_unit_test(left_out_is_not_looked_at),
        cmocka_unit_test(constant_columns_get_nothing),
        cmocka_unit_test(csv_cells),
        cmocka_unit_test(csv_refusals),
        cmocka_unit_test(command),
    };
    return cmocka_run_group_tests_name("fit", tests, set_up, tear_down);
}
