#include "base/h5.h"
#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct err e;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ssfd-test-h5-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = malloc(1 << 20);
    *len = fread(text, 1, 1 << 20, f);
    fclose(f);
    return text;
}

static void spill(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* A file with one dataset or attribute of every kind. */
static void write_sample(const char *path)
{
    struct h5 *f = h5_create(path, &e);
    assert_non_null(f);
    float x[6] = {0, 1, 2, 3, 4, 5};
    float complex z[6];
    for (int i = 0; i < 6; i++)
        z[i] = (float)i - (float)i * I;
    const int64_t dim[2] = {2, 3}, row[2] = {1, 0}, one[2] = {1, 3}, none[2] = {0, 3};
    assert_int_equal(h5_make(f, "group/real", H5_F32, 2, dim, &e), 0);
    assert_int_equal(h5_make(f, "group/double", H5_F64, 2, dim, &e), 0);
    assert_int_equal(h5_make(f, "whole", H5_INT, 2, dim, &e), 0);
    assert_int_equal(h5_make(f, "complex", H5_C64, 2, dim, &e), 0);
    assert_int_equal(h5_make(f, "empty", H5_C64, 2, none, &e), 0);
    assert_int_equal(h5_write_f32(f, "group/real", 2, row, one, x + 3, &e), 0);
    assert_int_equal(h5_write_f32(f, "group/double", 2, NULL, dim, x, &e), 0);
    assert_int_equal(h5_write_f32(f, "whole", 2, NULL, dim, x, &e), 0);
    assert_int_equal(h5_write_c64(f, "complex", 2, NULL, dim, z, &e), 0);
    assert_int_equal(h5_write_text(f, "header", "<xml>\xc3\xa9</xml>", &e), 0);
    assert_int_equal(h5_set_attr_text(f, "/", "acquisition", "CORPD_FBK", &e), 0);
    assert_int_equal(h5_set_attr_text(f, "/", "nothing", "", &e), 0);
    assert_int_equal(h5_set_attr_f64(f, "/", "max", 0.1, &e), 0);
    assert_int_equal(h5_set_attr_i64(f, "complex", "count", -7, &e), 0);
    assert_int_equal(h5_set_attr_i64(f, "complex", "count", (int64_t)1 << 60, &e), 0);
    assert_int_equal(h5_commit(f, &e), 0);
    h5_close(f);
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *path = in_folder("a.h5");
    write_sample(path);
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    assert_string_equal(h5_path(f), path);

    struct h5_info info;
    assert_int_equal(h5_describe(f, "complex", &info, &e), 0);
    assert_int_equal(info.type, H5_C64);
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.dim[1], 3);
    assert_int_equal(h5_describe(f, "group/double", &info, &e), 0);
    assert_int_equal(info.type, H5_F64);
    assert_int_equal(h5_describe(f, "whole", &info, &e), 0);
    assert_int_equal(info.type, H5_INT);
    assert_int_equal(h5_describe(f, "header", &info, &e), 0);
    assert_int_equal(info.type, H5_TEXT);

    const int64_t all[2] = {2, 3}, none[2] = {0, 3}, from[2] = {0, 1}, block[2] = {2, 2};
    float x[6];
    assert_int_equal(h5_read_f32(f, "group/real", 2, NULL, all, x, &e), 0);
    assert_true(x[0] == 0 && x[2] == 0 && x[3] == 3 && x[5] == 5);
    assert_int_equal(h5_read_f32(f, "group/double", 2, from, block, x, &e), 0);
    assert_true(x[0] == 1 && x[1] == 2 && x[2] == 4 && x[3] == 5);
    assert_int_equal(h5_read_f32(f, "whole", 2, NULL, all, x, &e), 0);
    assert_true(x[1] == 1 && x[5] == 5);
    float complex z[6];
    assert_int_equal(h5_read_c64(f, "complex", 2, from, block, z, &e), 0);
    assert_true(crealf(z[3]) == 5 && cimagf(z[3]) == -5);
    assert_int_equal(h5_read_c64(f, "empty", 2, NULL, none, z, &e), 0);

    char *text = h5_read_text(f, "header", &e);
    assert_string_equal(text, "<xml>\xc3\xa9</xml>");
    mem_free(text);
    text = h5_attr_text(f, "/", "acquisition", &e);
    assert_string_equal(text, "CORPD_FBK");
    mem_free(text);
    text = h5_attr_text(f, "/", "nothing", &e);
    assert_string_equal(text, "");
    mem_free(text);
    double v;
    int64_t i;
    assert_int_equal(h5_attr_f64(f, "/", "max", &v, &e), 0);
    assert_true(v == 0.1);
    assert_int_equal(h5_attr_i64(f, "complex", "count", &i, &e), 0);
    assert_true(i == (int64_t)1 << 60);
    assert_true(h5_has(f, "group") && h5_has(f, "group/real") && !h5_has(f, "absent/real"));
    assert_true(h5_attr_has(f, "complex", "count") && !h5_attr_has(f, "absent", "count"));
    h5_close(f);
}

