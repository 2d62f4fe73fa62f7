#include "base/par.h"
#include "data/coils_sim.h"
#include "data/fft.h"
#include "data/phantom_slot.h"
#include "data/scans.h"
#include "phantom_files.h"

#include <math.h>
#include <sys/wait.h>

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
            assert_int_equal(coil_map(&a, i, 7, H, W, mm, mm, map, &e), 0);
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
    enum { N = 160, S = 8 };
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

/* On the axis of a circle of radius a, at a distance z from its plane, the field is
 * 2 pi a^2 / (a^2 + z^2)^1.5 in units of mu_0 I / 4 pi; here of 24 straight pieces 5 mm thick. */
static void test_field_of_a_loop(void **state)
{
    (void)state;
    struct coil_array a;
    coil_array_draw(&a, 1, rng_make(3, RNG_TEST, 0, 0));
    const struct coil *c = &a.coil[0];
    for (double z = 5; z < 120; z += 5) {
        struct vec3 p = {c->at.x - (float)(z * cos(c->angle)), c->at.y - (float)(z * sin(c->angle)),
                         c->at.z};
        double exact = 2 * M_PI * pow(c->radius, 2) / pow(pow(c->radius, 2) + z * z + 25, 1.5);
        double complex got = (double complex)(coil_at(&a, 0, p) / c->gain);
        assert_true(fabs(cabs(got) / exact - 1) < 2e-5);
        /* towards the axis of the array or away from it: Bx - i By turns against the angle */
        double complex turned = got * cexp(I * (double)c->angle);
        assert_true(fabs(cimag(turned)) < 1e-4 * cabs(turned));
    }
}

/* A slice is the mean over its thickness and a voxel over its sides: against thin slices and small
 * voxels of the same knee. */
static void test_partial_volume(void **state)
{
    (void)state;
    enum { N = 64, FINE = 256, F = FINE / N, THIN = 16 };
    struct phantom_conf c = small();
    c.slices = 1;
    c.coils = 1;
    c.snr = 1e6;
    c.slice_mm = 8;
    c.readout = c.width = N;
    c.contrast = PHANTOM_NON_FS;
    struct phantom *p = scan_new(&c, 0);
    p->fat_shift_mm = 0;
    struct slot s;
    assert_int_equal(slot_init(&s, p, &e), 0);
    assert_int_equal(slot_simulate(&s, p, 0), 0);
    const float *thick = s.rss;
    struct coil_array a;
    coil_array_draw(&a, 1, rng_make(c.seed, RNG_SIMULATE, 0, 1));
    double error = 0, power = 0, point_error = 0, gain = 0, sum = 0;
    static double mean[N * N], point[N * N], got[N * N];
    for (int i = 6; i < N - 6; i++)
        for (int j = 6; j < N - 6; j++) {
            const int at = i * N + j;
            struct vec3 w = {(float)(j - N / 2) * 140 / N, 0, (float)(N / 2 - i) * 140 / N};
            for (int k = 0; k < THIN * F * F; k++) {
                struct vec3 v = w;
                v.x += ((float)(k % F) - 0.5f * (F - 1)) * 140 / FINE;
                v.z += ((float)(k / F % F) - 0.5f * (F - 1)) * 140 / FINE;
                v.y += ((float)(k / F / F) + 0.5f - 0.5f * THIN) * 8 / THIN;
                struct amplitude m = phantom_object(p, v, 0.1f);
                mean[at] += (double)(m.water + m.fat) / (THIN * F * F);
            }
            struct amplitude m = phantom_tissue(p, 0, i, j);
            point[at] = (double)(m.water + m.fat);
            got[at] = thick[at] / (double)cabsf(coil_at(&a, 0, w));
            gain += got[at];
            sum += mean[at];
        }
    gain /= sum;
    /* over blocks of voxels: the truncation of k-space rings from one to the next */
    for (int i = 6; i < N - 9; i += 4)
        for (int j = 6; j < N - 9; j += 4) {
            double block[3] = {0};
            for (int k = 0; k < 16; k++) {
                const int at = (i + k / 4) * N + j + k % 4;
                block[0] += got[at] / gain;
                block[1] += mean[at];
                block[2] += point[at];
            }
            error += pow(block[0] - block[1], 2);
            point_error += pow(block[2] - block[1], 2);
            power += block[1] * block[1];
        }
    slot_release(&s);
    phantom_free(p);
    assert_true(sqrt(error / power) < 0.02);
    assert_true(error < 0.5 * point_error);
}

