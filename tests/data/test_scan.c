#include "base/mem.h"
#include "data/scans.h"
#include "scratch.h"

#include <math.h>

static struct err e;

static void fails(int rc, enum err_code code, const char *part)
{
    assert_int_equal(rc, -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, part)) fail_msg("'%s' does not contain '%s'", e.text, part);
}

/* The error names the file, says `part`, and advises. */
static void probe_fails(const char *path, enum err_code code, const char *part)
{
    struct scan s;
    e = (struct err){0};
    fails(scan_probe(&s, path, &e), code, part);
    if (!strstr(e.text, path)) fail_msg("'%s' does not name the file", e.text);
    if (code == ERR_DATA && !e.hint[0]) fail_msg("no advice with '%s'", e.text);
}

enum { S = 2, C = 3, H = 6, W = 4, N = S * C * H * W };
static const int64_t dim4[4] = {S, C, H, W};

static const float complex *numbers(void)
{
    static float complex x[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)i - 0.5f * (float)i * I;
    return x;
}

static struct h5 *begin(const char *path)
{
    struct h5 *f = h5_create(path, &e);
    if (!f) fail_msg("%s", e.text);
    return f;
}

static void finish(struct h5 *f)
{
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
}

static void test_reads_what_was_written(void **state)
{
    (void)state;
    const char *path = scratch_path("knee.1.h5");
    write_kspace(path, 4, dim4, numbers());
    struct scan s;
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_string_equal(s.name, "knee.1");
    assert_string_equal(s.path, path);
    assert_true(s.slices == S && s.coils == C && s.readout == H && s.phase == W);
    assert_true(s.height == H && s.width == W && !s.has_target);
    assert_int_equal(s.contrast, CONTRAST_UNKNOWN);
    struct scan_file *f = scan_open(&s, &e);
    float complex k[C * H * W];
    for (int i = 0; i < S; i++) {
        assert_int_equal(scan_read_kspace(&s, f, i, k, &e), 0);
        assert_memory_equal(k, numbers() + i * C * H * W, sizeof k);
    }
    scan_close(f);
}

static void test_single_coil_layout(void **state)
{
    (void)state;
    const char *path = scratch_path("single.h5");
    const int64_t dim[3] = {S * C, H, W};
    write_kspace(path, 3, dim, numbers());
    struct scan s;
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_true(s.slices == S * C && s.coils == 1 && s.readout == H && s.phase == W);
    struct scan_file *f = scan_open(&s, &e);
    float complex k[H * W];
    assert_int_equal(scan_read_kspace(&s, f, 4, k, &e), 0);
    assert_memory_equal(k, numbers() + 4 * H * W, sizeof k);
    scan_close(f);
}

static void make_scan(const char *path, const char *header, const int64_t *target,
                      const char *acquisition)
{
    struct h5 *f = begin(path);
    assert_int_equal(h5_make(f, "kspace", H5_C64, 4, dim4, &e), 0);
    if (header) assert_int_equal(h5_write_text(f, "ismrmrd_header", header, &e), 0);
    if (target) assert_int_equal(h5_make(f, "reconstruction_rss", H5_F32, 3, target, &e), 0);
    if (acquisition) assert_int_equal(h5_set_attr_text(f, "/", "acquisition", acquisition, &e), 0);
    finish(f);
}

#define HEADER(matrix)                                                                             \
    "<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>9</x><y>9</y></matrixSize>"             \
    "</encodedSpace><reconSpace><matrixSize>" matrix "</matrixSize></reconSpace></encoding>"       \
    "</ismrmrdHeader>"

