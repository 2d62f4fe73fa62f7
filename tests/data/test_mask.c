/* Undersampling masks: exact acceleration, a full centre, refusal of the impossible, fastMRI's own
 * masks bit for bit, and no request that hangs. */
#include "data/mask.h"
#include "data/mt19937.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct asked { /* masks of a configuration in YAML */
    struct cfg *cfg;
    struct conf {
        struct cfg_pick mask;
    } conf;
    struct masks *masks;
};

static const struct cfg_field fields[] = {
    CFG_PICK(struct conf, mask, "random", mask_kinds, "undersampling"), CFG_END};

static struct asked ask(const char *mask)
{
    struct asked a = {0};
    struct err e = {0};
    char text[512];
    int n = snprintf(text, sizeof text, "mask: %s\n", mask);
    a.cfg = cfg_parse(fields, &a.conf, "mask", text, (size_t)n, NULL, 0, &e);
    if (!a.cfg) fail_msg("%s", e.text);
    a.masks = masks_new(a.conf.mask, NULL);
    assert_non_null(a.masks);
    return a;
}

static void end(struct asked *a)
{
    masks_free(a->masks);
    cfg_free(a->cfg);
}

static int count(const float *keep, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        assert_true(keep[i] == 0.0f || keep[i] == 1.0f);
        kept += keep[i] == 1.0f;
    }
    return kept;
}

static void random_columns(void **state)
{
    (void)state;
    enum { H = 3, W = 320 };
    struct asked a = ask("{kind: random, acceleration: 4, center_fraction: 0.08}");
    double outside[W] = {0};
    for (uint32_t k = 0; k < 500; k++) {
        float keep[H * W];
        assert_int_equal(masks_draw(a.masks, mask_key_of_sample(1, 0, k), H, W, keep, NULL), 0);
        assert_int_equal(count(keep, W), 80);
        for (int x = 0; x < W; x++) {
            assert_true(keep[x] == keep[W + x] && keep[x] == keep[2 * W + x]);
            outside[x] += (double)keep[x] / 500;
        }
    }
    /* fastMRI: 26 central columns [147, 173); the others with p = 54 / 294. */
    for (int x = 0; x < W; x++) {
        if (x >= 147 && x < 173)
            assert_true(outside[x] > 0.999);
        else
            assert_true(outside[x] > 0.10 && outside[x] < 0.27);
    }
    end(&a);
}

static void equispaced_columns(void **state)
{
    (void)state;
    enum { W = 368 };
    static const char *const asked[] = {
        "{kind: equispaced, acceleration: 4, calibration: 24}",
        "{kind: equispaced, acceleration: 8, center_fraction: 0.04}",
        "{kind: equispaced, acceleration: 1}",
    };
    static const int kept[] = {92, 46, 368}, low[] = {24, 15, 29};
    for (int i = 0; i < 3; i++) {
        struct asked a = ask(asked[i]);
        int hits[W] = {0}, first = (W - low[i] + 1) / 2;
        double spacing = kept[i] > low[i] ? (double)(W - low[i]) / (kept[i] - low[i]) : 0;
        for (uint32_t k = 0; k < 200; k++) {
            float keep[W];
            assert_int_equal(masks_draw(a.masks, mask_key_of_sample(3, 0, k), 1, W, keep, NULL), 0);
            assert_int_equal(count(keep, W), kept[i]);
            for (int x = 0, last = -1; x < W; x++) {
                hits[x] += keep[x] > 0.0f;
                if (x >= first && x < first + low[i])
                    assert_true(keep[x] == 1.0f);
                else if (keep[x] > 0.0f) {
                    bool same_side = last >= 0 && (last < first) == (x < first);
                    if (same_side) assert_true(fabs(x - last - spacing) < 1.0);
                    last = x;
                }
            }
        }
        for (int x = 0; x < W; x++)
            assert_true(hits[x] > 0); /* every offset occurs */
        end(&a);
    }
}

static double mean_of_ring(const float *keep, int h, int w, double from, double to)
{
    double sum = 0;
    int n = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double d = hypot(2.0 * (y - h / 2) / h, 2.0 * (x - w / 2) / w);
            if (d < from || d >= to) continue;
            sum += (double)keep[y * w + x];
            n++;
        }
    return sum / n;
}

