#include "base/mem.h"
#include "base/par.h"
#include "data/coils_sim.h"
#include "data/fft.h"
#include "data/phantom.h"
#include "data/scans.h"
#include "scratch.h"

#include <math.h>

static struct err e;

static struct phantom_conf small(void)
{
    return (struct phantom_conf){.out = scratch,
                                 .scans = 2,
                                 .seed = 5,
                                 .slices = 3,
                                 .coils = 4,
                                 .size = 64,
                                 .snr = 30,
                                 .texture = 1};
}

static struct phantom *scan_new(const struct phantom_conf *c, int scan)
{
    struct phantom *p = phantom_new(c, scan, &e);
    if (!p) fail_msg("%s", e.text);
    return p;
}

static const char *written(const char *name, struct phantom_conf c, int scan)
{
    const char *path = scratch_path(name);
    struct phantom *p = scan_new(&c, scan);
    if (phantom_write(p, path, NULL, NULL, &e)) fail_msg("%s", e.text);
    phantom_free(p);
    return path;
}

static char *bytes_of(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *b = mem_new(*n, 1, &e);
    assert_int_equal(fread(b, 1, *n, f), *n);
    fclose(f);
    return b;
}

static bool same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    bool same = n == m && memcmp(x, y, n) == 0;
    mem_free(x);
    mem_free(y);
    return same;
}

static float complex *kspace_of(const char *path, size_t *n)
{
    struct h5_info info;
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    assert_int_equal(h5_describe(f, "kspace", &info, &e), 0);
    *n = (size_t)(info.dim[0] * info.dim[1] * info.dim[2] * info.dim[3]);
    float complex *k = mem_new(*n, sizeof *k, &e);
    assert_int_equal(h5_read_c64(f, "kspace", 4, NULL, info.dim, k, &e), 0);
    h5_close(f);
    return k;
}

static float *rss_of(const char *path, int slices, int size)
{
    const int64_t dim[3] = {slices, size, size};
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    float *x = mem_new((size_t)slices * (size_t)size * (size_t)size, sizeof *x, &e);
    assert_int_equal(h5_read_f32(f, "reconstruction_rss", 3, NULL, dim, x, &e), 0);
    h5_close(f);
    return x;
}

static void test_bytes_follow_from_the_seed(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    par_set_threads(1);
    const char *one = written("one.h5", c, 1);
    par_set_threads(2);
    const char *two = written("two.h5", c, 1);
    assert_true(same_files(one, two));
    c.scans = 7; /* a scan does not depend on how many there are */
    assert_true(same_files(one, written("seven.h5", c, 1)));
    assert_false(same_files(one, written("other.h5", c, 3)));
    c.seed++;
    assert_false(same_files(one, written("seed.h5", c, 1)));
}

/* The stored references against a transform by definition of what matters: the same k-space, in
 * double. */
static void test_references_are_those_of_the_kspace(void **state)
{
    (void)state;
    enum { R = 128, W = 74, N = 64, C = 4, S = 3 };
    const char *path = written("rss.h5", small(), 0);
    size_t n;
    float complex *k = kspace_of(path, &n);
    assert_int_equal(n, (size_t)S * C * R * W);
    float *rss = rss_of(path, S, N);
    struct fft2 *fft = fft2_new(R, W, &e);
    double worst = 0, max = 0, power = 0;
    for (int s = 0; s < S; s++) {
        for (int i = 0; i < C; i++)
            fft2_inverse(fft, k + (size_t)(s * C + i) * R * W);
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                double sum = 0, got = rss[(s * N + y) * N + x];
                for (int i = 0; i < C; i++) {
                    size_t at = (size_t)(s * C + i) * R * W + (size_t)((y + 32) * W + x + 5);
                    sum += pow(cabs(k[at]), 2);
                }
                worst = fmax(worst, fabs(sqrt(sum) - got));
                max = fmax(max, got);
                power += got * got;
            }
    }
    assert_true(max > 1e-4 && max < 2e-3); /* fastMRI's scale */
    assert_true(worst < 1e-5 * max);
    struct h5 *f = h5_open(path, &e);
    double v;
    assert_int_equal(h5_attr_f64(f, "/", "max", &v, &e), 0);
    assert_true(fabs(v - max) < 1e-9 * max);
    assert_int_equal(h5_attr_f64(f, "/", "norm", &v, &e), 0);
    assert_true(fabs(v - sqrt(power)) < 1e-6 * v);
    h5_close(f);
    fft2_free(fft);
    mem_free(k);
    mem_free(rss);
}

