/* fastMRI as it is: every shape of its knees and brains, masks, headers, and files that h5py wrote.
 */
#include "base/mem.h"
#include "data/reference.h"
#include "data/scan.h"
#include "scratch.h"

#include <math.h>

static struct err e;

/* ---- Shapes -------------------------------------------------------------------------------- */

struct shape {
    const char *acquisition;
    int coils;                         /* 0: singlecoil */
    int readout, phase, height, width; /* k-space; reconstruction */
    int centre, maximum;               /* encoding limits; maximum 0: none */
    int first, end;                    /* columns that follow from them */
    bool target;                       /* else the size is the header's alone */
};

static const struct shape shapes[] = {
    /* Knees: every width there is; all with 15 coils, of which all but one have two here, for
       speed. */
    {"CORPD_FBK", 15, 640, 368, 320, 320, 166, 331, 18, 350, true},
    {"CORPDFS_FBK", 2, 640, 372, 320, 320, 167, 334, 19, 354, true},
    {"CORPD_FBK", 2, 640, 320, 320, 320, 144, 287, 16, 304, true},
    {"CORPD_FBK", 2, 640, 322, 320, 320, 145, 289, 16, 306, true},
    {"CORPD_FBK", 2, 640, 338, 320, 320, 152, 304, 17, 322, true},
    {"CORPD_FBK", 2, 640, 388, 320, 320, 175, 349, 19, 369, true},
    {"CORPD_FBK", 2, 640, 386, 320, 320, 174, 347, 19, 367, true},
    {"CORPD_FBK", 2, 640, 400, 320, 320, 180, 359, 20, 380, true},
    {"CORPD_FBK", 2, 640, 356, 320, 320, 160, 319, 18, 338, true},
    {"CORPD_FBK", 2, 640, 370, 320, 320, 0, 0, 0, 370, true},
    {"CORPD_FBK", 2, 640, 418, 320, 320, 0, 0, 0, 418, true},
    {"CORPD_FBK", 2, 640, 454, 320, 320, 0, 0, 0, 454, true},
    {"CORPD_FBK", 2, 640, 480, 320, 320, 0, 0, 0, 480, true},
    {"CORPD_FBK", 2, 640, 482, 320, 320, 0, 0, 0, 482, true},
    {"CORPD_FBK", 2, 640, 550, 320, 320, 0, 0, 0, 550, true},
    {"CORPD_FBK", 2, 640, 640, 320, 320, 0, 0, 0, 640, true},
    {"CORPD_FBK", 2, 640, 644, 320, 320, 0, 0, 0, 644, true},
    {"CORPDFS_FBK", 0, 640, 368, 320, 320, 166, 331, 18, 350, true},
    {"CORPD_FBK", 0, 640, 372, 320, 320, 167, 334, 19, 354, false},
    /* Brains. */
    {"AXT2", 20, 640, 320, 320, 320, 160, 319, 0, 320, true},
    {"AXT2", 4, 768, 396, 384, 384, 0, 0, 0, 396, true},
    {"AXT1", 4, 512, 213, 256, 213, 106, 212, 0, 213, true},
    {"AXT1POST", 5, 640, 264, 320, 264, 132, 263, 0, 264, true},
    {"AXT1PRE", 12, 640, 264, 320, 264, 132, 263, 0, 264, false},
    {"AXFLAIR", 6, 640, 203, 320, 320, 101, 202, 0, 203, true}, /* narrower than the target */
    {"AXFLAIR", 4, 640, 203, 320, 320, 101, 202, 0, 203, false},
};

static void write_header(struct h5 *f, const struct shape *t)
{
    char xml[1024], limits[256] = "";
    if (t->maximum)
        snprintf(limits, sizeof limits,
                 "<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>%d</maximum>"
                 "<center>%d</center></kspace_encoding_step_1></encodingLimits>",
                 t->maximum, t->centre);
    snprintf(xml, sizeof xml,
             "<ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\"><encoding><encodedSpace>"
             "<matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize></encodedSpace><reconSpace>"
             "<matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize></reconSpace>%s</encoding>"
             "</ismrmrdHeader>",
             t->readout, t->phase, t->height, t->width, limits);
    assert_int_equal(h5_write_text(f, "ismrmrd_header", xml, &e), 0);
}

enum { DOWN = 20, RIGHT = -30 }; /* of the object, from the centre of the image, in pixels */

/* One axis of a Gaussian that is `by` off the centre, in k-space. */
static void gaussian(int n, int by, float complex *out)
{
    const double pi = 3.14159265358979323846, sigma = 6;
    for (int i = 0; i < n; i++) {
        double u = (double)(i - n / 2) / n;
        out[i] = (float)exp(-2 * pi * pi * sigma * sigma * u * u) *
                 cexpf(-2.0f * (float)(pi * u) * (float)by * I);
    }
}

