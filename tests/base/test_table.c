#include "base/io.h"
#include "base/mem.h"
#include "base/stat.h"
#include "base/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *csv_of(const struct table *t)
{
    char path[] = "/tmp/ssfd-table-XXXXXX";
    struct err e = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(table_write_csv(t, path, &e), 0);
    size_t len = 0;
    char *text = io_read_text(path, 1 << 20, &len, &e);
    assert_non_null(text);
    unlink(path);
    return text;
}

static void csv_quotes_what_needs_it(void **state)
{
    (void)state;
    struct err e = {0};
    struct table *t = table_new("$scan,level,$note", &e);
    assert_non_null(t);
    assert_int_equal(table_add(t, &e, "a,b", 0.1, "say \"x\""), 0);
    assert_int_equal(table_add(t, &e, "two\nlines", NAN, ""), 0);
    assert_int_equal(table_add(t, &e, "plain", -INFINITY, "end"), 0);
    char *text = csv_of(t);
    assert_string_equal(text, "scan,level,note\n"
                              "\"a,b\",0.1,\"say \"\"x\"\"\"\n"
                              "\"two\nlines\",,\n"
                              "plain,-inf,end\n");
    mem_free(text);
    table_free(t);
}

static void numbers_come_back_as_the_same_float(void **state)
{
    (void)state;
    struct err e = {0};
    struct table *t = table_new("x", &e);
    static const float value[] = {0.1F, 1.0F / 3.0F, 16777217.0F, 1.17549435e-38F, 3.40282347e38F};
    for (int i = 0; i < 5; i++)
        assert_int_equal(table_add(t, &e, (double)value[i]), 0);
    char *text = csv_of(t), *p = strchr(text, '\n');
    for (int i = 0; i < 5; i++) {
        float back = strtof(p, &p);
        assert_memory_equal(&back, &value[i], sizeof back);
    }
    mem_free(text);
    table_free(t);
}

static void many_rows_are_kept(void **state)
{
    (void)state;
    struct err e = {0};
    struct table *t = table_new("$name,i", &e);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "row %d", i);
        assert_int_equal(table_add(t, &e, name, (double)i), 0);
    }
    assert_int_equal(table_rows(t), 1000);
    assert_string_equal(table_text(t, 500, "name"), "row 500");
    assert_true(table_number(t, 999, "i") == 999.0);
    table_free(t);
    table_free(NULL);
}

static void an_unwritable_place_is_an_error(void **state)
{
    (void)state;
    struct err e = {0};
    struct table *t = table_new("x", &e);
    assert_int_equal(table_write_csv(t, "/proc/no/such/table.csv", &e), -1);
    assert_int_equal(e.code, ERR_IO);
    table_free(t);
}

static void student_quantiles_agree_with_tables(void **state)
{
    (void)state;
    static const struct {
        double p;
        int df;
        double t;
    } known[] = {/* scipy.stats.t.ppf */
                 {0.975, 1, 12.70620473617471},    {0.975, 2, 4.302652729749464},
                 {0.975, 3, 3.182446305283708},    {0.975, 4, 2.776445105197793},
                 {0.975, 5, 2.570581835636315},    {0.975, 9, 2.262157162798205},
                 {0.975, 10, 2.228138851986274},   {0.975, 29, 2.045229642132703},
                 {0.975, 30, 2.042272456301238},   {0.975, 199, 1.971956544251753},
                 {0.975, 1000, 1.962339080826408}, {0.975, 100000, 1.959987707534609},
                 {0.6, 7, 0.2631668613520229},     {0.025, 12, -2.178812829667229},
                 {0.9995, 3, 12.92397863668796},   {0.9995, 1, 636.6192487687897}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double t = stat_student_quantile(known[i].p, known[i].df);
        assert_true(fabs(t - known[i].t) <= 1e-11 * fabs(known[i].t));
    }
    assert_true(fabs(stat_student_quantile(0.5, 8)) < 1e-12);
}

static void confidence_interval_of_five_values(void **state)
{
    (void)state;
    static const double x[] = {2.5, 3.75, 1.25, 9.5, 4.0}; /* figures by numpy and scipy */
    struct interval c = stat_mean_ci95(x, NULL, 5);
    assert_int_equal(c.n, 5);
    assert_true(fabs(c.mean - 4.2) < 1e-14);
    assert_true(fabs(c.low - 0.27719648509890238) < 1e-12);
    assert_true(fabs(c.high - 8.1228035149010971) < 1e-12);
    struct interval one = stat_mean_ci95(x, NULL, 1);
    assert_true(isnan(one.low) && one.mean == 2.5 && isnan(one.high));
    static const double same[] = {0.1, 0.1, 0.1, 0.1};
    struct interval flat = stat_mean_ci95(same, NULL, 4);
    assert_true(flat.high - flat.low < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(numbers_come_back_as_the_same_float),
        cmocka_unit_test(many_rows_are_kept),
        cmocka_unit_test(an_unwritable_place_is_an_error),
        cmocka_unit_test(student_quantiles_agree_with_tables),
        cmocka_unit_test(confidence_interval_of_five_values),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