static void test_image_size_and_contrast(void **state)
{
    (void)state;
    const char *path = scratch_path("size.h5"), *header = HEADER("<x>5</x><y>3</y><z>1</z>");
    const int64_t target[3] = {S, 4, 2};
    struct scan s;
    make_scan(path, header, target, "CORPD_FBK");
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_true(s.height == 4 && s.width == 2 && s.has_target);
    assert_int_equal(s.contrast, CONTRAST_NON_FS);
    make_scan(path, header, NULL, "CORPDFS_FBK");
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_true(s.height == 5 && s.width == 3 && !s.has_target);
    assert_int_equal(s.contrast, CONTRAST_FS);
    make_scan(path, "<ismrmrdHeader>no recon space</ismrmrdHeader>", NULL, "AXT2");
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_true(s.height == H && s.width == W);
    assert_int_equal(s.contrast, CONTRAST_UNKNOWN);
    assert_string_equal(s.acquisition, "AXT2");

    const char *const bad[] = {HEADER("<x>5</x>"),
                               HEADER("<x>5</x><y>-3</y>"),
                               HEADER("<x>5</x><y>99999999999999999999</y>"),
                               HEADER("<x>5</x><y>3.5</y>"),
                               HEADER("<x>five</x><y>3</y>"),
                               HEADER("<x>0</x><y>3</y>")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_scan(path, bad[i], NULL, NULL);
        probe_fails(path, ERR_DATA, "'ismrmrd_header'");
    }
    const int64_t other[3] = {S + 1, 4, 2}, none[3] = {S, 0, 2};
    make_scan(path, NULL, other, NULL);
    probe_fails(path, ERR_DATA, "'reconstruction_rss' does not fit");
    make_scan(path, NULL, none, NULL);
    probe_fails(path, ERR_DATA, "'reconstruction_rss' has no rows");
}

static void test_bad_kspace(void **state)
{
    (void)state;
    const char *path = scratch_path("bad.h5");
    struct h5 *f = begin(path);
    assert_int_equal(h5_make(f, "image", H5_F32, 4, dim4, &e), 0);
    assert_int_equal(h5_make(f, "mask", H5_F32, 1, dim4, &e), 0);
    finish(f);
    probe_fails(path, ERR_DATA, "dataset 'kspace' is missing");
    assert_non_null(strstr(e.hint, "'image', 'mask'"));

    f = begin(path);
    finish(f);
    probe_fails(path, ERR_DATA, "dataset 'kspace' is missing");
    assert_non_null(strstr(e.hint, "no datasets"));

    f = begin(path);
    assert_int_equal(h5_make(f, "kspace", H5_F32, 4, dim4, &e), 0);
    finish(f);
    probe_fails(path, ERR_DATA, "not complex");

    const int64_t plane[2] = {H, W}, five[5] = {1, S, C, H, W};
    write_kspace(path, 2, plane, numbers());
    probe_fails(path, ERR_DATA, "has 2 dimensions, expected 4 or 3");
    write_kspace(path, 5, five, numbers());
    probe_fails(path, ERR_DATA, "has 5 dimensions");

    const char *const what[4] = {"no slices", "no coils", "no readout", "no phase"};
    for (int i = 0; i < 4; i++) {
        int64_t dim[4] = {S, C, H, W};
        dim[i] = 0;
        write_kspace(path, 4, dim, numbers());
        probe_fails(path, ERR_DATA, what[i]);
    }
    const int64_t many[4] = {1, SCAN_MAX_COILS + 1, 1, 1};
    float complex x[SCAN_MAX_COILS + 1] = {0};
    write_kspace(path, 4, many, x);
    probe_fails(path, ERR_DATA, "has 129 coils, at most 128");

    f = begin(path);
    assert_int_equal(h5_make(f, "kspace/inner", H5_F32, 4, dim4, &e), 0);
    finish(f);
    struct scan s;
    fails(scan_probe(&s, path, &e), ERR_DATA, "'kspace' cannot be opened as a dataset");
}