/* The same scan with almost no noise: the difference is the noise, and has to be as asked for. */
static void test_noise_is_as_asked(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    size_t n;
    float complex *k = kspace_of(written("noisy.h5", c, 0), &n);
    c.snr = 1e6;
    float complex *clean = kspace_of(written("clean.h5", c, 0), &n);
    c.snr = 30;
    struct phantom *p = scan_new(&c, 0);
    const double sd = phantom_noise_sd(p);
    phantom_free(p);
    double sum = 0, re2 = 0, im2 = 0, cross = 0, next = 0, coil = 0;
    const size_t stride = n / 12;
    for (size_t i = 0; i + stride < n; i++) {
        double complex d = k[i] - clean[i], d1 = k[i + 1] - clean[i + 1];
        sum += creal(d) + cimag(d);
        re2 += creal(d) * creal(d);
        im2 += cimag(d) * cimag(d);
        cross += creal(d) * cimag(d);
        next += creal(d * conj(d1));
        coil += creal(d * conj((double complex)k[i + stride] - clean[i + stride]));
    }
    const double m = (double)(n - stride), var = sd * sd, five = 5 / sqrt(m); /* standard errors */
    assert_true(fabs(re2 / m / var - 1) < 1.5 * five && fabs(im2 / m / var - 1) < 1.5 * five);
    assert_true(fabs(sum / m / sd) < 1.5 * five && fabs(cross / m / var) < five);
    assert_true(fabs(next / m / var) < 1.5 * five && fabs(coil / m / var) < 1.5 * five);
    mem_free(k);
    mem_free(clean);
}

/* Noise in the air of the coil images, without knowledge of the clean scan. */
static void test_background_is_noise(void **state)
{
    (void)state;
    enum { R = 128, W = 128, C = 4 };
    struct phantom_conf c = small();
    c.width = W;
    c.snr = 8;
    size_t n;
    float complex *k = kspace_of(written("air.h5", c, 0), &n);
    struct phantom *p = scan_new(&c, 0);
    struct fft2 *fft = fft2_new(R, W, &e);
    double power = 0, count = 0;
    for (int i = 0; i < C; i++) {
        float complex *x = k + (size_t)i * R * W;
        fft2_inverse(fft, x);
        for (int y = 32; y < 96; y++)
            for (int j = 0; j < 20; j++, count += 2) /* more than 95 mm from the axis: air */
                power += pow(cabs(x[y * W + j]), 2);
    }
    assert_true(fabs(sqrt(power / count) / phantom_noise_sd(p) - 1) < 0.03);
    phantom_free(p);
    fft2_free(fft);
    mem_free(k);
}

static void test_sensitivities_are_smooth(void **state)
{
    (void)state;
    enum { H = 64, W = 64 };
    const float mm = 2.5f;
    static float complex map[H * W];
    for (int coils = 1; coils <= 32; coils += 31) {
        struct coil_array a;
        coil_array_draw(&a, coils, rng_make(3, RNG_TEST, 0, (uint32_t)coils));
        struct fft2 *fft = fft2_new(H, W, &e);
        double centre = 0;
        for (int i = 0; i < coils; i++) {
            assert_int_equal(coil_map(&a, i, 7, H, W, mm, map, &e), 0);
            double worst = 0, peak = 0, low = 0, all = 0;
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    struct vec3 at = {(float)(x - W / 2) * mm, 7, (float)(H / 2 - y) * mm};
                    float complex s = coil_at(&a, i, at);
                    if (fabsf(at.x) < 72) /* the leg; the wires are at 92 */
                        worst = fmax(worst, (double)cabsf(s - map[y * W + x]));
                    peak = fmax(peak, (double)cabsf(s));
                    double window = sin(M_PI * (x + 0.5) / W) * sin(M_PI * (y + 0.5) / H);
                    map[y * W + x] *= (float)(window * window);
                }
            assert_true(worst < 1e-3 * peak);
            fft2_forward(fft, map);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    double s = pow(cabs(map[y * W + x]), 2);
                    all += s;
                    if (abs(x - W / 2) <= 5 && abs(y - H / 2) <= 5) low += s;
                }
            assert_true(low > 0.999 * all);
            centre += pow(cabs(coil_at(&a, i, (struct vec3){0, 0, 0})), 2);
        }
        assert_true(fabs(centre - 1) < 1e-5);
        fft2_free(fft);
    }
}

