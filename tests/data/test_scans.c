/* Many scans: what one bad file among good ones does. */
#include "base/io.h"
#include "base/mem.h"
#include "data/images.h"
#include "data/scans.h"
#include "scratch.h"

#include <math.h>

static struct err e;
enum { S = 2, C = 2, H = 16, W = 16, N = S * C * H * W };
static const int64_t dim[4] = {S, C, H, W};

static void write_good(const char *name, float factor)
{
    float complex x[N];
    uint32_t seed = 5;
    for (int i = 0; i < N; i++)
        x[i] = scratch_noise(&seed) + scratch_noise(&seed) * I;
    x[H * W + 9] *= factor;
    write_kspace(scratch_path(name), 4, dim, x);
}

/* set/: a, c, e good; b truncated, d without k-space, f undersampled, g NaN in slice 0. */
static void write_set(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'/set '%s'/cache", scratch, scratch);
    assert_int_equal(system(command), 0);
    assert_int_equal(mkdir(scratch_path("set"), 0700), 0);
    static const char *const good[] = {"set/a.h5", "set/b.h5", "set/c.h5", "set/e.h5"};
    for (int i = 0; i < 4; i++)
        write_good(good[i], 1);
    assert_int_equal(truncate(scratch_path("set/b.h5"), 3000), 0);
    struct h5 *f = h5_create(scratch_path("set/d.h5"), &e);
    assert_int_equal(h5_make(f, "image", H5_F32, 4, dim, &e), 0);
    assert_int_equal(h5_commit(f, &e), 0);
    h5_close(f);
    const int64_t columns = W;
    float mask[W] = {1};
    f = h5_create(scratch_path("set/f.h5"), &e);
    assert_int_equal(h5_make(f, "kspace", H5_C64, 4, dim, &e), 0);
    assert_int_equal(h5_make(f, "mask", H5_F32, 1, &columns, &e), 0);
    assert_int_equal(h5_write_f32(f, "mask", 1, NULL, &columns, mask, &e), 0);
    assert_int_equal(h5_commit(f, &e), 0);
    h5_close(f);
    write_good("set/g.h5", NAN);
}

static int search(struct scans *s, int on_bad)
{
    const char *folder = scratch_path("set");
    const struct scans_query q = {.paths = {1, &folder}, .on_bad = on_bad, .quiet = true};
    e = (struct err){0};
    return scans_search(s, &q, &e);
}

static void test_stop_and_skip(void **state)
{
    (void)state;
    struct scans s;
    write_set();
    assert_int_equal(search(&s, BAD_SCAN_STOP), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "set/b.h5"));
    assert_true(s.n == 0 && !s.list && s.nbad == 0);

    assert_int_equal(search(&s, BAD_SCAN_SKIP), 0);
    assert_true(s.n == 4 && s.nbad == 3); /* g is bad inside only */
    assert_string_equal(s.list[3].name, "g");
    static const char *const why[3] = {"truncated", "'kspace' is missing", "undersampled"};
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(s.bad[i].why, why[i]));
    assert_string_equal(s.bad[0].path, scratch_path("set/b.h5"));
    scans_release(&s);
}

static void test_report(void **state)
{
    (void)state;
    struct scans s;
    write_set();
    assert_int_equal(search(&s, BAD_SCAN_SKIP), 0);
    struct scans *const sets[] = {&s, &s};
    char text[4096] = "", *file;
    size_t len;
    FILE *notes = fmemopen(text, sizeof text, "w");
    assert_int_equal(scans_report(sets, 2, scratch, notes, &e), 0);
    fclose(notes);
    assert_non_null(strstr(text, "skipped 6 of 14 scans, listed in "));
    assert_non_null(strstr(text, "'kspace' is missing"));
    file = io_read_text(scratch_path("skipped_scans.csv"), 1 << 16, &len, &e);
    assert_memory_equal(file, "scan,reason\n", 12);
    assert_non_null(strstr(file, "set/f.h5,"));
    mem_free(file);
    notes = fmemopen(text, sizeof text, "w"); /* told once */
    assert_int_equal(scans_report(sets, 2, scratch, notes, &e), 0);
    assert_int_equal(ftell(notes), 0);
    fclose(notes);
    assert_true(io_exists(scratch_path("skipped_scans.csv")));
    s.told--; /* and again where there are more */
    notes = fmemopen(text, sizeof text, "w");
    assert_int_equal(scans_report(sets, 2, scratch, notes, &e), 0);
    assert_true(ftell(notes) > 0);
    fclose(notes);

    s.nbad = 0; /* nothing is skipped: the list goes, and nothing is said */
    notes = fmemopen(text, sizeof text, "w");
    assert_int_equal(scans_report(sets, 2, scratch, notes, &e), 0);
    assert_int_equal(ftell(notes), 0);
    fclose(notes);
    assert_false(io_exists(scratch_path("skipped_scans.csv")));
    s.nbad = 3;
    scans_release(&s);
}