static void poisson_points(void **state)
{
    (void)state;
    static const struct {
        const char *mask;
        int h, w, side_h, side_w;
        double acceleration;
    } all[] = {
        {"{kind: poisson, acceleration: 4}", 320, 320, 26, 26, 4},
        {"{kind: poisson, acceleration: 8, calibration: 20}", 200, 320, 20, 20, 8},
        {"{kind: poisson, acceleration: 12, growth: 0, corners: true}", 128, 96, 10, 8, 12},
        {"{kind: poisson, acceleration: 64, center_fraction: 0.02}", 320, 256, 6, 5, 64},
        {"{kind: poisson, acceleration: 1.3}", 64, 64, 5, 5, 1.3},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct asked a = ask(all[i].mask);
        int h = all[i].h, w = all[i].w;
        float *keep = malloc((size_t)(h * w) * sizeof *keep);
        assert_non_null(keep);
        for (uint32_t k = 0; k < 4; k++) {
            assert_int_equal(masks_draw(a.masks, mask_key_of_sample(1, 0, k), h, w, keep, NULL), 0);
            assert_int_equal(count(keep, h * w), (int)lround(h * w / all[i].acceleration));
            int top = (h - all[i].side_h + 1) / 2, left = (w - all[i].side_w + 1) / 2;
            for (int y = top; y < top + all[i].side_h; y++)
                for (int x = left; x < left + all[i].side_w; x++)
                    assert_true(keep[y * w + x] == 1.0f);
            if (i == 0 || i == 1) { /* dense inside, thin outside, nothing in the corners */
                double inner = mean_of_ring(keep, h, w, 0.2, 0.4);
                double outer = mean_of_ring(keep, h, w, 0.8, 1.0);
                assert_true(inner > 2.0 * outer && outer > 0.0);
                assert_true(mean_of_ring(keep, h, w, 1.001, 2.0) == 0.0);
            }
            if (i == 2) { /* uniform: no two of its points close together */
                const struct mask_plan *p = masks_plan(a.masks, h, w, NULL);
                assert_true(p->spacing > 2.0);
                int close = 0, taken = 0;
                for (int y = 1; y < h; y++)
                    for (int x = 1; x < w; x++) {
                        bool near_centre = abs(y - h / 2) < 9 && abs(x - w / 2) < 9;
                        taken += keep[y * w + x] > 0.0f;
                        close += !near_centre && keep[y * w + x] > 0.0f &&
                                 (keep[y * w + x - 1] > 0.0f || keep[(y - 1) * w + x] > 0.0f);
                    }
                assert_true(close * 100 < taken); /* those few were added for an exact number */
            }
        }
        free(keep);
        end(&a);
    }
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *mask;
        int h, w;
        const char *says;
    } all[] = {
        {"{kind: random, acceleration: 8, center_fraction: 0.2}", 10, 320, "centre alone"},
        {"{kind: random, acceleration: 4, calibration: 81}", 10, 320, "centre alone"},
        {"{kind: random, acceleration: 4, calibration: 4000}", 10, 320, "centre alone"},
        {"{kind: random, acceleration: 64, center_fraction: 0}", 10, 20, "cannot be met"},
        {"{kind: random, acceleration: 7, center_fraction: 0}", 10, 10, "cannot be met"},
        {"{kind: equispaced, acceleration: 8, center_fraction: 1}", 1, 1, "cannot be met"},
        {"{kind: poisson, acceleration: 1.1}", 320, 320, "ellipse"},
        {"{kind: poisson, acceleration: 20, center_fraction: 0.5}", 320, 320, "centre alone"},
        {"{kind: fastmri, accelerations: [4, 8]}", 1, 320, "as many"},
        {"{kind: fastmri, accelerations: [8], center_fractions: [0.2]}", 1, 320, "no column"},
        {"{kind: fastmri, type: equispaced, accelerations: [4.5]}", 1, 320, "whole number"},
        {"{kind: fastmri, type: equispaced, center_fractions: [1]}", 1, 320, "all of"},
        {"{kind: fastmri, type: equispaced_fraction, center_fractions: [0.25]}", 1, 320, "no col"},
        {"{kind: fastmri, type: magic_fraction, center_fractions: [0.5]}", 1, 320, "no column"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct asked a = ask(all[i].mask);
        struct err e = {0};
        assert_null(masks_plan(a.masks, all[i].h, all[i].w, &e));
        assert_int_equal(e.code, ERR_CONFIG);
        if (!strstr(e.text, all[i].says)) fail_msg("%s: %s", all[i].mask, e.text);
        float keep[1];
        assert_int_equal(
            masks_draw(a.masks, mask_key_of_file(1, "a.h5"), all[i].h, all[i].w, keep, NULL), -1);
        end(&a);
    }
}