enum kind { FAT, MUSCLE, FLUID, KINDS };

/* What a pixel is made of, or KINDS for mixtures. */
static enum kind kind_of(struct amplitude a)
{
    if (a.fat > 0.55f) return FAT;
    if (a.fat < 0.01f && a.water > 0.55f) return FLUID;
    if (a.fat < 0.04f && a.water > 0.2f && a.water < 0.34f) return MUSCLE;
    return KINDS;
}

static void test_fat_suppression(void **state)
{
    (void)state;
    enum { N = 160, S = 4 };
    struct phantom_conf c = small();
    c.size = N;
    c.slices = S;
    c.snr = 1e4;
    double mean[2][KINDS] = {{0}}, count[KINDS] = {0};
    for (int fs = 0; fs < 2; fs++) {
        c.contrast = fs ? PHANTOM_FS : PHANTOM_NON_FS;
        struct phantom *p = scan_new(&c, 0);
        assert_int_equal(phantom_contrast(p), fs ? CONTRAST_FS : CONTRAST_NON_FS);
        float *rss = rss_of(written(fs ? "fs.h5" : "non.h5", c, 0), S, N);
        for (int i = 0; i < S * N * N; i++) {
            enum kind t = kind_of(phantom_tissue(p, i / N / N, i / N % N, i % N));
            if (t == KINDS) continue;
            mean[fs][t] += rss[i];
            count[t] += fs;
        }
        mem_free(rss);
        phantom_free(p);
    }
    for (int t = 0; t < KINDS; t++)
        assert_true(count[t] > 50);
    for (int fs = 0; fs < 2; fs++)
        for (int t = 0; t < KINDS; t++)
            mean[fs][t] /= count[t];
    assert_true(mean[0][FAT] > 1.5 * mean[0][MUSCLE]); /* without: fat is bright */
    assert_true(mean[1][FAT] < 0.35 * mean[0][FAT]);   /* with: fat is gone, the rest stays */
    assert_true(mean[1][FAT] > 0.05 * mean[0][FAT]);   /* but not all of it */
    assert_true(fabs(mean[1][MUSCLE] / mean[0][MUSCLE] - 1) < 0.15);
    assert_true(mean[1][FLUID] > 1.2 * mean[1][MUSCLE] && mean[1][FLUID] > 2 * mean[1][FAT]);
}

static void test_header_and_layout(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    c.width = 80;
    c.readout = 100;
    c.padding = 7;
    const char *path = written("layout.h5", c, 1);
    struct scan s;
    assert_int_equal(scan_probe(&s, path, &e), 0);
    assert_true(s.slices == 3 && s.coils == 4 && s.readout == 100 && s.phase == 80);
    assert_true(s.height == 64 && s.width == 64 && s.has_target);
    assert_int_equal(s.contrast, CONTRAST_FS);
    struct h5 *f = h5_open(path, &e);
    char *xml = h5_read_text(f, "ismrmrd_header", &e), *word = NULL;
    assert_non_null(xml);
    assert_non_null(strstr(xml, "<encodedSpace><matrixSize><x>100</x><y>80</y><z>1</z>"));
    assert_non_null(strstr(xml, "<reconSpace><matrixSize><x>64</x><y>64</y><z>1</z>"));
    /* fastMRI: padding_left = y / 2 - center; padding_right = padding_left + maximum + 1 */
    assert_non_null(strstr(xml, "<maximum>65</maximum><center>33</center>"));
    mem_free(xml);
    assert_non_null(word = h5_attr_text(f, "/", "patient_id", &e));
    assert_int_equal(strspn(word, "0123456789abcdef"), 64);
    mem_free(word);
    assert_non_null(word = h5_attr_text(f, "/", "source", &e));
    assert_string_equal(word, "simulated");
    mem_free(word);
    assert_non_null(word = h5_attr_text(f, "/", "simulated", &e));
    assert_non_null(strstr(word, "seed 5, scan 1"));
    mem_free(word);
    h5_close(f);
    size_t n;
    float complex *k = kspace_of(path, &n);
    for (size_t i = 0; i < n; i++)
        assert_true((k[i] == 0) == (i % 80 < 7 || i % 80 >= 73));
    mem_free(k);
}

