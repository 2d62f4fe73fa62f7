/* What both trainings are fed with: samples that depend on seed, epoch and place only; steady
 * memory and open files; a file that vanishes or changes under a training is named. */
#include "base/mem.h"
#include "base/png.h"
#include "data/loader.h"
#include "data/scratch.h"
#include "train/recon.h"
#include "train/sets.h"
#include "train/ssl.h"
#include "train/validate.h"

#include <dirent.h>
#include <math.h>

enum { SLICES = 3, COILS = 2, SIDE = 32, SCANS = 3 };

static struct feed { /* both tasks on the same scans */
    struct sets sets;
    struct cfg *cfg;
    struct conf {
        struct sets_conf data;
        struct patches_conf patches;
        struct augment_conf augment;
        struct cfg_pick mask;
        struct unet_conf ssl, recon;
    } conf;
    struct task *ssl;
    struct task *recon;
} feed;

static const struct cfg_field fields[] = {CFG_GROUP(struct conf, data, sets_fields, ""),
                                          CFG_GROUP(struct conf, patches, patches_fields, ""),
                                          CFG_GROUP(struct conf, augment, augment_fields, ""),
                                          CFG_PICK(struct conf, mask, "random", mask_kinds, ""),
                                          CFG_GROUP(struct conf, ssl, unet_ssl_fields, ""),
                                          CFG_GROUP(struct conf, recon, unet_recon_fields, ""),
                                          CFG_END};

static void write_scan(const char *path, uint32_t seed)
{
    const int64_t dim[4] = {SLICES, COILS, SIDE, SIDE};
    static float complex x[SLICES * COILS * SIDE * SIDE];
    for (int i = 0; i < SLICES * COILS * SIDE * SIDE; i++) {
        double far = hypot(i / SIDE % SIDE - SIDE / 2, i % SIDE - SIDE / 2);
        x[i] = (float)exp(-0.3 * far) * (scratch_noise(&seed) + scratch_noise(&seed) * I);
    }
    write_kspace(path, 4, dim, x);
}

static int feed_begin(void **state)
{
    if (scratch_make(state)) return -1;
    mkdir(scratch_path("train"), 0777);
    for (int i = 0; i < SCANS; i++) {
        char name[32];
        snprintf(name, sizeof name, "train/scan%d.h5", i);
        write_scan(scratch_path(name), (uint32_t)i);
    }
    write_scan(scratch_path("held-out.h5"), 99);
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "data: {train: %s, validation: %s, cache: %s, height: 32, width: 32, jsense: "
                     "{kernel: 4, calibration: 0.4, iterations: 2}}\n"
                     "patches: {side: 4}\naugment: {flip: true, turn: true, intensity: 0.1}\n",
                     scratch_path("train"), scratch_path("held-out.h5"), scratch_path("cache"));
    struct err e = {0};
    struct conf *c = &feed.conf;
    if (!(feed.cfg = cfg_parse(fields, c, "test", text, (size_t)n, NULL, 0, &e)) ||
        sets_find(&feed.sets, &c->data, true, &e) || sets_prepare(&feed.sets, true, &e) ||
        !(feed.ssl = ssl_new(&c->patches, &c->augment, &c->ssl, 3, &feed.sets.train,
                             &feed.sets.validation, &e)) ||
        !(feed.recon = recon_new((struct undersample_conf){c->mask, MASK_CROPPED, 3}, &c->augment,
                                 &c->recon, &feed.sets.train, &feed.sets.validation, &e))) {
        printf("%s\n", e.text);
        return -1;
    }
    return 0;
}

static int feed_end(void **state)
{
    task_free(feed.ssl);
    task_free(feed.recon);
    sets_release(&feed.sets);
    cfg_free(feed.cfg);
    return scratch_remove(state);
}

static const struct sample_source *source(int task)
{
    return task ? &feed.recon->train : &feed.ssl->train;
}

/* Sample k of the stream, however it is cut into batches and wherever it starts. */
static void a_sample_is_a_function_of_its_place(void **state)
{
    (void)state;
    enum { N = 40 };
    for (int task = 0; task < 2; task++) {
        const struct sample_source *s = source(task);
        size_t len = s->input_len + s->target_len;
        float *seen = mem_new(N * len, sizeof *seen, NULL);
        assert_non_null(seen);
        static const int size[] = {1, 4, 5}, first[] = {0, 4, 10};
        for (int round = 0; round < 3; round++) {
            struct loader *l = loader_new(
                *s, (struct loader_conf){size[round], 1 + round, true, 11, (uint64_t)first[round]},
                NULL);
            assert_non_null(l);
            for (int at = first[round]; at + size[round] <= N; at += size[round]) {
                const struct batch *b;
                assert_int_equal(loader_next(l, &b, NULL), 0);
                for (int i = 0; i < size[round]; i++) {
                    float *kept = seen + (size_t)(at + i) * len;
                    const float *input = b->input + (size_t)i * s->input_len;
                    const float *target = b->target + (size_t)i * s->target_len;
                    if (round == 0) {
                        memcpy(kept, input, s->input_len * sizeof *kept);
                        memcpy(kept + s->input_len, target, s->target_len * sizeof *kept);
                    }
                    assert_memory_equal(kept, input, s->input_len * sizeof *kept);
                    assert_memory_equal(kept + s->input_len, target, s->target_len * sizeof *kept);
                }
            }
            loader_free(l);
        }
        /* An epoch later the same image comes with another corruption or mask. */
        assert_memory_not_equal(seen, seen + (size_t)(SCANS * SLICES) * len, len * sizeof *seen);
        mem_free(seen);
    }
}

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d) closedir(d);
    return n;
}

