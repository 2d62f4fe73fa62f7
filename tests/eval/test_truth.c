/* The table of known defects: what it says, and how it refuses. */
#include "base/io.h"
#include "eval/truth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/ssfd-truth-XXXXXX";

static struct truth *read_text(const char *text, struct err *e)
{
    *e = (struct err){0};
    assert_int_equal(io_write_text(path, text, strlen(text), e), 0);
    return truth_read(path, e);
}

static void says_what_is_where(void **state)
{
    (void)state;
    struct err e;
    struct truth *t = read_text("severity,kind,scan,first_slice,last_slice,\"a \"\"note\"\"\"\r\n"
                                "1,motion,one,2,4,\"with, comma\nand line\"\r\n"
                                "\n"
                                "9,spike,one.h5,3,3,\n"
                                ",none,two,,,\n"
                                "2,dead-coil,three,,,x\n"
                                ",,four,,,",
                                &e);
    if (!t) fail_msg("%s", e.text);
    assert_int_equal(truth_kinds(t), 3);
    assert_string_equal(truth_kind(t, 1), "spike");
    assert_int_equal(truth_of(t, "one", 1), 0);
    assert_int_equal(truth_of(t, "one", 2), 1);
    assert_int_equal(truth_of(t, "one", 3), 3);
    assert_int_equal(truth_of(t, "one", 4), 1);
    assert_int_equal(truth_of(t, "two", 0), 0);
    assert_int_equal(truth_of(t, "three", 77), 4);
    assert_int_equal(truth_of(t, "four", 0), 0);
    assert_int_equal(truth_of(t, "five", 0), -1);
    truth_free(t);
    /* slices may be absent, and spreadsheets write a byte order mark */
    t = read_text("\xef\xbb\xbfscan,kind\na,bad\nb,none\n", &e);
    assert_non_null(t);
    assert_int_equal(truth_of(t, "a", 12), 1);
    truth_free(t);
    truth_free(NULL);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "no row below the names"},
        {"scan,first_slice\na,1\n", "line 1: there is no column 'kind'"},
        {"scan,kind\na\n", "line 2: less than 2 cells"},
        {"scan,kind\n\"a\nb\",none\n\nc,none,1\n", "line 5: more than 2 cells"},
        {"scan,kind,scan\na,none,b\n", "two columns are named 'scan'"},
        {"scan,kind\n,motion\n", "line 2: the scan is missing"},
        {"scan,kind\n\"a,motion\n", "a quotation mark is not closed"},
        {"scan,kind,first_slice\na,motion,1.5\n", "line 2: '1.5' is not the number of a slice"},
        {"scan,kind,last_slice\na,none,\na,motion,-1\n", "line 3: '-1' is not"},
        {"scan,kind,last_slice\na,motion,99999999999\n", "is not the number of a slice"},
        {"scan,kind,first_slice,last_slice\na,motion,3,3\na,motion,3,2\n",
         "line 3: the first slice, 3, is after the last, 2"},
        {"scan,kind\na,a_kind_whose_name_is_longer_than_anybody_needs\n", "too long"},
    };
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(read_text(bad[i].text, &e));
        assert_int_equal(e.code, ERR_DATA);
        if (!strstr(e.text, bad[i].says) || !strstr(e.text, path))
            fail_msg("'%s' does not say '%s'", e.text, bad[i].says);
    }
    char many[4096] = "scan,kind\n";
    for (int k = 0; k <= TRUTH_KINDS; k++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "a,k%d\n", k);
    assert_null(read_text(many, &e));
    assert_null(truth_read("/nowhere.csv", &e));
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_int_equal(io_write_text(path, "scan,kind\na\0b,x\n", 16, &e), 0);
    assert_null(truth_read(path, &e));
    assert_non_null(strstr(e.text, "it has a zero byte"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_where),
        cmocka_unit_test(refuses),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests_name("truth", tests, NULL, NULL);
    unlink(path);
    return failed;
}
