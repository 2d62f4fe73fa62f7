#include "base/io.h"
#include "data/scan.h"
#include "scratch.h"

#include <math.h>

static struct err e;
enum { S = 2, C = 3, H = 5, W = 4, N = S * C * H * W };
static float complex numbers[N]; /* as in the file: readout fastest, then phase, coil, slice */

static void write_pair(const char *header, size_t samples)
{
    assert_int_equal(io_write_text(scratch_path("a.hdr"), header, strlen(header), &e), 0);
    assert_true(samples <= N);
    for (int i = 0; i < N; i++)
        numbers[i] = (float)i + 0.25f * I;
    assert_int_equal(
        io_write_text(scratch_path("a.cfl"), (const char *)numbers, samples * sizeof *numbers, &e),
        0);
}

static void refuses(const char *header, size_t samples, const char *text, const char *hint)
{
    struct scan s;
    write_pair(header, samples);
    e = (struct err){0};
    if (scan_probe(&s, scratch_path("a.cfl"), &e) == 0) fail_msg("takes %s", header);
    assert_true(e.code == ERR_DATA);
    if (!strstr(e.text, scratch_path("a."))) fail_msg("'%s' does not name the file", e.text);
    if (!strstr(e.text, text)) fail_msg("'%s' does not contain '%s'", e.text, text);
    if (!strstr(e.hint, hint)) fail_msg("'%s' does not contain '%s'", e.hint, hint);
}

static void test_reads(void **state)
{
    (void)state;
    /* As BART writes it, with the command that made it, and bare. */
    static const char *const headers[] = {
        "# Dimensions\n5 4 1 3 1 1 1 1 1 1 1 1 1 2 1 1 \n# Command\nphantom -k -s3 a\n# Files\n "
        ">a\n",
        "# Creator\nBART v0.8\n# Dimensions\r\n5 4 1 3 1 1 1 1 1 1 1 1 1 2\r\n"};
    for (int k = 0; k < 2; k++) {
        struct scan s;
        write_pair(headers[k], N);
        if (scan_probe(&s, scratch_path("a.cfl"), &e)) fail_msg("%s", e.text);
        assert_string_equal(s.name, "a");
        assert_true(s.slices == S && s.coils == C && s.readout == H && s.phase == W);
        assert_true(s.height == H && s.width == W && !s.undersampled && s.end_column == W);
        struct scan_file *f = scan_open(&s, &e);
        float complex x[C * H * W];
        for (int i = S - 1; i >= 0; i--) {
            if (!f || scan_read_kspace(&s, f, i, x, &e)) fail_msg("%s", e.text);
            for (int c = 0; c < C; c++)
                for (int y = 0; y < H; y++)
                    for (int p = 0; p < W; p++)
                        assert_true(x[(c * H + y) * W + p] ==
                                    numbers[((i * C + c) * W + p) * H + y]);
        }
        scan_close(f);
    }
}

static void test_bad_headers(void **state)
{
    (void)state;
    refuses("", N, "there is no line '# Dimensions'", "BART's header");
    refuses("5 4 1 3\n", N, "there is no line '# Dimensions'", "BART's header");
    refuses("# Dimensions", N, "there is no line '# Dimensions'", "BART's header");
    refuses("# Dimensions\n\n5 4", N, "the line of sizes is empty", "BART's header");
    refuses("# Dimensions\n5 4 1 -3\n", N, "size 3 is '-3'", "BART's header");
    refuses("# Dimensions\n5 0 1 3\n", N, "size 1 is '0'", "BART's header");
    refuses("# Dimensions\n5 4.0 1 3\n", N, "size 1 is '4.0'", "BART's header");
    refuses("# Dimensions\n5 4 1 99999999999999999999\n", N, "size 3 is '9999", "BART's header");
    refuses("# Dimensions\n5 4 1 3 1 1 1 1 1 1 1 1 1 2 1 1 1\n", N, "more than 16", "BART's");
    refuses("# Dimensions\n4611686018427387904 4 1 3\n", N, "impossible number of bytes", "");
    refuses("# Dimensions\n65536 65536 65536 65536 65536 65536\n", N, "impossible number", "");
}

static void test_bad_lengths(void **state)
{
    (void)state;
    static const char header[] = "# Dimensions\n5 4 1 3 1 1 1 1 1 1 1 1 1 2\n";
    refuses(header, N - 1, "has 952 bytes, its header promises 960", "cut off");
    refuses(header, 0, "has 0 bytes", "cut off");
    refuses("# Dimensions\n5 4 1 3\n", N, "has 960 bytes, its header promises 480", "another .cfl");

    struct scan s;
    write_pair(header, N);
    assert_int_equal(unlink(scratch_path("a.hdr")), 0);
    assert_int_equal(scan_probe(&s, scratch_path("a.cfl"), &e), -1);
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_non_null(strstr(e.text, "a.hdr"));
    write_pair(header, N);
    assert_int_equal(scan_probe(&s, scratch_path("a.cfl"), &e), 0); /* then it shrinks */
    struct scan_file *f = scan_open(&s, &e);
    assert_int_equal(truncate(scratch_path("a.cfl"), 500), 0);
    float complex x[C * H * W];
    assert_int_equal(scan_read_kspace(&s, f, 0, x, &e), 0);
    assert_int_equal(scan_read_kspace(&s, f, 1, x, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "slice 1: "));
    assert_non_null(strstr(e.text, "ends too early"));
    scan_close(f);
}

static void test_other_dimensions(void **state)
{
    (void)state;
    refuses("# Dimensions\n5 4 3 2\n", N, "dimension 2 has size 3", "bart transpose 2 13");
    refuses("# Dimensions\n5 4 1 3 2\n", N, "dimension 4 has size 2", "sensitivities");
    refuses("# Dimensions\n5 4 1 3 1 2\n", N, "dimension 5 has size 2", "bart slice 5 0");
    refuses("# Dimensions\n1 1 1 130\n", 120, "has 960 bytes", "");
}

static void test_not_a_number(void **state)
{
    (void)state;
    write_pair("# Dimensions\n5 4 1 3 1 1 1 1 1 1 1 1 1 2\n", N);
    numbers[((1 * C + 2) * W + 3) * H + 1] = NAN;
    assert_int_equal(
        io_write_text(scratch_path("a.cfl"), (const char *)numbers, sizeof numbers, &e), 0);
    struct scan s;
    assert_int_equal(scan_probe(&s, scratch_path("a.cfl"), &e), 0);
    struct scan_file *f = scan_open(&s, &e);
    float complex x[C * H * W];
    assert_int_equal(scan_read_kspace(&s, f, 1, x, &e), -1);
    assert_non_null(strstr(e.text, "slice 1, coil 2, row 1, column 3"));
    scan_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_bad_lengths),  cmocka_unit_test(test_other_dimensions),
        cmocka_unit_test(test_not_a_number),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
