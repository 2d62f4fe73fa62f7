#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "data/refcache.h"
#include "data/reference.h"
#include "scratch.h"

#include <math.h>
#include <signal.h>
#include <utime.h>

static struct err e;

enum { S = 3, C = 4, READOUT = 26, PHASE = 20, H = 20, W = 16, RAW = C * READOUT * PHASE };
static const struct jsense_conf conf = {
    .kernel = 4, .calibration = 0.5, .iterations = 3, .inner_iterations = 5, .lambda = 0};

/* A scan with a reconstruction of (H, W), so that references are cropped. */
static void write_scan(const char *path, uint32_t seed, float bad)
{
    float complex *x = mem_new(S * RAW, sizeof *x, &e);
    for (int i = 0; i < S * RAW; i++) {
        int row = i / PHASE % READOUT, col = i % PHASE;
        double far = hypot(row - READOUT / 2, col - PHASE / 2);
        x[i] = (float)exp(-0.3 * far) * (scratch_noise(&seed) + scratch_noise(&seed) * I);
    }
    x[RAW + 7] *= bad;
    const int64_t dim[4] = {S, C, READOUT, PHASE}, size[3] = {S, H, W};
    struct h5 *f = h5_create(path, &e);
    if (!f || h5_make(f, "kspace", H5_C64, 4, dim, &e) ||
        h5_write_c64(f, "kspace", 4, NULL, dim, x, &e) ||
        h5_make(f, "reconstruction_rss", H5_F32, 3, size, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
    mem_free(x);
}

/* Prepares the two scans a.h5 and b.h5 of the folder "scans"; returns the error code. */
static int prepare(const struct jsense_conf *c, struct refcache out[2])
{
    const char *folder = scratch_path("scans");
    struct scans s;
    e = (struct err){0};
    if (scans_find(&s, &folder, 1, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.n, 2);
    int rc = refcache_prepare(&s, scratch_path("cache/deep"), c, true, out, &e);
    scans_release(&s);
    assert_int_equal(rc, e.code ? -1 : 0);
    return (int)e.code;
}

static void fresh(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s/scans' '%s/cache'; mkdir '%s/scans'", scratch,
             scratch, scratch);
    assert_int_equal(system(command), 0);
    write_scan(scratch_path("scans/a.h5"), 1, 1);
    write_scan(scratch_path("scans/b.h5"), 2, 1);
}

/* Changes whenever a file is made anew: files are renamed into place, never rewritten. */
static ino_t made(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* Which of the two files a second preparation makes again: bit 0 for a, bit 1 for b. */
static int remade(const struct jsense_conf *c)
{
    struct refcache r[2];
    /* Hard links keep the inodes from being used again. */
    char command[512];
    snprintf(command, sizeof command,
             "cd '%s/cache/deep' && rm -f keep.* && ln a.h5 keep.a && ln b.h5 keep.b", scratch);
    assert_int_equal(system(command), 0);
    ino_t a = made(scratch_path("cache/deep/a.h5")), b = made(scratch_path("cache/deep/b.h5"));
    if (prepare(c, r)) fail_msg("%s", e.text);
    return (made(r[0].path) != a) | (made(r[1].path) != b) << 1;
}

static void test_holds_the_references(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    assert_string_equal(r[1].path, scratch_path("cache/deep/b.h5"));
    assert_true(r[1].slices == S && r[1].coils == C && r[1].height == H && r[1].width == W);

    struct scan s;
    struct reference want;
    assert_int_equal(scan_probe(&s, scratch_path("scans/b.h5"), &e), 0);
    assert_int_equal(reference_init(&want, &s, &conf, &e), 0);
    struct scan_file *f = scan_open(&s, &e);
    for (int i = 0; i < S; i++) {
        float complex image[H * W], kernels[C * 16];
        float rss[H * W];
        assert_int_equal(scan_read_kspace(&s, f, i, want.raw, &e), 0);
        assert_int_equal(reference_make(&want, &e), 0);
        assert_int_equal(refcache_read(r + 1, i, image, &e), 0);
        assert_int_equal(refcache_read_kernels(r + 1, i, kernels, &e), 0);
        assert_int_equal(refcache_read_rss(r + 1, i, rss, &e), 0);
        assert_memory_equal(image, want.image, sizeof image);
        assert_memory_equal(kernels, want.kernels, sizeof kernels);
        assert_memory_equal(rss, want.rss, sizeof rss);
        float peak = 0;
        for (int k = 0; k < H * W; k++)
            peak = fmaxf(peak, cabsf(image[k]));
        assert_true(peak > 1e-3f);
    }
    scan_close(f);
    reference_release(&want);
    assert_true(io_exists(scratch_path("cache/deep/a.png")));
    assert_true(io_exists(scratch_path("cache/deep/b.png")));
}

static void test_reuse_and_staleness(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    assert_int_equal(remade(&conf), 0);

    struct jsense_conf other = conf; /* each parameter counts */
    other.kernel = 5;
    assert_int_equal(remade(&other), 3);
    other.iterations++;
    assert_int_equal(remade(&other), 3);
    other.inner_iterations++;
    assert_int_equal(remade(&other), 3);
    other.lambda = 1e-9;
    assert_int_equal(remade(&other), 3);
    other.calibration = 0.501;
    assert_int_equal(remade(&other), 3);
    assert_int_equal(remade(&other), 0);
    assert_int_equal(remade(&conf), 3);

    const struct utimbuf past = {1000000, 1000000};
    assert_int_equal(utime(scratch_path("scans/a.h5"), &past), 0); /* touched, same content */
    assert_int_equal(remade(&conf), 0);
    write_scan(scratch_path("scans/a.h5"), 9, 1); /* same size, other content */
    assert_int_equal(remade(&conf), 1);
}

static void test_damage_is_mended(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    assert_int_equal(truncate(r[0].path, 3000), 0);
    assert_int_equal(refcache_read(r, 0, NULL, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.hint, "delete this file"));
    assert_int_equal(remade(&conf), 1);

    FILE *f = fopen(r[1].path, "w");
    fputs("not HDF5", f);
    fclose(f);
    assert_int_equal(remade(&conf), 2);

    struct h5 *h = h5_create(r[1].path, &e); /* HDF5 of something else */
    assert_int_equal(h5_commit(h, &e), 0);
    h5_close(h);
    assert_int_equal(remade(&conf), 2);

    /* What a killed run leaves behind is neither taken for a cache file nor in the way. */
    char command[256];
    snprintf(command, sizeof command,
             "cd '%s/cache/deep' && rm a.h5 && head -c 5000 b.h5 > a.h5.123.tmp", scratch);
    assert_int_equal(system(command), 0);
    assert_int_equal(prepare(&conf, r), 0);
    float complex image[H * W];
    assert_int_equal(refcache_read(r, S - 1, image, &e), 0);
}

static void test_a_bad_scan(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    write_scan(scratch_path("scans/b.h5"), 2, NAN);
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "b.h5"));
    assert_non_null(strstr(e.text, "slice 1, coil 0, row 0, column 7"));
    assert_int_equal(access(scratch_path("cache/deep/a.h5"), F_OK), 0); /* a is done and stays */
    assert_int_not_equal(access(scratch_path("cache/deep/b.h5"), F_OK), 0);
    char command[256];
    snprintf(command, sizeof command, "test $(ls -A '%s/cache/deep' | wc -l) = 2",
             scratch); /* and a.png */
    assert_int_equal(system(command), 0);

    struct jsense_conf large = conf;
    large.kernel = 17;
    fresh();
    assert_int_equal(prepare(&large, r), ERR_CONFIG);
    assert_non_null(strstr(e.text, "a.h5"));
}

static void test_unwritable_folder(void **state)
{
    (void)state;
    fresh();
    const char *path = scratch_path("scans/a.h5");
    struct scans s;
    struct refcache r[1];
    assert_int_equal(scans_find(&s, &path, 1, &e), 0);
    assert_int_equal(refcache_prepare(&s, scratch_path("scans/b.h5/cache"), &conf, true, r, &e),
                     -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "b.h5"));
    scans_release(&s);
}