/* What is wrong with the content comes out when references are made, and goes the same way. */
static void test_bad_content(void **state)
{
    (void)state;
    char set[256], cache[256];
    const char *folder = strcpy(set, scratch_path("set"));
    struct images_conf conf = {
        .scans = {1, &folder},
        .cache = strcpy(cache, scratch_path("cache")),
        .part = PART_TEST,
        .on_bad_scan = BAD_SCAN_SKIP,
        .slices = SLICES_ALL,
        .jsense = {.kernel = 4, .calibration = 0.5, .iterations = 1, .inner_iterations = 1}};
    struct images im;
    write_set();
    if (images_find(&im, &conf, true, &e) || images_prepare(&im, true, &e)) fail_msg("%s", e.text);
    assert_true(im.scans.n == 3 && im.scans.nbad == 4 && im.n == 3 * S);
    assert_string_equal(images_name(&im, 5), "e");
    assert_non_null(strstr(im.scans.bad[3].why, "g.h5: k-space holds NaN or infinity at slice 0, "
                                                "coil 1, row 0, column 9"));
    float complex x[H * W];
    assert_int_equal(images_read(&im, 5, x, &e), 0);
    images_release(&im);

    static const char *const bad[] = {"set/b.h5", "set/d.h5", "set/f.h5"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(unlink(scratch_path(bad[i])), 0);
    conf.on_bad_scan = BAD_SCAN_STOP;
    e = (struct err){0};
    assert_int_equal(images_find(&im, &conf, true, &e), 0);
    assert_int_equal(images_prepare(&im, true, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "set/g.h5"));
    images_release(&im);
}

static void test_nothing_left(void **state)
{
    (void)state;
    struct scans s;
    write_set();
    static const char *const good[] = {"set/a.h5", "set/c.h5", "set/e.h5", "set/g.h5"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(unlink(scratch_path(good[i])), 0);
    assert_int_equal(search(&s, BAD_SCAN_SKIP), -1);
    assert_non_null(strstr(e.text, "of 3 scans none can be used; the first: "));

    /* fastMRI's folder of folders is taken for what it is. */
    assert_int_equal(mkdir(scratch_path("knee"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("knee/multicoil_train"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("knee/multicoil_val"), 0700), 0);
    const char *folder = scratch_path("knee");
    assert_int_equal(scans_find(&s, &folder, 1, &e), -1);
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_non_null(strstr(e.hint, "multicoil_train, multicoil_val: name one"));
}

/* Formats side by side; other files and hidden ones are left alone. */
static void test_formats_in_one_folder(void **state)
{
    (void)state;
    char command[512];
    const char *source = getenv("SSFD_SOURCE");
    snprintf(command, sizeof command,
             "cd '%s' && mkdir mix && cp '%s/tests/data/golden/ismrmrd.h5' mix/b.mrd && "
             "cp '%s/tests/data/golden/fastmri-fixed.h5' mix/a.h5 && touch mix/._a.h5 mix/x.txt && "
             "printf '# Dimensions\\n4 4 1 2\\n' >mix/c.hdr && head -c 256 /dev/zero >mix/c.cfl",
             scratch, source ? source : ".", source ? source : ".");
    assert_int_equal(system(command), 0);
    const char *folder = scratch_path("mix"), *other = scratch_path("mix/x.txt");
    struct scans s;
    if (scans_find(&s, &folder, 1, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.n, 3);
    assert_true(s.list[0].coils == 3 && s.list[1].coils == 3 && s.list[2].coils == 2);
    assert_string_equal(s.list[2].name, "c");
    scans_release(&s);
    assert_int_equal(scans_find(&s, &other, 1, &e), -1);
    assert_non_null(strstr(e.text, "x.txt: no format of scans"));
    assert_non_null(strstr(e.hint, ".cfl (BART)"));
    snprintf(command, sizeof command, "cd '%s' && mv mix/c.cfl mix/a.cfl && mv mix/c.hdr mix/a.hdr",
             scratch);
    assert_int_equal(system(command), 0);
    assert_int_equal(scans_find(&s, &folder, 1, &e), -1);
    assert_non_null(strstr(e.text, "two scans have the name 'a'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_and_skip),         cmocka_unit_test(test_report),
        cmocka_unit_test(test_bad_content),           cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_formats_in_one_folder),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
