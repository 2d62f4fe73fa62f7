/* The operator N = A^H A against its definition in double precision and against the zero-filled
 * image, in images that are cropped, padded and mirrored; its adjoint; and what is refused. */
#include "data/acquisition.h"
#include "data/fft.h"
#include "undersampled.h"

enum { MOST = 24 * 24, COILS = 3 };

static const struct {
    const char *name;
    struct sizes sizes;
    int mask_on;
} cases[] = {
    {"same", {COILS, 16, 12, 16, 12, 16, 12}, MASK_CROPPED},
    {"padded", {COILS, 20, 19, 14, 13, 18, 20}, MASK_CROPPED},
    {"odd", {COILS, 20, 18, 15, 14, 18, 19}, MASK_CROPPED},
    {"rows cropped", {COILS, 24, 20, 18, 16, 12, 24}, MASK_CROPPED},
    {"acquired", {COILS, 16, 13, 16, 13, 16, 13}, MASK_ACQUIRED},
    {"acquired and padded", {COILS, 20, 13, 14, 16, 10, 21}, MASK_ACQUIRED},
    {"acquired, rows padded", {COILS, 12, 14, 15, 14, 18, 16}, MASK_ACQUIRED},
};
enum { CASES = sizeof cases / sizeof *cases };

static const struct augment mirrors[] = {{.factor = 2},
                                         {.flip_y = true, .factor = 3},
                                         {.flip_x = true, .factor = 1},
                                         {.flip_y = true, .flip_x = true, .factor = 1}};
enum { MIRRORS = sizeof mirrors / sizeof *mirrors };

/* The scans of a case with one slice undersampled. */
struct bench {
    struct images im;
    struct mask_choice mask;
    struct undersample u;
    struct acquisition *a;
    int h, w;
    float complex zero[MOST];
    float *told;
};

/* Of the columns a third, or all. */
static void bench_open(struct bench *b, int k, int coils, bool whole)
{
    static int number;
    struct sizes z = cases[k].sizes;
    struct err e = {0};
    char name[32];
    z.coils = coils;
    snprintf(name, sizeof name, "bench%d", number++);
    open_one(&b->im, name, z);
    const struct images *sets[] = {&b->im};
    b->h = z.height;
    b->w = z.width;
    const int columns = cases[k].mask_on == MASK_ACQUIRED ? z.phase : z.w;
    b->mask =
        choose_mask("random", whole ? 1.0 : (double)columns / (columns / 3), cases[k].mask_on);
    if (undersample_init(&b->u, b->mask.conf, &b->im, &e) ||
        !(b->a = acquisition_new(b->mask.conf, sets, 1, &e)) ||
        undersample_slice(&b->u, 0, 1, mask_key_of_sample(5, (uint32_t)k, 0), b->zero, &e))
        fail_msg("%s: %s", cases[k].name, e.text);
    assert_int_equal(acquisition_planes(b->a), 1 + 2 * coils);
    b->told = mem_new((size_t)(b->h * b->w * (1 + 2 * coils)), sizeof *b->told, &e);
}

static void bench_close(struct bench *b)
{
    acquisition_free(b->a);
    undersample_release(&b->u);
    images_release(&b->im);
    cfg_free(b->mask.cfg);
    mem_free(b->told);
}

static void apply(const struct bench *b, const float complex *x, float complex *y)
{
    static _Alignas(64) float complex line[MOST];
    for (int i = 0; i < b->h; i++)
        acquisition_row(b->a, b->told, b->h, b->w, i, (const float *)(x + i * b->w),
                        (float *)(y + i * b->w), (float *)line);
}

static void fill(float complex *x, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        const float re = scratch_noise(&seed);
        x[i] = re + scratch_noise(&seed) * I;
    }
}

static double distance(const float complex *x, const float complex *y, int n)
{
    double sum = 0, size = 0;
    for (int i = 0; i < n; i++) {
        sum += pow(cabs((double complex)x[i] - (double complex)y[i]), 2);
        size += pow(cabs((double complex)y[i]), 2);
    }
    return sqrt(sum / size);
}

/* N x by the definition, on what the reference's size leaves of the image: x to (h, w), of every
 * coil the centred transform of each row of what was acquired, the mask, back, and to the image. */
