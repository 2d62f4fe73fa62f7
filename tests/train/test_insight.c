/* What a training shows: event files are records of the documented framing with the right sums and
 * content, a resumption takes later steps back, panels stay few. */
#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "train/insight.h"
#include "train/tfevents.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ssfd-test-insight-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *sub(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    mkdir(path, 0777);
    return path;
}

/* ---- a reader of its own: bit by bit ------------------------------------------------------------
 */

static uint32_t crc32c(const unsigned char *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t low = (c ^ (uint32_t)p[i] >> bit) & 1;
            c = c >> 1 ^ (low ? 0x82f63b78u : 0);
        }
    return ~c;
}

static uint32_t masked(uint32_t c)
{
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

struct field {
    unsigned number, wire;
    uint64_t value; /* of numbers; length of bytes */
    const unsigned char *bytes;
};

static uint64_t varint(const unsigned char **p)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        v |= (uint64_t)(**p & 127) << shift;
        if (!(*(*p)++ & 128)) return v;
    }
}

/* The field `number` of a message; wire 99 when it is absent. */
static struct field find(const unsigned char *p, size_t n, unsigned number)
{
    for (const unsigned char *end = p + n; p < end;) {
        struct field f = {.bytes = NULL};
        uint64_t key = varint(&p);
        f.number = (unsigned)(key >> 3);
        f.wire = (unsigned)(key & 7);
        if (f.wire == 0) f.value = varint(&p);
        if (f.wire == 1) f.value = little(p, 8), p += 8;
        if (f.wire == 5) f.value = little(p, 4), p += 4;
        if (f.wire == 2) f.value = varint(&p), f.bytes = p, p += f.value;
        assert_true(p <= end);
        if (f.number == number) return f;
    }
    return (struct field){.wire = 99};
}

static double as_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static float as_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;
    memcpy(&v, &low, sizeof v);
    return v;
}

struct record {
    const unsigned char *bytes;
    size_t len;
};

/* Splits a file into its records, checking both sums of each. */
static int split(const char *text, size_t len, struct record *r, int room)
{
    const unsigned char *p = (const unsigned char *)text;
    int n = 0;
    for (size_t at = 0; at < len; n++) {
        assert_true(n < room && len - at >= 16);
        uint64_t size = little(p + at, 8);
        assert_true(size <= len - at - 16);
        assert_int_equal(little(p + at + 8, 4), masked(crc32c(p + at, 8)));
        assert_int_equal(little(p + at + 12 + size, 4), masked(crc32c(p + at + 12, size)));
        r[n] = (struct record){p + at + 12, size};
        at += 16 + size;
    }
    return n;
}