/* As weak as fastMRI's numbers are; zero where nothing was acquired. */
static void fill(const struct shape *t, int coils, float complex *x)
{
    static float complex down[1024], right[1024];
    gaussian(t->readout, DOWN, down);
    gaussian(t->phase, RIGHT, right);
    for (int c = 0; c < coils; c++)
        for (int y = 0; y < t->readout; y++)
            for (int k = 0; k < t->phase; k++)
                *x++ = k < t->first || k >= t->end
                           ? 0
                           : 1e-4f * (float)(1 + c % 3) * down[y] * right[k];
}

static const char *write_shape(const struct shape *t, const char *name)
{
    const char *path = scratch_path(name);
    int coils = t->coils ? t->coils : 1, rank = t->coils ? 4 : 3;
    const int64_t four[4] = {1, coils, t->readout, t->phase}, three[3] = {1, t->readout, t->phase};
    const int64_t image[3] = {1, t->height, t->width};
    size_t n = (size_t)coils * (size_t)t->readout * (size_t)t->phase;
    float complex *x = mem_new(n, sizeof *x, &e);
    struct h5 *f = h5_create(path, &e);
    assert_true(x && f);
    fill(t, coils, x);
    assert_int_equal(h5_make(f, "kspace", H5_C64, rank, rank == 4 ? four : three, &e), 0);
    assert_int_equal(h5_write_c64(f, "kspace", rank, NULL, rank == 4 ? four : three, x, &e), 0);
    write_header(f, t);
    if (t->target) {
        assert_int_equal(h5_make(f, "reconstruction_rss", H5_F32, 3, image, &e), 0);
        if (!t->coils) assert_int_equal(h5_make(f, "reconstruction_esc", H5_F32, 3, image, &e), 0);
    }
    assert_int_equal(h5_set_attr_text(f, "/", "acquisition", t->acquisition, &e), 0);
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
    mem_free(x);
    return path;
}

/* Where the reference is brightest must be where the object was put, whatever was cropped or padded
 * (source index (n - m)/2 + i, fft.h); and with one coil the reference is the magnitude. */
static void check_reference(const struct scan *s, const struct shape *t)
{
    static const struct jsense_conf conf = {
        .kernel = 6, .calibration = 0.08, .iterations = 2, .inner_iterations = 3};
    struct reference r = {0};
    struct scan_file *f = scan_open(s, &e);
    float complex *raw =
        mem_new((size_t)s->coils * (size_t)s->readout * (size_t)s->phase, sizeof *raw, &e);
    if (!f || !raw || reference_init(&r, s, &conf, &e) || scan_read_kspace(s, f, 0, raw, &e) ||
        reference_make(&r, raw, NULL, &e))
        fail_msg("%s", e.text);
    size_t at = 0, n = (size_t)s->height * (size_t)s->width;
    for (size_t i = 0; i < n; i++) {
        if (cabsf(r.image[i]) > cabsf(r.image[at])) at = i;
        if (!t->coils) assert_float_equal(cabsf(r.image[i]), r.rss[i], 1e-4f * r.rss[at]);
    }
    assert_int_equal(at / (size_t)s->width, t->readout / 2 + DOWN - (t->readout - t->height) / 2);
    assert_int_equal(at % (size_t)s->width, t->phase / 2 + RIGHT - (t->phase - t->width) / 2);
    scan_close(f);
    mem_free(raw);
    reference_release(&r);
}

static void test_every_shape(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *t = shapes + i;
        struct scan s;
        if (scan_probe(&s, write_shape(t, "shape.h5"), &e) || scan_check_reference(&s, &e))
            fail_msg("%d columns: %s", t->phase, e.text);
        assert_true(s.slices == 1 && s.coils == (t->coils ? t->coils : 1));
        assert_true(s.readout == t->readout && s.phase == t->phase);
        assert_true(s.height == t->height && s.width == t->width && s.has_target == t->target);
        assert_int_equal(s.first_column, t->first);
        assert_int_equal(s.end_column, t->end);
        assert_string_equal(s.acquisition, t->acquisition);
        assert_int_equal(s.contrast, strstr(t->acquisition, "CORPDFS") ? CONTRAST_FS
                                     : strstr(t->acquisition, "CORPD") ? CONTRAST_NON_FS
                                                                       : CONTRAST_UNKNOWN);
        check_reference(&s, t);
    }
}

/* ---- Files by h5py ------------------------------------------------------------------------- */