static void ten_thousand_steps_leave_nothing_behind(void **state)
{
    (void)state;
    for (int task = 0; task < 2; task++) {
        struct loader *l = loader_new(*source(task), (struct loader_conf){1, 2, true, 5, 0}, NULL);
        assert_non_null(l);
        size_t resident = 0;
        int files = 0;
        for (int i = 0; i < 10000; i++) {
            const struct batch *b;
            struct err e = {0};
            if (loader_next(l, &b, &e)) fail_msg("%s", e.text);
            if (i == 1000) {
                resident = mem_resident();
                files = open_files();
            }
        }
        printf("resident %zu KiB after 1000 steps, %zu KiB after 10000\n", resident / 1024,
               mem_resident() / 1024);
#ifndef __SANITIZE_ADDRESS__ /* whose quarantine keeps what was freed */
        assert_true(mem_resident() < resident + resident / 20);
#endif
        assert_true(abs(open_files() - files) <= 2); /* the reader may have one open right now */
        loader_free(l);
    }
}

static void expect_error(int task, const char *file)
{
    struct loader *l = loader_new(*source(task), (struct loader_conf){1, 1, true, 5, 0}, NULL);
    struct err e = {0};
    const struct batch *b;
    int bad = 0;
    for (int i = 0; i < 40 && !bad; i++)
        bad = loader_next(l, &b, &e);
    assert_int_equal(bad, -1);
    if (!strstr(e.text, file)) fail_msg("'%s' does not name %s", e.text, file);
    assert_true(strlen(e.hint) > 0);
    loader_free(l);
}

static void expect_samples(int task)
{
    struct loader *l = loader_new(*source(task), (struct loader_conf){9, 1, true, 5, 0}, NULL);
    struct err e = {0};
    const struct batch *b;
    for (int i = 0; i < 2; i++)
        if (loader_next(l, &b, &e)) fail_msg("%s", e.text);
    loader_free(l);
}

/* A cached reference is made again; without its scan, that cannot be. */
static void a_file_that_vanishes_is_named(void **state)
{
    (void)state;
    char scan[256], cached[1024], aside[256];
    strcpy(scan, scratch_path("train/scan1.h5"));
    strcpy(cached, feed.sets.train.cache[1].path);
    strcpy(aside, scratch_path("aside.h5"));
    unlink(cached);
    expect_samples(0);
    assert_int_equal(access(cached, R_OK), 0);
    unlink(cached);
    expect_samples(1);
    rename(scan, aside);
    expect_samples(0); /* needs the reference only */
    expect_error(1, "scan1.h5");
    unlink(cached);
    expect_error(0, "scan1.h5");
    rename(aside, scan);
    expect_samples(0);
    expect_samples(1);
}

/* Another file of the same name and shape would be trained on without anybody noticing. */
static void a_file_that_is_replaced_is_named(void **state)
{
    (void)state;
    char scan[256], cached[1024], aside[256], command[6000];
    strcpy(scan, scratch_path("train/scan2.h5"));
    strcpy(cached, feed.sets.train.cache[2].path);
    strcpy(aside, scratch_path("aside.h5"));
    snprintf(command, sizeof command, "cp '%s' '%s' && cp '%s' '%s'", cached, aside,
             feed.sets.train.cache[0].path, cached);
    assert_int_equal(system(command), 0);
    expect_samples(0); /* made again */
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", cached, aside);
    assert_int_equal(system(command), 0);
    rename(scan, aside);
    write_scan(scan, 77);
    expect_error(1, "scan2.h5");
    rename(aside, scan);
    expect_samples(1);
}