static void fails(int rc, enum err_code code, const char *part)
{
    assert_int_equal(rc, -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, part)) fail_msg("'%s' does not contain '%s'", e.text, part);
}

static void test_wrong_requests(void **state)
{
    (void)state;
    write_sample(in_folder("b.h5"));
    struct h5 *f = h5_open(in_folder("b.h5"), &e);
    float x[64];
    float complex z[64];
    const int64_t all[2] = {2, 3}, wide[2] = {2, 4}, cube[3] = {1, 2, 3}, minus[2] = {-1, 0};
    const int64_t past[2] = {1, 0}, huge[2] = {INT64_MAX, INT64_MAX};
    fails(h5_read_f32(f, "absent", 2, NULL, all, x, &e), ERR_DATA, "'absent' is missing");
    fails(h5_read_f32(f, "group/real", 2, NULL, wide, x, &e), ERR_DATA,
          "shape (2, 3), expected (2, 4)");
    fails(h5_read_f32(f, "group/real", 3, NULL, cube, x, &e), ERR_DATA, "expected (1, 2, 3)");
    fails(h5_read_f32(f, "group/real", 2, past, all, x, &e), ERR_DATA, "block at (1, 0)");
    fails(h5_read_f32(f, "group/real", 2, minus, all, x, &e), ERR_DATA, "block at (-1, 0)");
    fails(h5_read_f32(f, "group/real", 2, past, huge, x, &e), ERR_DATA, "expected");
    fails(h5_read_f32(f, "complex", 2, NULL, all, x, &e), ERR_DATA, "is complex, expected real");
    fails(h5_read_c64(f, "group/real", 2, NULL, all, z, &e), ERR_DATA, "expected complex");
    fails(h5_read_f32(f, "header", 0, NULL, all, x, &e), ERR_DATA, "is text");
    fails(h5_read_f32(f, "group", 2, NULL, all, x, &e), ERR_DATA, "'group' cannot be opened");
    fails(h5_read_text(f, "whole", &e) ? 0 : -1, ERR_DATA, "dataset 'whole': is not text");
    double v;
    int64_t i;
    fails(h5_attr_f64(f, "/", "absent", &v, &e), ERR_DATA, "attribute 'absent' of '/' is missing");
    fails(h5_attr_f64(f, "/", "acquisition", &v, &e), ERR_DATA, "is not one real number");
    fails(h5_attr_i64(f, "/", "max", &i, &e), ERR_DATA, "is not one whole number");
    fails(h5_attr_text(f, "/", "max", &e) ? 0 : -1, ERR_DATA, "is not text");
    h5_close(f);
}

static void open_fails(const char *path, enum err_code code, const char *part)
{
    struct h5 *f = h5_open(path, &e);
    assert_null(f);
    fails(-1, code, part);
    assert_non_null(strstr(e.text, path));
}

static void test_bad_files(void **state)
{
    (void)state;
    open_fails(in_folder("absent.h5"), ERR_NOINPUT, "No such file");
    open_fails(folder, ERR_NOINPUT, "is a folder");
    spill(in_folder("text.h5"), "kspace,1,2,3\n", 13);
    open_fails(in_folder("text.h5"), ERR_DATA, "is not an HDF5 file");
    spill(in_folder("zero.h5"), "", 0);
    open_fails(in_folder("zero.h5"), ERR_DATA, "empty");

    write_sample(in_folder("c.h5"));
    size_t len;
    char *data = slurp(in_folder("c.h5"), &len);
    spill(in_folder("short.h5"), data, len - 100);
    open_fails(in_folder("short.h5"), ERR_DATA, "truncated");
    assert_non_null(strstr(e.hint, "cut off"));
    free(data);
}

/* A damaged length field makes HDF5 ask for absurd amounts of memory, an error without a crash, and
 * it leaks a little when it gives up on a file. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:detect_leaks=0";
}

/* Whatever byte is damaged, we get data or an error, never a crash. (Not true of variable-length
 * text, see h5.c.) */
static void test_damage(void **state)
{
    (void)state;
    write_sample(in_folder("d.h5"));
    size_t len;
    char *data = slurp(in_folder("d.h5"), &len);
    const char *path = in_folder("damaged.h5");
    const int64_t all[2] = {2, 3};
    float x[6];
    int refused = 0;
    for (size_t at = 0; at < len; at += at < 2500 ? 7 : 41) {
        data[at] = (char)~data[at];
        spill(path, data, len);
        struct h5 *f = h5_open(path, &e);
        double v;
        if (!f || h5_read_f32(f, "group/real", 2, NULL, all, x, &e) ||
            h5_attr_f64(f, "/", "max", &v, &e))
            refused++;
        h5_close(f);
        data[at] = (char)~data[at];
    }
    assert_true(refused > 10);
    free(data);
}