static void test_run_refuses_to_overwrite(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    char before[256];
    c.out = strcpy(before, scratch_path("deep/er"));
    c.slices = 1;
    c.coils = 1;
    char second[300];
    snprintf(second, sizeof second, "%s/knee-%d-0001.h5", c.out, (int)c.seed);
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    assert_int_equal(access(second, R_OK), 0);
    size_t n;
    char *old = bytes_of(second, &n);
    c.snr = 60;
    assert_int_equal(phantom_run(&c, true, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "-0000.h5"));
    assert_non_null(strstr(e.hint, "--overwrite"));
    size_t m;
    char *now = bytes_of(second, &m);
    assert_true(n == m && memcmp(now, old, n) == 0);
    mem_free(now);
    c.overwrite = true;
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    now = bytes_of(second, &m);
    assert_true(m == n && memcmp(now, old, n) != 0);
    mem_free(now);
    mem_free(old);
}

static void test_refuses_what_cannot_be(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    c.readout = 63;
    assert_null(phantom_new(&c, 0, &e));
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "readout"));
    c = small();
    c.width = 40;
    assert_int_equal(phantom_run(&c, true, &e), -1);
    assert_non_null(strstr(e.text, "width"));
    c = small();
    c.padding = 19;
    assert_int_equal(phantom_check(&c, &e), -1);
    assert_non_null(strstr(e.text, "padding"));
    c = small();
    c.out = "/proc/nowhere";
    assert_int_equal(phantom_run(&c, true, &e), -1);
    assert_int_equal(e.code, ERR_IO);
}

/* The command itself: exit codes and what it leaves behind. */
static void test_command(void **state)
{
    (void)state;
    const char *build = getenv("SSFD_BUILD");
    if (!build) skip();
    char line[1024];
    static const struct {
        const char *words;
        int code;
    } runs[] = {
        {"--scans 2 --slices 2 --coils 2 --size 32 --seed 9 --quiet --threads 1", 0},
        {"--scans 2 --slices 2 --coils 2 --size 32 --seed 9 --quiet", ERR_USAGE}, /* exists */
        {"--scans 2 --slices 2 --coils 2 --size 32 --seed 9 --quiet --overwrite true", 0},
        {"--scans none", ERR_USAGE},
        {"--size 64 --width 32", ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        snprintf(line, sizeof line, "'%s/src/data/make-scans' '%s/cli' %s >'%s/out' 2>&1", build,
                 scratch, runs[i].words, scratch);
        int rc = system(line);
        assert_true(WIFEXITED(rc));
        if (WEXITSTATUS(rc) != runs[i].code) fail_msg("'%s' exits %d", line, WEXITSTATUS(rc));
    }
    char folder[128];
    snprintf(folder, sizeof folder, "%s/cli", scratch);
    const char *paths[] = {folder};
    struct scans s;
    assert_int_equal(scans_find(&s, paths, 1, &e), 0);
    assert_int_equal(s.n, 2);
    scans_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_follow_from_the_seed),
        cmocka_unit_test(test_references_are_those_of_the_kspace),
        cmocka_unit_test(test_noise_is_as_asked),
        cmocka_unit_test(test_background_is_noise),
        cmocka_unit_test(test_sensitivities_are_smooth),
        cmocka_unit_test(test_fat_suppression),
        cmocka_unit_test(test_header_and_layout),
        cmocka_unit_test(test_run_refuses_to_overwrite),
        cmocka_unit_test(test_refuses_what_cannot_be),
        cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
