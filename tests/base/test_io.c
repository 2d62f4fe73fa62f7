#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <signal.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    assert_int_equal(io_path(p, sizeof path[0], NULL, "%s/%s", dir, name), 0);
    return p;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));)
        n += x->d_name[0] != '.';
    closedir(d);
    return n;
}

static void written_text_is_read_back(void **state)
{
    (void)state;
    struct err e = {0};
    const char *path = in_dir("a.txt");
    const char text[] = "first\0second"; /* NUL bytes are content like any other */
    assert_int_equal(io_write_text(path, text, sizeof text, &e), 0);
    assert_int_equal(io_write_text(path, text, sizeof text, &e), 0);
    size_t len = 0;
    char *back = io_read_text(path, sizeof text, &len, &e);
    assert_non_null(back);
    assert_int_equal(len, sizeof text);
    assert_memory_equal(back, text, sizeof text);
    mem_free(back);
    assert_int_equal(entries(dir), 1); /* no temporary file is left */
}

static void mode_follows_the_umask(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(027);
    assert_int_equal(io_write_text(in_dir("m.txt"), "x", 1, NULL), 0);
    umask(old);
    assert_int_equal(stat(in_dir("m.txt"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_failed_write_keeps_the_old_file(void **state)
{
    (void)state;
    struct err e = {0};
    const char *path = in_dir("kept.txt");
    assert_int_equal(io_write_text(path, "old", 3, &e), 0);
    int before = entries(dir);
    struct rlimit full, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &full), 0);
    small = full;
    small.rlim_cur = 1000; /* the disk is "full" after 1000 bytes */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char big[5000];
    int r = io_write_text(path, big, sizeof big, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    assert_int_equal(r, -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "kept.txt: cannot be written: File too large"));
    assert_int_equal(entries(dir), before);
    size_t len = 0;
    char *back = io_read_text(path, 100, &len, &e);
    assert_string_equal(back, "old");
    mem_free(back);
}

static void a_missing_directory_is_an_error(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(io_write_text(in_dir("no/such/file"), "x", 1, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "no/such/file: cannot be created: No such file"));
}

static void reading_refuses_what_is_not_a_file(void **state)
{
    (void)state;
    struct err e = {0};
    size_t len = 0;
    assert_null(io_read_text(in_dir("absent"), 10, &len, &e));
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_null(io_read_text(dir, 10, &len, &e));
    assert_non_null(strstr(e.text, "is a directory"));
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_null(io_read_text(in_dir("fifo"), 10, &len, &e)); /* and does not wait for a writer */
    assert_non_null(strstr(e.text, "not a regular file"));
    assert_null(io_read_text("/dev/zero", 10, &len, &e));
    assert_non_null(strstr(e.text, "not a regular file"));
    assert_int_equal(io_write_text(in_dir("eleven"), "12345678901", 11, &e), 0);
    assert_null(io_read_text(in_dir("eleven"), 10, &len, &e));
    assert_int_equal(e.code, ERR_DATA);
    assert_null(io_read_text("/proc/self/maps", 10, &len, &e)); /* a file that says it is empty */
    assert_int_equal(e.code, ERR_DATA);
}

static void mkdirs_makes_every_parent(void **state)
{
    (void)state;
    struct err e = {0};
    struct stat st;
    assert_int_equal(io_mkdirs(in_dir("p//q/r/"), &e), 0);
    assert_int_equal(io_mkdirs(in_dir("p/q/r"), &e), 0);
    assert_int_equal(stat(in_dir("p/q/r"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(io_mkdirs("/", &e), 0);
    assert_int_equal(io_mkdirs(".", &e), 0);
}

static void mkdirs_names_the_component(void **state)
{
    (void)state;
    struct err e = {0};
    char want[512];
    assert_int_equal(io_write_text(in_dir("file"), "x", 1, &e), 0);
    assert_int_equal(io_mkdirs(in_dir("file/sub"), &e), -1);
    assert_int_equal(e.code, ERR_IO);
    snprintf(want, sizeof want, "'%s' is a file", in_dir("file"));
    assert_non_null(strstr(e.text, want));
    assert_int_equal(io_mkdirs("/proc/nothing/sub", &e), -1);
    assert_non_null(strstr(e.text, "'/proc/nothing' cannot be made"));
    assert_int_equal(io_mkdirs("", &e), -1);
    static char longer[10000];
    memset(longer, 'a', sizeof longer - 1);
    assert_int_equal(io_mkdirs(longer, &e), -1);
}

static void path_refuses_truncation(void **state)
{
    (void)state;
    struct err e = {0};
    char out[6];
    assert_int_equal(io_path(out, sizeof out, &e, "%s/%s", "ab", "cd"), 0);
    assert_string_equal(out, "ab/cd");
    assert_int_equal(io_path(out, sizeof out, &e, "%s/%s", "ab", "cde"), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_string_equal(out, "");
    assert_false(io_exists(in_dir("nothing")));
    assert_true(io_exists(dir));
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/ssfd-io-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_text_is_read_back),
        cmocka_unit_test(mode_follows_the_umask),
        cmocka_unit_test(a_failed_write_keeps_the_old_file),
        cmocka_unit_test(a_missing_directory_is_an_error),
        cmocka_unit_test(reading_refuses_what_is_not_a_file),
        cmocka_unit_test(mkdirs_makes_every_parent),
        cmocka_unit_test(mkdirs_names_the_component),
        cmocka_unit_test(path_refuses_truncation),
    };
    return cmocka_run_group_tests_name("io", tests, make_dir, remove_dir);
}