static const char *golden(const char *name)
{
    static char path[512];
    const char *source = getenv("SSFD_SOURCE");
    snprintf(path, sizeof path, "%s/tests/data/golden/%s", source ? source : ".", name);
    return path;
}

static void test_files_of_h5py(void **state)
{
    (void)state;
    static const char *const files[] = {"fastmri-chunked.h5", "fastmri-fixed.h5",
                                        "fastmri-single.h5"};
    for (int i = 0; i < 3; i++) {
        struct scan s;
        bool single = strstr(files[i], "single");
        if (scan_probe(&s, golden(files[i]), &e)) fail_msg("%s", e.text);
        assert_true(s.slices == 2 && s.coils == (single ? 1 : 3) && s.readout == 8 && s.phase == 6);
        assert_true(s.height == 4 && s.width == 4 && s.has_target && !s.undersampled);
        assert_true(s.first_column == 1 && s.end_column == 6);
        assert_int_equal(s.contrast, CONTRAST_FS);
        assert_string_equal(s.patient, "abc");
        struct scan_file *f = scan_open(&s, &e);
        float complex k[3 * 8 * 6];
        if (!f || scan_read_kspace(&s, f, 1, k, &e)) fail_msg("%s", e.text);
        for (int c = 0; c < s.coils; c++)
            for (int y = 0; y < 8; y++)
                for (int x = 0; x < 6; x++)
                    assert_true(k[(c * 8 + y) * 6 + x] ==
                                (float)(1000 + 100 * c + 10 * y + x) + 0.5f * I);
        scan_close(f);
    }
}

/* Test and challenge files: read, and refused as references with what to use instead. */
static void test_masks_of_h5py(void **state)
{
    (void)state;
    static const char *const files[] = {"fastmri-mask-bool.h5", "fastmri-mask-f32.h5",
                                        "fastmri-mask-u8.h5"};
    for (int i = 0; i < 3; i++) {
        struct scan s;
        if (scan_probe(&s, golden(files[i]), &e)) fail_msg("%s", e.text);
        assert_true(s.undersampled && !s.has_target && s.height == 4);
        assert_string_equal(s.sampling, "its mask keeps 3 of 5 columns (1.67 x)");
        e = (struct err){0};
        assert_int_equal(scan_check_reference(&s, &e), -1);
        assert_int_equal(e.code, ERR_DATA);
        assert_non_null(strstr(e.text, files[i]));
        assert_non_null(strstr(e.hint, "train and val"));
    }
}

/* ---- Bad masks and headers ----------------------------------------------------------------- */

enum { H = 6, W = 4 };

static const char *write_small(const char *header, const float *mask, int64_t columns)
{
    const char *path = scratch_path("small.h5");
    const int64_t dim[4] = {1, 2, H, W};
    struct h5 *f = h5_create(path, &e);
    assert_non_null(f);
    assert_int_equal(h5_make(f, "kspace", H5_C64, 4, dim, &e), 0);
    if (header) assert_int_equal(h5_write_text(f, "ismrmrd_header", header, &e), 0);
    if (mask) {
        assert_int_equal(h5_make(f, "mask", H5_F32, 1, &columns, &e), 0);
        assert_int_equal(h5_write_f32(f, "mask", 1, NULL, &columns, mask, &e), 0);
    }
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
    return path;
}