static void naive(struct bench *b, const float complex *x, float complex *y)
{
    const struct scan *s = b->im.scans.list;
    const int h = s->height, w = s->width;
    int mask_h, n;
    zerofill_mask_size(b->u.conf.mask_on, s, &mask_h, &n);
    static float complex inside[MOST], maps[COILS * MOST], sum[MOST], coil[MOST], grid[MOST];
    image_fit(x, b->h, b->w, inside, h, w);
    memcpy(maps, zerofill_maps(&b->u.zerofill), (size_t)(s->coils * h * w) * sizeof *maps);
    memset(sum, 0, sizeof sum);
    for (int c = 0; c < s->coils; c++) {
        for (int i = 0; i < h * w; i++)
            coil[i] = maps[c * h * w + i] * inside[i];
        image_fit(coil, h, w, grid, mask_h, n);
        for (int i = 0; i < mask_h; i++) {
            double complex k[24] = {0};
            for (int f = 0; f < n; f++)
                for (int j = 0; j < n && b->u.keep[f] != 0.0f; j++)
                    k[f] += (double complex)grid[i * n + j] *
                            cexp(-2 * M_PI * (f - n / 2) * (j - n / 2) / n * I) / n;
            for (int j = 0; j < n; j++) {
                double complex v = 0;
                for (int f = 0; f < n; f++)
                    v += k[f] * cexp(2 * M_PI * (f - n / 2) * (j - n / 2) / n * I);
                grid[i * n + j] = (float complex)v;
            }
        }
        image_fit(grid, mask_h, n, coil, h, w);
        for (int i = 0; i < h * w; i++)
            sum[i] += conjf(maps[c * h * w + i]) * coil[i];
    }
    image_fit(sum, h, w, y, b->h, b->w);
}

static void the_operator_is_its_definition(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct bench b;
        float complex x[MOST], want[MOST], flipped[MOST], y[MOST], back[MOST];
        bench_open(&b, k, COILS, false);
        fill(x, b.h * b.w, (uint32_t)k);
        naive(&b, x, want);
        for (int m = 0; m < MIRRORS; m++) {
            struct augment a = mirrors[m]; /* the factor is of images, not of N */
            acquisition_describe(b.a, &b.u, 0, &a, b.told);
            a.factor = 1;
            augment_apply(&a, (const float *)x, b.h, b.w, 2, (float *)flipped);
            apply(&b, flipped, y);
            augment_apply(&a, (const float *)y, b.h, b.w, 2, (float *)back);
            if (!(distance(back, want, b.h * b.w) < 1e-6))
                fail_msg("%s, mirror %d: off by %g", cases[k].name, m,
                         distance(back, want, b.h * b.w));
        }
        bench_close(&b);
    }
}

/* <N x, y> = <x, N y>, and <N x, x> is a real number between 0 and <x, x>. */
static void the_operator_is_self_adjoint(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct bench b;
        float complex x[MOST], y[MOST], nx[MOST], ny[MOST];
        bench_open(&b, k, COILS, false);
        acquisition_describe(b.a, &b.u, 0, &mirrors[2], b.told);
        const int n = b.h * b.w;
        fill(x, n, 1);
        fill(y, n, 2);
        apply(&b, x, nx);
        apply(&b, y, ny);
        double complex left = 0, right = 0, own = 0;
        double size = 0;
        for (int i = 0; i < n; i++) {
            left += (double complex)nx[i] * conj((double complex)y[i]);
            right += (double complex)x[i] * conj((double complex)ny[i]);
            own += (double complex)nx[i] * conj((double complex)x[i]);
            size += pow(cabs((double complex)x[i]), 2);
        }
        assert_true(cabs(left - right) < 1e-5 * cabs(left));
        assert_true(fabs(cimag(own)) < 1e-6 * creal(own));
        assert_true(creal(own) > 0 && creal(own) < size);
        bench_close(&b);
    }
}

/* The image of one coil is its sensitivity times the reference, so that the zero-filled image is N
 * of the reference, whatever is cropped and padded. */
static void the_zero_filled_image_is_n_of_the_reference(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct bench b;
        float complex x[MOST], y[MOST];
        struct err e = {0};
        bench_open(&b, k, 1, false);
        acquisition_describe(b.a, &b.u, 0, &mirrors[0], b.told);
        assert_int_equal(images_read(&b.im, 1, x, &e), 0);
        apply(&b, x, y);
        if (!(distance(y, b.zero, b.h * b.w) < 1e-5))
            fail_msg("%s: off by %g", cases[k].name, distance(y, b.zero, b.h * b.w));
        bench_close(&b);
    }
}