/* Whatever is asked at whatever size, it ends: with a mask as promised, or with a reason. */
static void every_request_ends(void **state)
{
    (void)state;
    static const char *const kinds[] = {"random", "equispaced", "poisson", "fastmri"};
    static const double fraction[] = {0, 0.04, 0.3, 1}, acceleration[] = {1, 2.7, 8, 64};
    static const int side[] = {1, 2, 3, 17, 101};
    enum { LARGEST = 101 };
    int drawn = 0, refused = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                char text[256];
                snprintf(text, sizeof text,
                         k < 3 ? "{kind: %s, acceleration: %g, center_fraction: %g}"
                               : "{kind: %s, type: magic, accelerations: [%g], "
                                 "center_fractions: [%g]}",
                         kinds[k], acceleration[i], fraction[j]);
                struct asked a = ask(text);
                for (int y = 0; y < 5; y++)
                    for (int x = 0; x < 5; x++) {
                        float keep[LARGEST * LARGEST];
                        int h = side[y], w = side[x];
                        const struct mask_plan *p = masks_plan(a.masks, h, w, NULL);
                        refused += !p;
                        if (!p) continue;
                        drawn++;
                        struct mask_key key = mask_key_of_file(7, "x.h5");
                        assert_int_equal(masks_draw(a.masks, key, h, w, keep, NULL), 0);
                        int n = count(keep, h * w);
                        if (k < 3)
                            assert_true(fabs((double)(h * w) / n - acceleration[i]) <=
                                        0.02 * acceleration[i]);
                    }
                end(&a);
            }
    assert_true(drawn > 100 && refused > 100);
}

static void a_key_decides(void **state)
{
    (void)state;
    static const char *const kinds[] = {"random", "equispaced", "poisson",
                                        "{kind: fastmri, type: random}"};
    enum { H = 64, W = 64, N = H * W };
    for (int k = 0; k < 4; k++) {
        struct asked a = ask(kinds[k]), b = ask(kinds[k]);
        float x[N], y[N], z[N];
        masks_draw(b.masks, mask_key_of_sample(9, 9, 9), H, W, y, NULL); /* leaves no trace */
        masks_draw(a.masks, mask_key_of_file(1, "file1.h5"), H, W, x, NULL);
        masks_draw(b.masks, mask_key_of_file(1, "file1.h5"), H, W, y, NULL);
        masks_draw(b.masks, mask_key_of_file(1, "file2.h5"), H, W, z, NULL);
        assert_memory_equal(x, y, sizeof x);
        assert_memory_not_equal(x, z, sizeof x);
        masks_draw(a.masks, mask_key_of_sample(1, 0, 5), H, W, x, NULL);
        masks_draw(b.masks, mask_key_of_sample(1, 0, 5), H, W, y, NULL);
        masks_draw(b.masks, mask_key_of_sample(1, 1, 5), H, W, z, NULL);
        assert_memory_equal(x, y, sizeof x);
        assert_memory_not_equal(x, z, sizeof x);
        end(&a);
        end(&b);
    }
}

/* The authors' test vector of initialisation by array. */
static void mersenne_twister(void **state)
{
    (void)state;
    const uint32_t key[] = {0x123, 0x234, 0x345, 0x456};
    const uint32_t out[] = {1067595299u, 955945823u, 477289528u, 4107218783u, 4228976476u};
    struct mt19937 m;
    mt19937_seed(&m, key, 4);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mt19937_u32(&m), out[i]);
}

/* A line of scripts/make-golden-mask.py: type, file, columns, accelerations, fractions, digits. */
static void as_fastmri(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/golden/masks.txt", getenv("SSFD_SOURCE"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char type[32], file[64], accelerations[32], fractions[32], digits[128], text[256];
    int w, lines = 0;
    while (fscanf(f, "%31s %63s %d %31s %31s %127s", type, file, &w, accelerations, fractions,
                  digits) == 6) {
        snprintf(text, sizeof text,
                 "{kind: fastmri, type: %s, accelerations: [%s], center_fractions: [%s]}", type,
                 accelerations, fractions);
        struct asked a = ask(text);
        float keep[512];
        struct err e = {0};
        if (masks_draw(a.masks, mask_key_of_file(1, file), 1, w, keep, &e))
            fail_msg("%s at %d: %s", text, w, e.text);
        for (int x = 0; x < w; x++) {
            int digit = (int)strtol((char[]){digits[x / 4], 0}, NULL, 16);
            if ((keep[x] > 0.0f) != (digit >> (3 - x % 4) & 1))
                fail_msg("%s, %s, %d columns: column %d differs", text, file, w, x);
        }
        end(&a);
        lines++;
    }
    fclose(f);
    assert_int_equal(lines, 480);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_columns),     cmocka_unit_test(equispaced_columns),
        cmocka_unit_test(poisson_points),     cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(every_request_ends), cmocka_unit_test(a_key_decides),
        cmocka_unit_test(mersenne_twister),   cmocka_unit_test(as_fastmri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