static void refuses(const char *path, const char *text, const char *hint)
{
    struct scan s;
    e = (struct err){0};
    assert_int_equal(scan_probe(&s, path, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    if (!strstr(e.text, path)) fail_msg("'%s' does not name the file", e.text);
    if (!strstr(e.text, text)) fail_msg("'%s' does not contain '%s'", e.text, text);
    if (!strstr(e.hint, hint)) fail_msg("'%s' does not contain '%s'", e.hint, hint);
}

static void test_bad_masks(void **state)
{
    (void)state;
    const float half[W] = {0, 0.5f, 1, 1}, nan[W] = {0, NAN, 1, 1}, none[W] = {0},
                all[W] = {1, 1, 1, 1}, five[5] = {1, 0, 1, 0, 1};
    refuses(write_small(NULL, five, 5), "'mask' does not fit", "5 values, but 'kspace' has 4");
    refuses(write_small(NULL, five, 0), "'mask' does not fit", "0 values");
    refuses(write_small(NULL, half, W), "'mask' has 0.5 at column 1", "0 (not sampled)");
    refuses(write_small(NULL, nan, W), "'mask' has nan at column 1", "0 (not sampled)");
    refuses(write_small(NULL, none, W), "keeps no column", "damaged");
    struct scan s; /* a mask that keeps everything undersamples nothing */
    if (scan_probe(&s, write_small(NULL, all, W), &e)) fail_msg("%s", e.text);
    assert_false(s.undersampled);

    const int64_t dim[4] = {1, 2, H, W}, two[2] = {1, W};
    const char *path = scratch_path("rank.h5");
    struct h5 *f = h5_create(path, &e);
    assert_int_equal(h5_make(f, "kspace", H5_C64, 4, dim, &e), 0);
    assert_int_equal(h5_make(f, "mask", H5_F32, 2, two, &e), 0);
    assert_int_equal(h5_commit(f, &e), 0);
    h5_close(f);
    refuses(path, "'mask' does not fit", "4 zeros and ones");
}

#define SIZE(n) "<matrixSize><x>" #n "</x><y>" #n "</y></matrixSize>"
#define ENCODED(y, limits)                                                                         \
    "<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>6</x><y>" #y "</y></matrixSize>"        \
    "</encodedSpace>" limits "</encoding></ismrmrdHeader>"
#define LIMITS(lo, mid, hi)                                                                        \
    "<encodingLimits><kspace_encoding_step_1><minimum>" #lo "</minimum><maximum>" #hi              \
    "</maximum><center>" #mid "</center></kspace_encoding_step_1></encodingLimits>"

static void test_bad_headers(void **state)
{
    (void)state;
    refuses(write_small("<ismrmrdHeader>", NULL, 0), "'ismrmrd_header': line 1", "ISMRMRD header");
    refuses(write_small("<!DOCTYPE a [<!ENTITY b \"c\">]><ismrmrdHeader/>", NULL, 0), "DOCTYPE",
            "ISMRMRD header");
    refuses(write_small("<ismrmrdHeader><encoding><reconSpace>" SIZE(
                            30000) "</reconSpace></encoding></ismrmrdHeader>",
                        NULL, 0),
            "2 x 30000 x 30000 samples", "damaged");
    refuses(write_small(ENCODED(4, LIMITS(0, 2, 4)), NULL, 0), "reach beyond the 4 columns",
            "another scan");
    refuses(write_small(ENCODED(4, LIMITS(0, 3, 3)), NULL, 0), "reach beyond the 4 columns",
            "another scan");
    struct scan s; /* limits of another matrix do not concern these columns */
    if (scan_probe(&s, write_small(ENCODED(9, LIMITS(0, 4, 8)), NULL, 0), &e))
        fail_msg("%s", e.text);
    assert_true(s.first_column == 0 && s.end_column == W);
    if (scan_probe(&s, write_small(ENCODED(4, LIMITS(1, 2, 2)), NULL, 0), &e))
        fail_msg("%s", e.text);
    assert_true(s.first_column == 1 && s.end_column == 3);
    if (scan_probe(&s, write_small(NULL, NULL, 0), &e)) fail_msg("%s", e.text);
    assert_true(s.height == H && s.width == W && s.end_column == W);
}

/* A chunk that is not there any more: the header is whole, the samples are not. */
static void test_damaged_chunk(void **state)
{
    (void)state;
    char command[1200];
    snprintf(command, sizeof command, "cp '%s' '%s' && chmod u+w '%s'",
             golden("fastmri-chunked.h5"), scratch_path("chunk.h5"), scratch_path("chunk.h5"));
    assert_int_equal(system(command), 0);
    const char *path = scratch_path("chunk.h5");
    FILE *f = fopen(path, "r+"); /* compressed data begin with 78 */
    int last = -1, c, zlib = 0;
    for (long at = 0; (c = fgetc(f)) != EOF; at++) {
        if (last == 0x78 && (c == 0x5e || c == 0x9c || c == 0x01 || c == 0xda)) {
            fseek(f, at + 1, SEEK_SET);
            fputs("damage", f);
            fflush(f);
            fseek(f, at + 1, SEEK_SET);
            zlib++;
        }
        last = c;
    }
    fclose(f);
    assert_true(zlib >= 6);
    struct scan s;
    if (scan_probe(&s, path, &e)) fail_msg("%s", e.text);
    struct scan_file *k = scan_open(&s, &e);
    float complex x[3 * 8 * 6];
    assert_int_equal(scan_read_kspace(&s, k, 1, x, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "slice 1: "));
    assert_non_null(strstr(e.text, "chunk.h5: 'kspace' cannot be read"));
    scan_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape),   cmocka_unit_test(test_files_of_h5py),
        cmocka_unit_test(test_masks_of_h5py), cmocka_unit_test(test_bad_masks),
        cmocka_unit_test(test_bad_headers),   cmocka_unit_test(test_damaged_chunk),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