/* With all samples and maps of unit root-sum-of-squares nothing is lost. */
static void all_samples_make_it_the_identity(void **state)
{
    (void)state;
    struct bench b;
    float complex x[MOST], y[MOST];
    bench_open(&b, 0, COILS, true);
    acquisition_describe(b.a, &b.u, 0, &mirrors[0], b.told);
    fill(x, b.h * b.w, 3);
    apply(&b, x, y);
    assert_true(distance(y, x, b.h * b.w) < 1e-6);
    bench_close(&b);
}

/* Coils that a scan lacks change no bit. */
static void scans_of_fewer_coils(void **state)
{
    (void)state;
    struct images im;
    struct err e = {0};
    char folder[256], path[300];
    snprintf(folder, sizeof folder, "%s", scratch_path("mixed"));
    mkdir(folder, 0777);
    for (int coils = 1; coils <= COILS; coils += 2) {
        struct sizes z = cases[0].sizes;
        z.coils = coils;
        snprintf(path, sizeof path, "%s/%d.h5", folder, coils);
        write_noise(path, z, 9);
    }
    open_images(&im, folder, 16, 12);
    struct mask_choice m = choose_mask("equispaced", 3, MASK_CROPPED);
    struct undersample u;
    const struct images *sets[] = {&im};
    struct acquisition *both = acquisition_new(m.conf, sets, 1, &e);
    struct acquisition *alone = acquisition_example(1, 12, &e);
    assert_non_null(both);
    assert_non_null(alone);
    assert_int_equal(acquisition_planes(both), 1 + 2 * COILS);
    assert_int_equal(undersample_init(&u, m.conf, &im, &e), 0);
    static _Alignas(64) float complex line[MOST];
    float complex zero[MOST], x[MOST], y[2][12];
    float told[2][7 * MOST];
    fill(x, 16 * 12, 4);
    for (size_t i = 0; i < 7 * MOST; i++)
        told[0][i] = told[1][i] = NAN;
    assert_int_equal(undersample_slice(&u, 0, 0, undersample_own_mask(&u, 0), zero, &e), 0);
    acquisition_describe(both, &u, 0, &mirrors[0], told[0]);
    acquisition_describe(alone, &u, 0, &mirrors[0], told[1]);
    acquisition_row(both, told[0], 16, 12, 5, (float *)(x + 60), (float *)y[0], (float *)line);
    acquisition_row(alone, told[1], 16, 12, 5, (float *)(x + 60), (float *)y[1], (float *)line);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_true(cabsf(y[0][6]) > 0.0f);
    acquisition_free(both);
    acquisition_free(alone);
    undersample_release(&u);
    cfg_free(m.cfg);
    images_release(&im);
}

static void refuses(const char *name, struct sizes z, const char *mask, int mask_on,
                    const char *text, const char *hint)
{
    struct images im;
    struct err e = {0};
    open_one(&im, name, z);
    struct mask_choice m = choose_mask(mask, 2, mask_on);
    const struct images *sets[] = {&im};
    assert_null(acquisition_new(m.conf, sets, 1, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    if (!strstr(e.text, text) || !strstr(e.text, name) || !strstr(e.hint, hint))
        fail_msg("%s; %s", e.text, e.hint);
    cfg_free(m.cfg);
    images_release(&im);
}

static void what_is_not_defined(void **state)
{
    (void)state;
    refuses("points", (struct sizes){2, 16, 16, 16, 16, 16, 16}, "poisson", MASK_CROPPED,
            "mask of columns", "drops columns");
    refuses("narrow", (struct sizes){2, 16, 16, 16, 16, 16, 14}, "random", MASK_CROPPED,
            "of 16 columns", "data.width to at least 16");
    refuses("oversampled", (struct sizes){2, 16, 20, 16, 16, 16, 16}, "random", MASK_ACQUIRED,
            "of 20 columns", "cropped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operator_is_its_definition),
        cmocka_unit_test(the_operator_is_self_adjoint),
        cmocka_unit_test(the_zero_filled_image_is_n_of_the_reference),
        cmocka_unit_test(all_samples_make_it_the_identity),
        cmocka_unit_test(scans_of_fewer_coils),
        cmocka_unit_test(what_is_not_defined),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
