/* Raw data written by the ismrmrd package (scripts/make-golden-scans.py): kspace[slice, coil, row,
 * column] = 1000 slice + 100 coil + 10 row + column + 0.5i, columns 1 to 5 of 6. */
#include "base/h5_records.h"
#include "data/scan.h"
#include "scratch.h"

static struct err e;
enum { S = 2, C = 3, H = 8, W = 6 };

static const char *golden(const char *name)
{
    static char path[512];
    const char *source = getenv("SSFD_SOURCE");
    snprintf(path, sizeof path, "%s/tests/data/golden/%s", source ? source : ".", name);
    return path;
}

static void test_reads(void **state)
{
    (void)state;
    struct scan s;
    if (scan_probe(&s, golden("ismrmrd.h5"), &e) || scan_check_reference(&s, &e))
        fail_msg("%s", e.text);
    assert_true(s.slices == S && s.coils == C && s.readout == H && s.phase == W);
    assert_true(s.height == 4 && s.width == 4);
    assert_true(s.first_column == 1 && s.end_column == W);
    assert_string_equal(s.acquisition, "t2 tse");
    assert_string_equal(s.patient, "volunteer 7");
    struct scan_file *f = scan_open(&s, &e);
    float complex x[C * H * W];
    for (int i = 0; i < S; i++) {
        if (!f || scan_read_kspace(&s, f, i, x, &e)) fail_msg("%s", e.text);
        for (int c = 0; c < C; c++)
            for (int y = 0; y < H; y++)
                for (int p = 0; p < W; p++) {
                    float complex want = (float)(1000 * i + 100 * c + 10 * y + p) + 0.5f * I;
                    if (p == 0) want = 0;               /* not acquired */
                    if (i == 0 && p == 3) want += 0.5f; /* measured twice */
                    assert_true(x[(c * H + y) * W + p] == want);
                }
    }
    scan_close(f);
}

static void test_undersampled(void **state)
{
    (void)state;
    struct scan s;
    if (scan_probe(&s, golden("ismrmrd-gap.h5"), &e)) fail_msg("%s", e.text);
    assert_true(s.undersampled);
    e = (struct err){0};
    assert_int_equal(scan_check_reference(&s, &e), -1);
    assert_non_null(strstr(e.text, "slice 0 has 4 of 5 lines"));
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"ismrmrd-spiral.h5", "the trajectory is 'spiral', not 'cartesian'"},
        {"ismrmrd-3d.h5", "the scan is three-dimensional"},
        {"ismrmrd-outside.h5", "is a line outside the matrix"},
        {"ismrmrd-coils.h5", "has another number of coils"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct scan s;
        e = (struct err){0};
        assert_int_equal(scan_probe(&s, golden(files[i][0]), &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        if (!strstr(e.text, files[i][0]) || !strstr(e.text, files[i][1])) fail_msg("%s", e.text);
        assert_non_null(strstr(e.hint, "Cartesian scan"));
    }
}

/* A head that promises more than the data hold. */
static void test_short_data(void **state)
{
    (void)state;
    struct scan s;
    if (scan_probe(&s, golden("ismrmrd-short.h5"), &e)) fail_msg("%s", e.text);
    struct scan_file *f = scan_open(&s, &e);
    float complex x[C * H * W];
    assert_int_equal(scan_read_kspace(&s, f, 1, x, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "slice 1: "));
    assert_non_null(
        strstr(e.text, "'data' of record 3 in 'dataset/data' has 46 numbers, expected 48"));
    assert_int_equal(scan_read_kspace(&s, f, 0, x, &e), 0);
    scan_close(f);
}

static void test_records(void **state)
{
    (void)state;
    struct h5 *f = h5_open(golden("ismrmrd.h5"), &e);
    static const char table[] = "dataset/data";
    uint64_t v[16];
    float x[48];
    int64_t n;
    assert_int_equal(h5_record_count(f, table, &n, &e), 0);
    assert_int_equal(n, 12);
    assert_int_equal(h5_read_column(f, table, "head.idx.kspace_encode_step_1", n, v, &e), 0);
    assert_true(v[1] == 3 && v[2] == 1 && v[3] == 4); /* the first is noise */
    assert_int_equal(h5_read_list(f, table, "data", 1, 48, x, &e), 0);
    assert_true(x[0] == 1004 && x[1] == 0.5f && x[46] == 1274);

    static const char *const none[] = {"head", "head.idx", "head.nobody", "head.flags.x", "data"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(h5_read_column(f, table, none[i], n, v, &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        assert_non_null(strstr(e.text, none[i]));
    }
    assert_int_equal(h5_read_column(f, table, "head.flags", n - 1, v, &e), -1);
    assert_int_equal(h5_read_list(f, table, "head.flags", 0, 48, x, &e), -1);
    assert_int_equal(h5_read_list(f, table, "data", 12, 48, x, &e), -1);
    assert_int_equal(h5_read_list(f, table, "data", -1, 48, x, &e), -1);
    assert_int_equal(h5_record_count(f, "dataset/xml", &n, &e), -1);
    assert_int_equal(h5_record_count(f, "dataset", &n, &e), -1);
    assert_int_equal(h5_record_count(f, "nothing", &n, &e), -1);
    h5_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),   cmocka_unit_test(test_undersampled),
        cmocka_unit_test(test_refuses), cmocka_unit_test(test_short_data),
        cmocka_unit_test(test_records),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