/* What a preset says is what the file has. */
static void test_presets(void **state)
{
    (void)state;
    static const struct {
        int preset, size, slices, coils, readout, width, left, right;
    } as[] = {
        {PRESET_DEMO, 160, 8, 8, 320, 184, 0, 184},
        {PRESET_SMALL, 320, 8, 8, 320, 320, 0, 320},
        {PRESET_FULL, 320, 35, 15, 640, 368, 18, 350},
        {PRESET_FULL, 32, 35, 15, 64, 36, 2, 35},
    };
    for (size_t i = 0; i < sizeof as / sizeof *as; i++) {
        struct phantom_conf c = {.preset = as[i].preset, .size = as[i].size, .padding = -1};
        struct phantom_shape s = phantom_shape(&c, 0);
        assert_true(s.slices == as[i].slices && s.coils == as[i].coils);
        assert_true(s.readout == as[i].readout && s.width == as[i].width);
        assert_true(s.left == as[i].left && s.right == as[i].right);
    }
    /* widths and their acquired columns as fastMRI has them: y / 2 - center, + maximum + 1 */
    static const int known[][3] = {{368, 18, 350}, {372, 19, 354}, {320, 16, 304},
                                   {322, 16, 306}, {400, 20, 380}, {388, 19, 369}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct phantom_conf c = {
            .preset = PRESET_FULL, .size = 320, .padding = -1, .width = known[i][0]};
        struct phantom_shape s = phantom_shape(&c, 0);
        assert_true(s.left == known[i][1] && s.right == known[i][2]);
    }
    int seen[512] = {0}, fewest = 99, most = 0;
    for (int i = 0; i < 400; i++) {
        struct phantom_conf c = {.preset = PRESET_FASTMRI, .size = 320, .padding = -1, .seed = 3};
        struct phantom_shape s = phantom_shape(&c, i);
        seen[s.width]++;
        fewest = s.slices < fewest ? s.slices : fewest;
        most = s.slices > most ? s.slices : most;
        assert_true(s.readout == 640 && s.coils == 15 && s.left > 0 && s.right <= s.width);
    }
    assert_true(abs(seen[368] - 214) < 50 && abs(seen[372] - 164) < 50); /* of 400, 5 sigma */
    assert_true(fewest == 30 && most == 40);
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

static void test_run_keeps_what_is_there(void **state)
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
    struct stat was, is;
    assert_int_equal(stat(second, &was), 0);
    c.scans = 3; /* what is there with the same parameters is kept, the rest is made */
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    assert_int_equal(stat(second, &is), 0);
    assert_true(was.st_ino == is.st_ino && was.st_mtim.tv_nsec == is.st_mtim.tv_nsec);
    c.scans = 2;
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

/* A scan that was cut short is called damaged and made again on demand; temporary files of the dead
 * go, those of the living stay. */
static void test_what_broken_runs_leave(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    char folder[256], first[300], dead[400], mine[400];
    c.out = strcpy(folder, scratch_path("broken"));
    c.scans = c.slices = c.coils = 1;
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    snprintf(first, sizeof first, "%s/knee-%d-0000.h5", c.out, (int)c.seed);
    const pid_t child = fork();
    if (child == 0) _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(dead, sizeof dead, "%s.%ld.tmp", first, (long)child);
    snprintf(mine, sizeof mine, "%s.%ld-77.tmp", first, (long)getpid());
    fclose(fopen(dead, "w"));
    fclose(fopen(mine, "w"));
    size_t n;
    char *whole = bytes_of(first, &n);
    assert_int_equal(truncate(first, (off_t)n / 2), 0);
    assert_int_equal(phantom_run(&c, true, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "damaged"));
    assert_null(strstr(e.text, "other parameters"));
    assert_non_null(strstr(e.hint, "--overwrite true"));
    assert_int_equal(access(dead, F_OK), 0); /* nothing was made, nothing is touched */
    c.overwrite = true;
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    size_t m;
    char *again = bytes_of(first, &m);
    assert_true(n == m && memcmp(whole, again, n) == 0);
    assert_int_equal(access(dead, F_OK), -1);
    assert_int_equal(access(mine, F_OK), 0);
    fclose(fopen(dead, "w"));
    if (phantom_run(&c, true, &e)) fail_msg("%s", e.text);
    assert_int_equal(access(dead, F_OK), -1); /* also beside a scan that is kept */
    mem_free(whole);
    mem_free(again);
}

static void test_refuses_what_cannot_be(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    c.readout = 63;
    assert_null(phantom_new(&c, NULL, 0, &e));
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
    assert_non_null(strstr(e.text, "38 together")); /* of 74 */
    assert_non_null(strstr(e.hint, "at most 18"));
    c.padding = 18;
    assert_int_equal(phantom_check(&c, &e), 0);
    c = small();
    char nowhere[256];
    c.out = strcpy(nowhere, scratch_path("no/room"));
    c.size = 1024;
    c.slices = 256;
    c.coils = COILS_SIM_MAX;
    c.scans = 1000;
    assert_int_equal(phantom_run(&c, true, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_int_equal(access(scratch_path("no"), F_OK), -1); /* no folder either */
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
        {"--scans 1 --slices 2 --coils 2 --size 32 --seed 9 --quiet --threads 1", 0},
        {"--scans 2 --slices 2 --coils 2 --size 32 --seed 9", 0},         /* the first is there */
        {"--scans 2 --slices 2 --coils 3 --size 32 --seed 9", ERR_USAGE}, /* others are there */
        {"--scans 2 --slices 2 --coils 3 --size 32 --seed 9 --overwrite true", 0},
        {"--defect spyke", ERR_USAGE},
        {"--defects 1.5", ERR_USAGE},
        {"--anatomy nowhere.nii", ERR_NOINPUT},
        {"--anatomy x.nii --contrast fs", ERR_USAGE},
        {"--preset huge", ERR_USAGE},
        {"--scans 500 --size 1024 --slices 256 --coils 64 --seed 8", ERR_IO}, /* no room */
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
    /* a signal in the middle of a scan, when its file has begun, leaves no part of it behind */
    snprintf(line, sizeof line,
             "d='%s/stopped'; mkdir \"$d\"; '%s/src/data/make-scans' \"$d\" --preset full --quiet "
             "2>'%s/out' & p=$!; n=0; until test -n \"$(ls \"$d\")\" || test $n = 600; "
             "do sleep 0.1; n=$((n + 1)); done; kill -INT $p; wait $p; "
             "test $? = %d && test $n -lt 600 && test -z \"$(ls \"$d\")\"",
             scratch, build, scratch, ERR_STOPPED);
    assert_int_equal(system(line), 0);
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
        cmocka_unit_test(test_field_of_a_loop),
        cmocka_unit_test(test_partial_volume),
        cmocka_unit_test(test_header_and_layout),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_run_keeps_what_is_there),
        cmocka_unit_test(test_what_broken_runs_leave),
        cmocka_unit_test(test_refuses_what_cannot_be),
        cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