/* A mask on the acquired k-space is a mask on the cropped one where nothing is cropped. */
static void masks_on_either_k_space(void **state)
{
    (void)state;
    struct err e = {0};
    struct conf *c = &feed.conf;
    struct task *acquired =
        recon_new((struct undersample_conf){c->mask, MASK_ACQUIRED, 3}, &c->augment, &c->recon,
                  &feed.sets.train, &feed.sets.validation, &e);
    assert_non_null(acquired);
    enum { N = 2 * SIDE * SIDE };
    float a[N], b[N], target[N];
    for (uint32_t i = 0; i < 4; i++) {
        const struct sample_source *s = &acquired->train, *t = source(1);
        assert_int_equal(s->make(s->ctx, i, 1, a, target, NULL, &e), 0);
        assert_int_equal(t->make(t->ctx, i, 1, b, target, NULL, &e), 0);
        double difference = 0, size = 0;
        for (int k = 0; k < N; k++) {
            difference += pow((double)a[k] - (double)b[k], 2);
            size += pow((double)b[k], 2);
        }
        assert_true(size > 0 && difference < 1e-10 * size);
    }
    task_free(acquired);
}

/* An empty image has no PSNR, and takes none from the others. */
static void an_empty_image_has_no_psnr(void **state)
{
    (void)state;
    const struct task *t = feed.recon;
    enum { N = 2 * SIDE * SIDE };
    static float image[N], output[N], none[N];
    double sums[TASK_MAX_SCORES] = {0}, one[TASK_MAX_SCORES], two[TASK_MAX_SCORES];
    for (int i = 0; i < N; i++)
        output[i] = 0.5f * (image[i] = (float)(1 + i % 5));
    t->measure(t, output, output, image, NULL, sums);
    t->summarise(sums, 1, one);
    t->measure(t, none, output, none, NULL, sums);
    t->summarise(sums, 2, two);
    assert_true(isfinite(one[1]) && one[1] > 0.0);
    assert_true(two[1] == one[1] && two[2] == one[2]);
}

static void write_maps(const char *name, float value)
{
    const int64_t dim[4] = {SLICES, COILS, SIDE, SIDE};
    static float complex x[SLICES * COILS * SIDE * SIDE];
    struct err e = {0};
    for (int i = 0; i < SLICES * COILS * SIDE * SIDE; i++)
        x[i] = value;
    struct h5 *f = h5_create(scratch_path(name), &e);
    if (h5_make(f, "maps", H5_C64, 4, dim, &e) || h5_write_c64(f, "maps", 4, NULL, dim, x, &e) ||
        h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
}

/* With maps that are 0 everywhere all references are: no score would mean anything. */
static void sets_of_empty_images_are_refused(void **state)
{
    (void)state;
    mkdir(scratch_path("maps"), 0777);
    for (int nothing = 0; nothing < 3; nothing++) { /* in neither set, training, validation */
        for (int i = 0; i < SCANS; i++) {
            char name[32];
            snprintf(name, sizeof name, "maps/scan%d.h5", i);
            write_maps(name, nothing == 1 || i == 0 ? 0.0f : 1.0f);
        }
        write_maps("maps/held-out.h5", nothing == 2 ? 0.0f : 1.0f);
        char folder[600];
        struct sets sets;
        struct err e = {0};
        struct sets_conf c = feed.conf.data;
        snprintf(folder, sizeof folder, "%s", scratch_path("maps"));
        c.jsense.maps = folder;
        if (sets_find(&sets, &c, true, &e) || sets_prepare(&sets, true, &e)) fail_msg("%s", e.text);
        assert_int_equal(sets_missing(&sets, &e), 0);
        assert_int_equal(sets_refuse_empty(&sets, &e), nothing ? -1 : 0);
        if (nothing) assert_int_equal(e.code, ERR_DATA);
        if (nothing == 1) assert_non_null(strstr(e.text, "data.train: all 9 images are empty"));
        if (nothing == 2) assert_non_null(strstr(e.text, "data.validation: all 3 images"));
        sets_release(&sets);
    }
}

/* In the letters of samples.png, at the widths of small trainings and of the paper's. */
static void titles_fit(void **state)
{
    (void)state;
    static const int widths[] = {48, 64, 96, 128, 160, 192, 320};
    for (int task = 0; task < 2; task++)
        for (int k = 0; k < 7; k++) {
            struct task t = task ? *feed.recon : *feed.ssl;
            t.width = widths[k];
            const char *const *titles = validation_titles(&t);
            for (int i = 0; i < t.ntiles; i++)
                if (!png_title_fits(titles[i], t.width))
                    fail_msg("'%s' does not fit %d pixels", titles[i], t.width);
            if (t.width >= 96) assert_string_equal(titles[0], t.tile_names[0]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_is_a_function_of_its_place),
        cmocka_unit_test(ten_thousand_steps_leave_nothing_behind),
        cmocka_unit_test(a_file_that_vanishes_is_named),
        cmocka_unit_test(a_file_that_is_replaced_is_named),
        cmocka_unit_test(masks_on_either_k_space),
        cmocka_unit_test(an_empty_image_has_no_psnr),
        cmocka_unit_test(titles_fit),
        cmocka_unit_test(sets_of_empty_images_are_refused),
    };
    return cmocka_run_group_tests(tests, feed_begin, feed_end);
}
