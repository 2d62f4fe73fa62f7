#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void context_goes_in_front(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(&e, ERR_DATA, "dataset '%s' is missing", "kspace"), -1);
    assert_int_equal(err_wrap(&e, "slice %d of f.h5", 12), -1);
    assert_int_equal(err_hint(&e, "list it with %s", "h5ls"), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_string_equal(e.text, "slice 12 of f.h5: dataset 'kspace' is missing");
    assert_string_equal(e.hint, "list it with h5ls");
}

static void a_new_error_replaces_text_and_hint(void **state)
{
    (void)state;
    struct err e = {0};
    err_set(&e, ERR_DATA, "first");
    err_hint(&e, "advice");
    err_set(&e, ERR_IO, "second, after '%s'", e.text); /* its own text as an argument */
    assert_int_equal(e.code, ERR_IO);
    assert_string_equal(e.text, "second, after 'first'");
    assert_string_equal(e.hint, "");
}

static void long_text_is_cut_not_overrun(void **state)
{
    (void)state;
    struct {
        struct err e;
        char guard[16];
    } x;
    memset(&x, 0, sizeof x);
    memset(x.guard, '#', sizeof x.guard);
    static char text[9000];
    memset(text, 'a', sizeof text - 1);
    err_set(&x.e, ERR_FAILED, "%s", text);
    assert_int_equal(strlen(x.e.text), sizeof x.e.text - 1);
    err_wrap(&x.e, "context");
    assert_int_equal(strncmp(x.e.text, "context: aaa", 12), 0);
    assert_int_equal(strlen(x.e.text), sizeof x.e.text - 1);
    err_wrap(&x.e, "%s", text);
    err_hint(&x.e, "%s", text);
    assert_int_equal(strlen(x.e.hint), sizeof x.e.hint - 1);
    for (size_t i = 0; i < sizeof x.guard; i++)
        assert_int_equal(x.guard[i], '#');
}

static void nobody_listening_is_legal(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
    assert_int_equal(err_hint(NULL, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(a_new_error_replaces_text_and_hint),
        cmocka_unit_test(long_text_is_cut_not_overrun),
        cmocka_unit_test(nobody_listening_is_legal),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
