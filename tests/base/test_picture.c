/* Pictures are read back with libpng and compared pixel by pixel; figures are made by gnuplot where
 * it is installed. */
#include "base/gnuplot.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/ssfd-picture-XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

/* The grey pixels of a file, to be released with mem_free. */
static unsigned char *read_back(const char *path, unsigned *w, unsigned *h)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    assert_int_equal(image.format, PNG_FORMAT_GRAY);
    unsigned char *x = mem_new(image.width, image.height, NULL);
    assert_non_null(x);
    assert_true(png_image_finish_read(&image, NULL, x, (png_int_32)image.width, NULL));
    *w = image.width;
    *h = image.height;
    return x;
}

static void window_maps_to_grey(void **state)
{
    (void)state;
    const float x[] = {-1, 0, 0.5f, 1, 2, NAN, INFINITY, 0.25f};
    const unsigned char want[] = {0, 0, 128, 255, 255, 0, 0, 64};
    unsigned w, h;
    struct err e = {0};
    assert_int_equal(png_write_gray(in_dir("a.png"), x, 2, 4, 0, 1, &e), 0);
    unsigned char *got = read_back(in_dir("a.png"), &w, &h);
    assert_int_equal(w, 4);
    assert_int_equal(h, 2);
    assert_memory_equal(got, want, sizeof want);
    mem_free(got);

    assert_int_equal(png_write_gray(in_dir("flat.png"), x, 1, 4, 3, 3, &e), 0);
    got = read_back(in_dir("flat.png"), &w, &h);
    for (int i = 0; i < 4; i++)
        assert_int_equal(got[i], 128);
    mem_free(got);
}

static void panel_places_tiles(void **state)
{
    (void)state;
    enum { H = 6, W = 12, GAP = 4, STRIP = 10 };
    float black[H * W] = {0}, white[H * W];
    for (int i = 0; i < H * W; i++)
        white[i] = 1.0f;
    const float *const tiles[] = {black, white, NULL, black};
    const char *const titles[] = {"I", "much too long a title for this tile", NULL, ""};
    const float low[] = {0, 0, 0, 0}, high[] = {1, 1, 1, 1};
    unsigned w, h;
    struct err e = {0};
    assert_int_equal(png_write_panel(in_dir("p.png"), tiles, titles, 2, 2, H, W, low, high, &e), 0);
    unsigned char *got = read_back(in_dir("p.png"), &w, &h);
    assert_int_equal(w, 2 * (W + GAP) + GAP);
    assert_int_equal(h, 2 * (STRIP + H + GAP) + GAP);
    for (unsigned y = 0; y < h; y++)
        for (unsigned x = 0; x < w; x++) {
            unsigned r = y >= GAP + STRIP + H + GAP, c = x >= GAP + W + GAP;
            int ty = (int)(y - GAP - r * (STRIP + H + GAP)) - STRIP;
            int tx = (int)(x - GAP - c * (W + GAP));
            if (ty < 0) continue; /* titles are looked at below */
            bool inside = ty < H && tx >= 0 && tx < W && r == c;
            assert_int_equal(got[y * w + x], inside ? 0 : 255);
        }
    /* The stem of the I is the third column of its glyph, seven rows high; the long title stays
     * within its tile. */
    for (unsigned y = 0; y < 7; y++)
        assert_int_equal(got[(GAP + y) * w + GAP + 2], 0);
    for (unsigned y = 0; y < GAP + STRIP; y++)
        for (unsigned x = GAP + W + GAP + W; x < w; x++)
            assert_int_equal(got[y * w + x], 255);
    mem_free(got);
}

static void unwritable_picture_is_an_error(void **state)
{
    (void)state;
    const float x = 0;
    struct err e = {0};
    assert_int_equal(png_write_gray("/nowhere/at/all.png", &x, 1, 1, 0, 1, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "/nowhere/at/all.png"));
}

static void gnuplot_makes_a_figure(void **state)
{
    (void)state;
    bool ran = false;
    struct err e = {0};
    const char script[] = "set terminal svg\nset output 'f.svg'\nplot x\n";
    assert_int_equal(io_write_text(in_dir("f.gp"), script, strlen(script), &e), 0);
    int rc = gnuplot_run(dir, "f.gp", &ran, &e);
    if (rc == 0 && !ran) {
        print_message("no gnuplot here: not tested\n");
        skip();
    }
    assert_int_equal(rc, 0);
    assert_true(io_exists(in_dir("f.svg")));

    const char bad[] = "plot nonsense(\n";
    assert_int_equal(io_write_text(in_dir("bad.gp"), bad, strlen(bad), &e), 0);
    assert_int_equal(gnuplot_run(dir, "bad.gp", &ran, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_non_null(strstr(e.text, "bad.gp"));
    assert_non_null(strstr(e.text, "nonsense"));
}

static void absent_gnuplot_is_no_error(void **state)
{
    (void)state;
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
    assert_non_null(path);
    setenv("PATH", dir, 1);
    bool ran = true;
    struct err e = {0};
    int rc = gnuplot_run(dir, "f.gp", &ran, &e);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(rc, 0);
    assert_false(ran);
    assert_int_equal(gnuplot_run("/nowhere", "f.gp", &ran, &e), -1);
    assert_int_equal(e.code, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_maps_to_grey),
        cmocka_unit_test(panel_places_tiles),
        cmocka_unit_test(unwritable_picture_is_an_error),
        cmocka_unit_test(gnuplot_makes_a_figure),
        cmocka_unit_test(absent_gnuplot_is_no_error),
    };
    return cmocka_run_group_tests_name("picture", tests, make_dir, remove_dir);
}