static void test_not_a_number(void **state)
{
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float complex x[N];
        memcpy(x, numbers(), sizeof x);
        ((float *)x)[2 * (((1 * C + 2) * H + 5) * W + 1) + (i & 1)] = bad[i];
        const char *path = scratch_path("nan.h5");
        write_kspace(path, 4, dim4, x);
        struct scan s;
        assert_int_equal(scan_probe(&s, path, &e), 0);
        struct scan_file *f = scan_open(&s, &e);
        float complex k[C * H * W];
        assert_int_equal(scan_read_kspace(&s, f, 0, k, &e), 0);
        fails(scan_read_kspace(&s, f, 1, k, &e), ERR_DATA, "slice 1, coil 2, row 5, column 1");
        assert_non_null(strstr(e.text, "nan.h5"));
        assert_true(e.hint[0]);
        scan_close(f);
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    probe_fails(scratch_path("absent.h5"), ERR_NOINPUT, "No such file");
    FILE *f = fopen(scratch_path("text.h5"), "w");
    fputs("slice,coil\n", f);
    fclose(f);
    probe_fails(scratch_path("text.h5"), ERR_DATA, "is not an HDF5 file");

    const char *path = scratch_path("short.h5");
    write_kspace(path, 4, dim4, numbers());
    assert_int_equal(truncate(path, 1500), 0);
    probe_fails(path, ERR_DATA, "truncated");
}

static void test_find(void **state)
{
    (void)state;
    const char *const files[] = {"set/b.h5", "set/a.h5", "set/.hidden.h5", "set/c.txt", "x.h5"};
    assert_int_equal(mkdir(scratch_path("set"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("none"), 0700), 0);
    for (int i = 0; i < 5; i++)
        write_kspace(scratch_path(files[i]), 4, dim4, numbers());

    struct scans s;
    const char *paths[] = {scratch_path("x.h5"), scratch_path("set")};
    assert_int_equal(scans_find(&s, paths, 2, &e), 0);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.list[0].name, "x");
    assert_string_equal(s.list[1].name, "a");
    assert_string_equal(s.list[2].name, "b");
    assert_string_equal(s.list[2].path, scratch_path("set/b.h5"));
    scans_release(&s);

    paths[0] = scratch_path("absent");
    fails(scans_find(&s, paths, 2, &e), ERR_NOINPUT, "absent: No such file");
    assert_true(s.n == 0 && !s.list);
    paths[0] = scratch_path("none");
    fails(scans_find(&s, paths, 2, &e), ERR_NOINPUT, "holds no scans");
    paths[0] = scratch_path("set/b.h5");
    fails(scans_find(&s, paths, 2, &e), ERR_DATA, "two scans have the name 'b'");
    assert_int_equal(truncate(scratch_path("set/a.h5"), 0), 0);
    fails(scans_find(&s, paths + 1, 1, &e), ERR_DATA, "set/a.h5: the file is empty");
}

/* Every real file, where the data are here; one of nine is undersampled. */
static void test_real_data(void **state)
{
    (void)state;
    const char *folder = shared_data("kspace");
    if (!folder) skip();
    struct scans s;
    const struct scans_query q = {.paths = {1, &folder}, .on_bad = BAD_SCAN_SKIP, .quiet = true};
    if (scans_search(&s, &q, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.n, 8);
    assert_int_equal(s.nbad, 1);
    assert_non_null(strstr(s.bad[0].path, "brain8ch_undersampled.h5"));
    assert_non_null(strstr(s.bad[0].why, "undersampled"));
    for (int i = 0; i < s.n; i++) {
        struct scan *r = s.list + i;
        float complex *k = mem_new((size_t)(r->coils * r->readout * r->phase), sizeof *k, &e);
        struct scan_file *f = scan_open(r, &e);
        if (!k || !f || scan_read_kspace(r, f, r->slices - 1, k, &e)) fail_msg("%s", e.text);
        assert_true(r->height == r->readout && r->width == r->phase);
        scan_close(f);
        mem_free(k);
    }
    assert_string_equal(s.list[0].name, "brain16ch");
    assert_int_equal(s.list[0].coils, 16);
    assert_string_equal(s.list[0].acquisition, "GRE2D");
    scans_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_single_coil_layout),
        cmocka_unit_test(test_image_size_and_contrast),
        cmocka_unit_test(test_bad_kspace),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_real_data),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