static void test_atomic(void **state)
{
    (void)state;
    const char *path = in_folder("e.h5");
    struct h5 *f = h5_create(path, &e);
    assert_non_null(f);
    assert_int_not_equal(access(path, F_OK), 0);
    h5_close(f); /* not committed: leaves nothing */
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls '%s' | grep '^e.h5')\"", folder);
    assert_int_equal(system(command), 0);
    f = h5_create(in_folder("no/such/folder.h5"), &e);
    assert_null(f);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "No such file"));
}

/* A full disk, played by a limit on the size of files: the old file stays, nothing else does. */
static void test_no_room(void **state)
{
    (void)state;
    const char *path = in_folder("full.h5");
    write_sample(path);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    const int64_t n[1] = {1 << 16};
    float *x = calloc((size_t)n[0], sizeof *x);
    struct h5 *f = h5_create(path, &e);
    assert_non_null(f);
    assert_int_equal(h5_make(f, "x", H5_F32, 1, n, &e), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = h5_write_f32(f, "x", 1, NULL, n, x, &e) || h5_commit(f, &e);
    enum err_code code = e.code;
    h5_close(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    free(x);
    assert_true(rc);
    assert_int_equal(code, ERR_IO);
    assert_non_null(strstr(e.text, "full.h5: 'x' cannot be written"));
    f = h5_open(path, &e);
    assert_true(f && h5_has(f, "group/real"));
    h5_close(f);
    char command[256];
    snprintf(command, sizeof command, "test $(ls '%s' | grep -c '^full.h5') = 1", folder);
    assert_int_equal(system(command), 0);
}

static void test_same_data_same_bytes(void **state)
{
    (void)state;
    size_t n[2];
    write_sample(in_folder("f.h5"));
    usleep(1100000); /* HDF5's time stamps count seconds */
    write_sample(in_folder("g.h5"));
    char *a = slurp(in_folder("f.h5"), &n[0]), *b = slurp(in_folder("g.h5"), &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(a, b, n[0]);
    free(a);
    free(b);
}

static int list(void *ctx, const char *name, const struct h5_info *info)
{
    char *text = ctx;
    sprintf(text + strlen(text), "%s:%d ", name, info->rank);
    return strcmp(name, "header") == 0;
}

static void test_each(void **state)
{
    (void)state;
    write_sample(in_folder("h.h5"));
    struct h5 *f = h5_open(in_folder("h.h5"), &e);
    char text[256] = "";
    assert_int_equal(h5_each(f, list, text, &e), 0);
    assert_string_equal(text, "complex:2 empty:2 group/double:2 group/real:2 header:0 ");
    h5_close(f);
}

/* A file of tests/base/golden, made by h5py with types this program never writes itself. */
static void test_foreign_types(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/base/golden/foreign.h5", getenv("SSFD_SOURCE"));
    struct h5 *f = h5_open(path, &e);
    if (!f) fail_msg("%s", e.text);
    const int64_t n[1] = {3};
    float x[3];
    assert_int_equal(h5_read_f32(f, "bool", 1, NULL, n, x, &e), 0);
    assert_true(x[0] == 1 && x[1] == 0 && x[2] == 1);
    assert_int_equal(h5_read_f32(f, "big_endian", 1, NULL, n, x, &e), 0);
    assert_true(x[0] == 1.5f && x[2] == -2.0f);
    assert_int_equal(h5_read_f32(f, "compressed", 1, NULL, n, x, &e), 0);
    assert_true(x[0] == 7 && x[2] == 9);
    float complex z[3];
    const char *const complex_names[] = {"complex128", "real_imag"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(h5_read_c64(f, complex_names[i], 1, NULL, n, z, &e), 0);
        assert_true(crealf(z[2]) == 3 && cimagf(z[2]) == -0.25f);
    }
    fails(h5_read_c64(f, "compound_xy", 1, NULL, n, z, &e), ERR_DATA, "expected complex");
    const char *const texts[] = {"fixed", "fixed_padded", "variable", "one_element"};
    for (int i = 0; i < 4; i++) {
        char *text = h5_read_text(f, texts[i], &e);
        assert_non_null(text);
        assert_string_equal(text, "<xml/>");
        mem_free(text);
    }
    fails(h5_read_text(f, "two_texts", &e) ? 0 : -1, ERR_DATA, "list");
    char *text = h5_attr_text(f, "/", "bytes", &e);
    assert_string_equal(text, "CORPD_FBK");
    mem_free(text);
    int64_t i;
    double v;
    assert_int_equal(h5_attr_i64(f, "/", "flag", &i, &e), 0);
    assert_int_equal(i, 1);
    assert_int_equal(h5_attr_f64(f, "/", "small", &v, &e), 0);
    assert_true(v == 0.5);
    struct h5_info info;
    fails(h5_describe(f, "deep", &info, &e), ERR_DATA, "7 dimensions");
    h5_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_atomic),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_same_data_same_bytes),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_foreign_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