/* A cache in the folder of the scans would replace them. */
static void test_scans_are_never_overwritten(void **state)
{
    (void)state;
    fresh();
    const char *folder = scratch_path("scans");
    ino_t before = made(scratch_path("scans/a.h5"));
    struct scans s;
    struct refcache r[2];
    assert_int_equal(scans_find(&s, &folder, 1, &e), 0);
    assert_int_equal(refcache_prepare(&s, folder, &conf, true, r, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "scans/a.h5"));
    assert_int_equal(made(scratch_path("scans/a.h5")), before);
    scans_release(&s);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    char command[512];
    snprintf(command, sizeof command, "cd '%s' && mv cache/deep/a.h5 one.h5", scratch);
    assert_int_equal(system(command), 0);
    par_set_threads(1);
    assert_int_equal(prepare(&conf, r), 0);
    par_set_threads(2);
    snprintf(command, sizeof command, "cd '%s' && cmp cache/deep/a.h5 one.h5", scratch);
    assert_int_equal(system(command), 0);
}

/* Last: the request to stop stays. */
static void test_stop(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    const char *folder = scratch_path("scans");
    struct scans s;
    assert_int_equal(scans_find(&s, &folder, 1, &e), 0);
    stop_on_signals();
    raise(SIGTERM);
    assert_true(stop_requested());
    assert_int_equal(refcache_prepare(&s, scratch_path("cache/deep"), &conf, true, r, &e), -1);
    scans_release(&s);
    assert_int_equal(e.code, ERR_STOPPED);
    assert_non_null(strstr(e.text, "SIGTERM"));
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls -A '%s/cache/deep')\"", scratch);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_the_references),
        cmocka_unit_test(test_reuse_and_staleness),
        cmocka_unit_test(test_damage_is_mended),
        cmocka_unit_test(test_a_bad_scan),
        cmocka_unit_test(test_unwritable_folder),
        cmocka_unit_test(test_scans_are_never_overwritten),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