/* The event files of a folder in the order of their names. */
static int event_files(const char *dir, char path[][512], int room)
{
    struct dirent **list;
    int n = 0, all = scandir(dir, &list, NULL, alphasort);
    assert_true(all >= 0);
    for (int i = 0; i < all; i++) {
        if (strstr(list[i]->d_name, "tfevents") && n < room)
            snprintf(path[n++], 512, "%s/%s", dir, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return n;
}

/* ---- tests
 * --------------------------------------------------------------------------------------- */

static void the_sum_is_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(crc32c((const unsigned char *)"123456789", 9), 0xe3069283u); /* RFC 3720 */
}

static void scalars_and_pictures_can_be_read_back(void **state)
{
    (void)state;
    const char *dir = sub("one"), *names[] = {"loss", "lr", "nothing"};
    const double values[] = {0.25, 1e-3, NAN};
    char png[300], files[4][512];
    float x[6 * 9] = {1.0f};
    struct err e = {0};
    size_t png_len, len;
    snprintf(png, sizeof png, "%s/x.png", dir);
    assert_int_equal(png_write_gray(png, x, 6, 9, 0.0f, 1.0f, &e), 0);
    char *picture = io_read_text(png, 4096, &png_len, &e);
    struct tfevents *t = tfevents_open(dir, 1, &e);
    assert_non_null(t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tfevents_scalar(t, 300, names[i], values[i], &e), 0);
    assert_int_equal(tfevents_picture(t, 301, "samples", picture, png_len, &e), 0);
    assert_int_equal(
        tfevents_picture(t, 302, "samples", "GIF89a, and more than 33 bytes of it", 36, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    tfevents_close(t);

    struct record r[8];
    assert_int_equal(event_files(dir, files, 4), 1);
    char *text = io_read_text(files[0], 1 << 20, &len, &e);
    assert_int_equal(split(text, len, r, 8), 5); /* version, start, two scalars, picture */
    struct field f = find(r[0].bytes, r[0].len, 3);
    assert_memory_equal(f.bytes, "brain.Event:2", 13);
    assert_true(fabs(as_double(find(r[0].bytes, r[0].len, 1).value) - (double)time(NULL)) < 600.0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(find(r[2 + i].bytes, r[2 + i].len, 2).value, 300);
        struct field summary = find(r[2 + i].bytes, r[2 + i].len, 5);
        struct field value = find(summary.bytes, summary.value, 1);
        struct field tag = find(value.bytes, value.value, 1);
        assert_int_equal(tag.value, strlen(names[i]));
        assert_memory_equal(tag.bytes, names[i], tag.value);
        assert_true(as_float(find(value.bytes, value.value, 2).value) == (float)values[i]);
    }
    struct field summary = find(r[4].bytes, r[4].len, 5);
    struct field value = find(summary.bytes, summary.value, 1);
    struct field image = find(value.bytes, value.value, 4);
    assert_int_equal(find(image.bytes, image.value, 1).value, 6);
    assert_int_equal(find(image.bytes, image.value, 2).value, 9);
    assert_int_equal(find(image.bytes, image.value, 3).value, 1);
    struct field encoded = find(image.bytes, image.value, 4);
    assert_int_equal(encoded.value, png_len);
    assert_memory_equal(encoded.bytes, picture, png_len);
    mem_free(text);
    mem_free(picture);
}

static void a_resumption_takes_later_steps_back(void **state)
{
    (void)state;
    const char *dir = sub("two");
    char files[8][512];
    struct record r[8];
    struct err e = {0};
    size_t len;
    for (uint64_t first = 1; first <= 101; first += 100) {
        struct tfevents *t = tfevents_open(dir, first, &e);
        assert_non_null(t);
        tfevents_close(t);
    }
    assert_int_equal(event_files(dir, files, 8), 2); /* one a start, also within a second */
    for (int i = 0; i < 2; i++) {
        char *text = io_read_text(files[i], 1 << 20, &len, &e);
        assert_int_equal(split(text, len, r, 8), 2);
        struct field log = find(r[1].bytes, r[1].len, 7);
        assert_int_equal(find(log.bytes, log.value, 1).value, 1);
        assert_int_equal(find(r[1].bytes, r[1].len, 2).value, i ? 101 : 1);
        mem_free(text);
    }
}

/* Every start tells of eight steps and is killed in the ninth, five steps before those it had
 * saved: what is seen is each step once, as the last start that reached it told. */
static void many_starts_leave_few_files(void **state)
{
    (void)state;
    enum { STARTS = 200, TOLD = 8, SAVED = 3, LAST = SAVED * (STARTS - 1) + TOLD };
    static float seen[LAST + 1];
    static struct record r[LAST + 8];
    const char *dir = sub("many"), *names[] = {"loss"};
    char files[EVENT_FILES_KEPT + 8][512];
    struct err e = {0};
    size_t len;
    for (int start = 0; start < STARTS; start++) {
        const uint64_t first = (uint64_t)(SAVED * start) + 1;
        if (tfevents_merge(dir, EVENT_FILES_KEPT, &e)) fail_msg("%s", e.text);
        struct tfevents *t = tfevents_open(dir, first, &e);
        assert_non_null(t);
        for (uint64_t step = first; step < first + TOLD; step++) {
            const double value = start;
            assert_int_equal(tfevents_scalar(t, step, names[0], value, &e), 0);
        }
        tfevents_close(t);
        const int n = event_files(dir, files, EVENT_FILES_KEPT + 8);
        assert_in_range(n, 1, EVENT_FILES_KEPT + 1);
        if (start % 3 == 0) { /* cut in half, as a kill does */
            char *text = io_read_text(files[n - 1], 1 << 20, &len, &e);
            FILE *f = fopen(files[n - 1], "ab");
            fwrite(text, 1, 40, f);
            fclose(f);
            mem_free(text);
        }
    }
    assert_int_equal(tfevents_merge(dir, 1, &e), 0);
    assert_int_equal(event_files(dir, files, 8), 1);
    char *text = io_read_text(files[0], 1 << 20, &len, &e);
    const int n = split(text, len, r, LAST + 8);
    assert_int_equal(n, 2 + LAST); /* version, start, and each step */
    assert_memory_equal(find(r[0].bytes, r[0].len, 3).bytes, "brain.Event:2", 13);
    assert_int_equal(find(r[1].bytes, r[1].len, 2).value, 1);
    for (int i = 2; i < n; i++) {
        const struct field summary = find(r[i].bytes, r[i].len, 5);
        const struct field value = find(summary.bytes, summary.value, 1);
        const uint64_t step = find(r[i].bytes, r[i].len, 2).value;
        assert_int_equal(step, i - 1);
        seen[step] = as_float(find(value.bytes, value.value, 2).value);
    }
    for (int step = 1; step <= LAST; step++) {
        const int last = (step - 1) / SAVED;
        assert_true(seen[step] == (float)(last < STARTS ? last : STARTS - 1));
    }
    mem_free(text);
    assert_int_equal(tfevents_merge(dir, 1, &e), 0); /* one is as few as can be */
    assert_int_equal(event_files(dir, files, 8), 1);
}

/* A start that was killed before it said anything, and files of others, are no matter. */
static void a_merge_takes_what_it_finds(void **state)
{
    (void)state;
    const char *dir = sub("odd"), *names[] = {"loss"};
    const double value = 0.5;
    char files[8][512], path[512];
    struct err e = {0};
    size_t len;
    for (uint64_t k = 0; k < 3; k++) {
        struct tfevents *t = tfevents_open(dir, 10 * k + 1, &e);
        assert_int_equal(tfevents_scalar(t, 10 * k + 1, names[0], value, &e), 0);
        tfevents_close(t);
    }
    assert_int_equal(event_files(dir, files, 8), 3);
    assert_int_equal(io_write_text(files[0], "", 0, &e), 0);
    snprintf(path, sizeof path, "%s/events.out.tfevents.1.another", dir);
    assert_int_equal(io_write_text(path, "text", 4, &e), 0);
    assert_int_equal(tfevents_merge(dir, 2, &e), 0);
    assert_int_equal(event_files(dir, files, 8), 2);
    char *text = io_read_text(path, 100, &len, &e);
    assert_string_equal(text, "text");
    mem_free(text);
    struct record r[8];
    text = io_read_text(strcmp(files[0], path) ? files[0] : files[1], 1 << 20, &len, &e);
    assert_int_equal(split(text, len, r, 8), 4);
    assert_int_equal(find(r[1].bytes, r[1].len, 2).value, 11);
    mem_free(text);
}

static int count_panels(const char *dir)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/panels", dir);
    DIR *d = opendir(path);
    int n = 0;
    for (const struct dirent *f; d && (f = readdir(d));)
        n += f->d_name[0] == 's';
    if (d) closedir(d);
    return n;
}

static void panels_stay_few_and_follow_a_resumption(void **state)
{
    (void)state;
    struct run run = {.lock = -1};
    struct insight in;
    struct err e = {0};
    char path[1100];
    snprintf(run.dir, sizeof run.dir, "%s", sub("three"));
    snprintf(path, sizeof path, "%s/samples.png", run.dir);
    assert_int_equal(insight_open(&in, &run, 0, &e), 0);
    assert_int_equal(insight_panel(&in, 1, 10, &e), 0); /* no picture: nothing to keep */
    const float x[4] = {0};
    assert_int_equal(png_write_gray(path, x, 2, 2, 0.0f, 1.0f, &e), 0);
    for (uint64_t v = 1; v <= 200; v++) {
        assert_int_equal(insight_panel(&in, v, 10 * v, &e), 0);
        assert_true(count_panels(run.dir) <= PANELS_KEPT);
    }
    assert_int_equal(count_panels(run.dir), 25); /* every eighth of 200 */
    insight_close(&in);
    assert_int_equal(insight_open(&in, &run, 1000, &e), 0); /* back to step 1000 */
    assert_int_equal(count_panels(run.dir), 12);
    insight_close(&in);
}

static void records_thin_out_by_their_number_alone(void **state)
{
    (void)state;
    assert_int_equal(insight_stride(0, 16), 1);
    assert_int_equal(insight_stride(15, 16), 1);
    assert_int_equal(insight_stride(16, 16), 2);
    assert_int_equal(insight_stride(31, 16), 2);
    assert_int_equal(insight_stride(1u << 20, 16), 1u << 17);
    uint64_t written = 0;
    for (uint64_t i = 0; i < 1u << 20; i++)
        written += i % insight_stride(i, 16) == 0;
    assert_int_equal(written, 16 + 16 * 8); /* half of `keep` with each of 16 doublings */
}

static void a_folder_that_cannot_be_written(void **state)
{
    (void)state;
    struct err e = {0};
    char file[256];
    snprintf(file, sizeof file, "%s/file", folder);
    assert_int_equal(io_write_text(file, "x", 1, &e), 0);
    assert_null(tfevents_open(file, 1, &e));
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "tfevents"));
    struct run run = {.lock = -1};
    struct insight in;
    snprintf(run.dir, sizeof run.dir, "%s", file);
    assert_int_equal(insight_open(&in, &run, 0, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    insight_close(&in);
}

/* Every write to this device fails as a full disk does. */
static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    const char *names[] = {"loss"};
    const double values[] = {1.0};
    struct err e = {0};
    char files[4][512];
    const char *dir = sub("four");
    struct tfevents *t = tfevents_open(dir, 1, &e);
    assert_int_equal(event_files(dir, files, 4), 1);
    FILE *full = fopen("/dev/full", "wb");
    if (!full) {
        tfevents_close(t);
        skip();
    }
    FILE **out = (FILE **)(void *)t; /* the first member */
    fclose(*out);
    *out = full;
    assert_int_equal(tfevents_scalar(t, 1, names[0], values[0], &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "No space left"));
    tfevents_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_castagnolis),
        cmocka_unit_test(scalars_and_pictures_can_be_read_back),
        cmocka_unit_test(a_resumption_takes_later_steps_back),
        cmocka_unit_test(many_starts_leave_few_files),
        cmocka_unit_test(a_merge_takes_what_it_finds),
        cmocka_unit_test(panels_stay_few_and_follow_a_resumption),
        cmocka_unit_test(records_thin_out_by_their_number_alone),
        cmocka_unit_test(a_folder_that_cannot_be_written),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
