/* Undersampled slices against the pieces they are made of, masks by name and by sample, and what is
 * refused. */
#include "data/fft.h"
#include "data/normalise.h"
#include "undersampled.h"

static const struct sizes cropped = {3, 24, 21, 16, 18, 20, 16};

static void a_slice_is_made_of_its_pieces(void **state)
{
    (void)state;
    struct images im;
    struct err e = {0};
    open_one(&im, "pieces", cropped);
    for (int mask_on = MASK_CROPPED; mask_on <= MASK_ACQUIRED; mask_on++) {
        struct mask_choice m = choose_mask("random", 3, mask_on);
        struct undersample u;
        if (undersample_init(&u, m.conf, &im, &e)) fail_msg("%s", e.text);
        struct masks *masks = masks_new(m.conf.mask, &e);
        struct zerofill z = {.conf = im.conf.jsense, .mask_on = mask_on};
        float keep[24 * 21], scratch_values[20 * 16];
        float complex raw[16 * 18], want[20 * 16], got[20 * 16];
        for (int slice = 0; slice < NOISY_SLICES; slice++)
            for (uint32_t epoch = 0; epoch < 3; epoch++) {
                const struct scan *s = &im.scans.list[0];
                const struct mask_key key = epoch ? mask_key_of_sample(1, epoch, 7)
                                                  : mask_key_of_file(1, "elsewhere/pieces.h5");
                int h, w;
                zerofill_mask_size(mask_on, s, &h, &w);
                assert_true(h * w == (mask_on == MASK_ACQUIRED ? 24 * 21 : 16 * 18));
                assert_int_equal(masks_draw(masks, key, h, w, keep, &e), 0);
                assert_int_equal(zerofill_slice(&z, s, im.cache, slice, keep, raw, &e), 0);
                image_fit(raw, 16, 18, want, 20, 16);
                assert_int_equal(undersample_slice(&u, 0, slice,
                                                   epoch ? key : undersample_own_mask(&u, 0), got,
                                                   &e),
                                 0);
                assert_memory_equal(got, want, sizeof want);
                const double scale = undersample_scale(&u, got);
                assert_true(scale > 0.0);
                assert_true(scale == normalise_top_magnitude(want, 20 * 16, 0.05, scratch_values));
            }
        const struct mask_plan *p = undersample_plan(&u, im.scans.list, &e);
        assert_true(p && p->kept == p->w / 3);
        memset(got, 0, sizeof got);
        assert_true(undersample_scale(&u, got) == 0.0);
        zerofill_release(&z);
        masks_free(masks);
        undersample_release(&u);
        cfg_free(m.cfg);
    }
    images_release(&im);
}

static void a_mask_that_cannot_be_had_names_the_scan(void **state)
{
    (void)state;
    struct images im;
    struct err e = {0};
    open_one(&im, "impossible", cropped);
    struct mask_choice m = choose_mask("random", 16, MASK_CROPPED);
    struct undersample u;
    assert_int_equal(undersample_init(&u, m.conf, &im, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "impossible.h5"));
    undersample_release(&u);
    cfg_free(m.cfg);
    images_release(&im);
}

static void check_difference(const char *record, const struct undersample_conf *is,
                             const char *want)
{
    char what[200];
    assert_true(undersample_differs(record, is, what, sizeof what) == (*want != '\0'));
    assert_string_equal(what, want);
}

static void a_record_of_masks(void **state)
{
    (void)state;
    struct mask_choice m = choose_mask("random", 4, MASK_CROPPED);
    struct mask_choice other = choose_mask("random", 8, MASK_ACQUIRED);
    struct mask_choice kind = choose_mask("equispaced", 4, MASK_CROPPED);
    struct err e = {0};
    char record[256], what[200];
    other.conf.seed = UINT64_MAX;
    if (undersample_write(&m.conf, record, sizeof record, &e)) fail_msg("%s", e.text);
    check_difference(record, &m.conf, "");
    check_difference(record, &other.conf,
                     "acceleration was 4, is 8; mask_on was cropped, is acquired; "
                     "seed was 1, is 18446744073709551615");
    check_difference(record, &kind.conf, "mask was random, is equispaced");
    /* Keys that came after it was written were what is now their default. */
    check_difference("mask: {kind: random, center_fraction: 0.2}", &m.conf, "");
    check_difference("mask: {kind: random, later: 1}", &m.conf,
                     "its record of them cannot be read by this version");
    assert_true(undersample_differs(record, &other.conf, what, 30)); /* cut, not beyond */
    assert_int_equal(strlen(what), 29);
    assert_int_equal(undersample_write(&m.conf, record, strlen(record), &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    cfg_free(m.cfg);
    cfg_free(other.cfg);
    cfg_free(kind.cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_is_made_of_its_pieces),
        cmocka_unit_test(a_mask_that_cannot_be_had_names_the_scan),
        cmocka_unit_test(a_record_of_masks),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
