#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "data/refcache.h"
#include "data/reference.h"
#include "scratch.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utime.h>

static struct err e;

enum { S = 3, C = 4, READOUT = 26, PHASE = 20, H = 20, W = 16, RAW = C * READOUT * PHASE };
static const struct jsense_conf conf = {
    .kernel = 4, .calibration = 0.5, .iterations = 3, .inner_iterations = 5, .lambda = 0};

/* A scan with a reconstruction of (H, W), so that references are cropped. */
static void write_scan(const char *path, uint32_t seed, float bad)
{
    float complex *x = mem_new(S * RAW, sizeof *x, &e);
    for (int i = 0; i < S * RAW; i++) {
        int row = i / PHASE % READOUT, col = i % PHASE;
        double far = hypot(row - READOUT / 2, col - PHASE / 2);
        x[i] = (float)exp(-0.3 * far) * (scratch_noise(&seed) + scratch_noise(&seed) * I);
    }
    x[RAW + 7] *= bad;
    const int64_t dim[4] = {S, C, READOUT, PHASE}, size[3] = {S, H, W};
    struct h5 *f = h5_create(path, &e);
    if (!f || h5_make(f, "kspace", H5_C64, 4, dim, &e) ||
        h5_write_c64(f, "kspace", 4, NULL, dim, x, &e) ||
        h5_make(f, "reconstruction_rss", H5_F32, 3, size, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
    mem_free(x);
}

/* Prepares the two scans a.h5 and b.h5 of the folder "scans"; returns the error code. */
static int prepare(const struct jsense_conf *c, struct refcache out[2])
{
    const char *folder = scratch_path("scans");
    struct scans s;
    e = (struct err){0};
    if (scans_find(&s, &folder, 1, &e)) fail_msg("%s", e.text);
    assert_int_equal(s.n, 2);
    int rc = refcache_prepare(&s, scratch_path("cache/deep"), c, true, out, &e);
    scans_release(&s);
    assert_int_equal(rc, e.code ? -1 : 0);
    return (int)e.code;
}

static void fresh(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s/scans' '%s/cache'; mkdir '%s/scans'", scratch,
             scratch, scratch);
    assert_int_equal(system(command), 0);
    write_scan(scratch_path("scans/a.h5"), 1, 1);
    write_scan(scratch_path("scans/b.h5"), 2, 1);
}

/* Changes whenever a file is made anew: files are renamed into place, never rewritten. */
static ino_t made(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
    char command[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    if (system(command)) fail_msg("%s", command);
}

/* Which of the two files another preparation makes again: bit 0 for a, bit 1 for b. */
static int remade(const struct jsense_conf *c, const struct refcache before[2])
{
    struct refcache r[2];
    ino_t inode[2];
    for (int i = 0; i < 2; i++) { /* a hard link keeps the inode from being used again */
        inode[i] = io_exists(before[i].path) ? made(before[i].path) : 0;
        if (inode[i])
            run("ln -f '%s' '%s/keep.%d.%llu'", before[i].path, scratch, i,
                (unsigned long long)inode[i]);
    }
    if (prepare(c, r)) fail_msg("%s", e.text);
    return (made(r[0].path) != inode[0]) | (made(r[1].path) != inode[1]) << 1;
}

static void test_holds_the_references(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    const char *start = scratch_path("cache/deep/b.");
    assert_memory_equal(r[1].path, start, strlen(start)); /* and a hash */
    assert_int_equal(strlen(r[1].path), strlen(start) + 8 + strlen(".h5"));
    assert_true(r[1].slices == S && r[1].coils == C && r[1].height == H && r[1].width == W);

    struct scan s;
    struct reference want;
    assert_int_equal(scan_probe(&s, scratch_path("scans/b.h5"), &e), 0);
    assert_int_equal(reference_init(&want, &s, &conf, &e), 0);
    struct scan_file *f = scan_open(&s, &e);
    for (int i = 0; i < S; i++) {
        float complex image[H * W], kernels[C * 16];
        float rss[H * W];
        static float complex raw[RAW];
        assert_int_equal(scan_read_kspace(&s, f, i, raw, &e), 0);
        assert_int_equal(reference_make(&want, raw, NULL, &e), 0);
        assert_int_equal(refcache_read(r + 1, i, image, &e), 0);
        assert_int_equal(refcache_read_kernels(r + 1, i, kernels, &e), 0);
        assert_int_equal(refcache_read_rss(r + 1, i, rss, &e), 0);
        assert_memory_equal(image, want.image, sizeof image);
        assert_memory_equal(kernels, want.kernels, sizeof kernels);
        assert_memory_equal(rss, want.rss, sizeof rss);
        float peak = 0;
        for (int k = 0; k < H * W; k++)
            peak = fmaxf(peak, cabsf(image[k]));
        assert_true(peak > 1e-3f);
    }
    scan_close(f);
    reference_release(&want);
    run("cd '%s/cache/deep' && test $(ls a.*.png b.*.png | wc -l) = 2", scratch);
}

static void test_reuse_and_staleness(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    assert_int_equal(remade(&conf, r), 0);

    struct jsense_conf other[5] = {conf, conf, conf, conf, conf}; /* each parameter counts */
    other[0].kernel = 5;
    other[1].iterations++;
    other[2].inner_iterations++;
    other[3].lambda = 1e-9;
    other[4].calibration = 0.501;
    for (int i = 0; i < 5; i++) {
        struct refcache q[2];
        assert_int_equal(prepare(other + i, q), 0);
        assert_string_not_equal(q[0].path, r[0].path);
        assert_int_equal(remade(other + i, q), 0);
        assert_int_equal(remade(&conf, r), 0); /* both stay */
    }

    const struct utimbuf past = {1000000, 1000000};
    assert_int_equal(utime(scratch_path("scans/a.h5"), &past), 0); /* touched, same content */
    assert_int_equal(remade(&conf, r), 0);
    write_scan(scratch_path("scans/a.h5"), 9, 1); /* same size, other content */
    assert_int_equal(remade(&conf, r), 1);
}

/* A change of which the name of the cached file knows nothing: the whole content is hashed. */
static void test_a_small_change(void **state)
{
    (void)state;
    struct refcache r[2], q[2];
    enum { LARGE = 40 }; /* slices: more than the blocks that are looked at for the name */
    fresh();
    const int64_t dim[4] = {LARGE, C, READOUT, PHASE};
    float complex *x = mem_new(LARGE * RAW, sizeof *x, &e);
    uint32_t seed = 4;
    for (int i = 0; i < LARGE * RAW; i++)
        x[i] = scratch_noise(&seed);
    write_kspace(scratch_path("scans/a.h5"), 4, dim, x);
    assert_int_equal(prepare(&conf, r), 0);
    x[LARGE / 4 * RAW] += 1;
    write_kspace(scratch_path("scans/a.h5"), 4, dim, x);
    assert_int_equal(remade(&conf, r), 1);
    assert_int_equal(prepare(&conf, q), 0);
    assert_string_equal(q[0].path, r[0].path);
    mem_free(x);
}

/* Two data sets with the same names in one folder do not get into each other's way. */
static void test_equal_names(void **state)
{
    (void)state;
    struct refcache first[2], second[2];
    fresh();
    assert_int_equal(prepare(&conf, first), 0);
    run("mv '%s/scans' '%s/first' && mkdir '%s/scans'", scratch, scratch, scratch);
    write_scan(scratch_path("scans/a.h5"), 5, 1);
    write_scan(scratch_path("scans/b.h5"), 6, 1);
    assert_int_equal(prepare(&conf, second), 0);
    assert_int_equal(remade(&conf, second), 0);
    run("cd '%s' && mv scans second && mv first scans", scratch);
    assert_int_equal(remade(&conf, first), 0);
    run("rm -r '%s/second'", scratch);
}

/* Inverts one byte in the middle of what is stored under a dataset. */
static void damage(const char *path, const void *needle, size_t len)
{
    size_t size;
    char *text = io_read_text(path, 1 << 24, &size, &e);
    assert_non_null(text);
    char *at = memmem(text, size, needle, len);
    assert_non_null(at);
    at[len / 2] = (char)~at[len / 2];
    FILE *f = fopen(path, "r+b"); /* in place: the same file, as a bad disk would do it */
    assert_int_equal(fwrite(text, 1, size, f), size);
    fclose(f);
    mem_free(text);
}

static void test_damage_is_mended(void **state)
{
    (void)state;
    struct refcache r[2];
    float complex good[H * W], image[H * W], kernels[C * 16], k[C * 16];
    float rss[H * W], also[H * W];
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    run("cp '%s' '%s/good.h5'", r[0].path, scratch);
    assert_int_equal(refcache_read(r, 1, good, &e), 0);
    assert_int_equal(refcache_read_kernels(r, 1, kernels, &e), 0);
    assert_int_equal(refcache_read_rss(r, 1, rss, &e), 0);

    damage(r[0].path, good, sizeof good);
    assert_int_equal(refcache_read(r, 1, image, &e), 0);
    assert_memory_equal(image, good, sizeof good);
    run("cmp '%s' '%s/good.h5'", r[0].path, scratch);
    damage(r[0].path, kernels, sizeof kernels);
    assert_int_equal(refcache_read_kernels(r, 1, k, &e), 0);
    assert_memory_equal(k, kernels, sizeof k);
    damage(r[0].path, rss, sizeof rss);
    assert_int_equal(refcache_read_rss(r, 1, also, &e), 0);
    assert_memory_equal(also, rss, sizeof rss);
    damage(r[0].path, rss, sizeof rss);
    assert_int_equal(refcache_verify(r, 0, &e), 0); /* another slice */
    assert_int_equal(refcache_verify(r, 1, &e), 0);
    run("cmp '%s' '%s/good.h5'", r[0].path, scratch);

    assert_int_equal(truncate(r[0].path, 3000), 0);
    assert_int_equal(refcache_read(r, 1, image, &e), 0);
    assert_memory_equal(image, good, sizeof good);
    assert_int_equal(unlink(r[0].path), 0);
    assert_int_equal(refcache_read(r, 1, image, &e), 0);
    assert_memory_equal(image, good, sizeof good);
    assert_int_equal(truncate(r[0].path, 3000), 0);
    assert_int_equal(remade(&conf, r), 1);

    FILE *f = fopen(r[1].path, "w");
    fputs("not HDF5", f);
    fclose(f);
    assert_int_equal(remade(&conf, r), 2);
    struct h5 *h = h5_create(r[1].path, &e); /* HDF5 of something else */
    assert_int_equal(h5_commit(h, &e), 0);
    h5_close(h);
    assert_int_equal(remade(&conf, r), 2);

    assert_int_equal(truncate(r[0].path, 3000), 0); /* and the scan is gone: no way to mend */
    assert_int_equal(unlink(scratch_path("scans/a.h5")), 0);
    assert_int_equal(refcache_read(r, 1, image, &e), -1);
    assert_non_null(strstr(e.text, "scans/a.h5"));
}

static void test_a_bad_scan(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    write_scan(scratch_path("scans/a.h5"), 2, NAN);
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "a.h5"));
    assert_non_null(strstr(e.text, "slice 1, coil 0, row 0, column 7"));
    assert_int_equal(access(r[1].path, F_OK), 0); /* b is made all the same */
    assert_int_not_equal(access(r[0].path, F_OK), 0);
    run("test $(ls '%s/cache/deep' | wc -l) = 2", scratch); /* and its picture */

    write_scan(scratch_path("scans/b.h5"), 2, NAN);
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "2 scans"));
    assert_non_null(strstr(e.text, "a.h5"));

    struct jsense_conf large = conf;
    large.kernel = 17;
    fresh();
    assert_int_equal(prepare(&large, r), ERR_CONFIG);
    assert_non_null(strstr(e.text, "a.h5"));
    run("test -z \"$(ls '%s/cache/deep')\"", scratch);
}

/* The centre of k-space is where it should be. */
static void test_an_empty_centre(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    const int64_t dim[4] = {1, C, H, W}, two[4] = {2, C, H, W};
    float complex *x = mem_new(2 * C * H * W, sizeof *x, &e);
    for (int i = 0; i < C * H * W; i++)
        x[C * H * W + i] = 1;
    write_kspace(scratch_path("scans/a.h5"), 4, two, x); /* an empty slice: a reference of zeros */
    x[0] = 1;
    write_kspace(scratch_path("scans/b.h5"), 4, dim, x); /* the centre in the corner */
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "b.h5"));
    assert_non_null(strstr(e.text, "centre of k-space"));
    float complex image[H * W];
    assert_int_equal(refcache_read(r, 0, image, &e), 0);
    for (int i = 0; i < H * W; i++)
        assert_true(image[i] == 0);
    mem_free(x);
}

/* What no header tells: nothing at all, and every fourth column only. */
static void test_missing_samples(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    const int64_t dim[4] = {2, C, H, W};
    float complex *x = mem_new(2 * C * H * W, sizeof *x, &e);
    write_kspace(scratch_path("scans/a.h5"), 4, dim, x);
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "a.h5"));
    assert_non_null(strstr(e.text, "only zeros"));
    assert_int_not_equal(access(r[0].path, F_OK), 0);
    for (int i = 0; i < 2 * C * H * W; i++)
        if (i % W % 4 == 0) x[i] = 1;
    write_kspace(scratch_path("scans/a.h5"), 4, dim, x);
    assert_int_equal(prepare(&conf, r), ERR_DATA);
    assert_non_null(strstr(e.text, "a.h5"));
    assert_non_null(strstr(e.text, "undersampled"));
    for (int i = 0; i < 2 * C * H * W; i++)
        x[i] = i % W > 2 ? 1 : 0; /* partial Fourier */
    write_kspace(scratch_path("scans/a.h5"), 4, dim, x);
    assert_int_equal(prepare(&conf, r), 0);
    mem_free(x);
}

/* ---- Interrupted, and several at once ------------------------------------------------------ */

enum { MANY = 6 };

static void many_scans(void)
{
    run("rm -rf '%s/scans' '%s/cache' '%s/whole'; mkdir '%s/scans'", scratch, scratch, scratch,
        scratch);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "scans/%c.h5", 'a' + i);
        write_scan(scratch_path(name), 20 + (uint32_t)i, 1);
    }
}

/* A process that prepares them, into the given folder. */
static pid_t start(const char *cache)
{
    pid_t child = fork();
    if (child) return child;
    const char *folder = scratch_path("scans");
    struct refcache r[MANY];
    struct scans s;
    int bad = scans_find(&s, &folder, 1, &e) ||
              refcache_prepare(&s, scratch_path(cache), &conf, true, r, &e);
    if (bad) fprintf(stderr, "%s\n", e.text);
    _exit(bad ? 1 : 0);
}

static int wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Killed again and again at any moment, it comes to the same files, and what was finished once is
 * never made again. */
static void test_killed(void **state)
{
    (void)state;
    many_scans();
    assert_int_equal(wait_for(start("whole")), 0);
    uint32_t seed = 8;
    int kills = 0, rc = -1;
    for (int turn = 0; rc != 0; turn++) {
        pid_t child = start("cache");
        /* longer from turn to turn, so that it comes to an end */
        usleep((useconds_t)((float)(500 + 200 * turn) * (1.5f + scratch_noise(&seed))));
        kill(child, SIGKILL);
        rc = wait_for(child);
        kills += rc == -1;
        run("mkdir -p '%s/cache'; cd '%s/cache' && for f in *.h5; do test ! -e $f || "
            "cmp $f ../whole/$f || exit 1; "
            "test ! -e $f || test ! -e ../keep.$f || test $f -ef ../keep.$f || exit 1; "
            "test ! -e $f || ln -f $f ../keep.$f; done",
            scratch, scratch);
    }
    printf("killed %d times\n", kills);
    assert_true(kills > 0);
    run("cd '%s' && diff -r cache whole && test $(ls -A cache | wc -l) = %d", scratch,
        2 * MANY + 1); /* pictures, and the file of locks */
}

static void test_two_at_once(void **state)
{
    (void)state;
    for (int turn = 0; turn < 5; turn++) {
        many_scans();
        assert_int_equal(wait_for(start("whole")), 0);
        pid_t one = start("cache"), two = start("cache");
        assert_int_equal(wait_for(one), 0);
        assert_int_equal(wait_for(two), 0);
        run("cd '%s' && diff -r cache whole && test $(ls -A cache | wc -l) = %d", scratch,
            2 * MANY + 1);
    }
}

/* Another process holds every lock and sleeps: nobody waits for it for ever. */
static void test_a_sleeping_owner(void **state)
{
    (void)state;
    int ready[2];
    many_scans();
    run("cd '%s/scans' && rm [c-z].h5 && mkdir ../cache", scratch);
    assert_int_equal(pipe(ready), 0);
    pid_t owner = fork();
    if (owner == 0) {
        struct flock all = {.l_type = F_WRLCK};
        int fd = open(scratch_path("cache/.lock"), O_RDWR | O_CREAT, 0666);
        if (fcntl(fd, F_OFD_SETLK, &all) || write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    pid_t child = start("cache");
    usleep(300000);
    run("test $(ls '%s/cache' | wc -l) = 0", scratch); /* it waits */
    assert_int_equal(wait_for(child), 0);
    kill(owner, SIGKILL);
    wait_for(owner);
    run("test $(ls '%s/cache' | wc -l) = 4", scratch);
}

/* ---- Maps made elsewhere ------------------------------------------------------------------- */

static void write_maps(const char *path, const int64_t dim[4], const float complex *maps)
{
    struct h5 *f = h5_create(path, &e);
    if (!f || h5_make(f, "maps", H5_C64, 4, dim, &e) ||
        h5_write_c64(f, "maps", 4, NULL, dim, maps, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
}

/* BART's order of the same maps: rows fastest; slices third or 14th. */
static void write_cfl(bool slices_last, const float complex *maps)
{
    FILE *f = fopen(scratch_path("maps/b.hdr"), "w");
    if (slices_last)
        fprintf(f, "# Dimensions\n%d %d 1 %d 1 1 1 1 1 1 1 1 1 %d 1 1\n# Creator\n", H, W, C, S);
    else
        fprintf(f, "# Dimensions\n%d %d %d %d \n", H, W, S, C);
    fclose(f);
    f = fopen(scratch_path("maps/b.cfl"), "wb");
    for (int i = 0; i < S * C; i++) {
        int slice = slices_last ? i / C : i % S, coil = slices_last ? i % C : i / S;
        for (int x = 0; x < W; x++)
            for (int y = 0; y < H; y++)
                fwrite(maps + ((slice * C + coil) * H + y) * W + x, sizeof *maps, 1, f);
    }
    fclose(f);
}

static void test_given_maps(void **state)
{
    (void)state;
    enum { PIXELS = H * W, ALL = S * C * PIXELS };
    const int64_t dim[4] = {S, C, H, W}, short_dim[4] = {S, C, H, W - 1};
    struct refcache plain[2], r[2], again[2];
    struct jsense_conf given = conf;
    float complex *maps = mem_new(ALL, sizeof *maps, &e), want[PIXELS], got[PIXELS];
    uint32_t seed = 3;
    for (int i = 0; i < ALL; i++)
        maps[i] = 3 * scratch_noise(&seed) + scratch_noise(&seed) * I;
    for (int i = 0; i < S * C; i++)
        maps[i * PIXELS + 5] = 0;
    fresh();
    run("mkdir -p '%s/maps' && rm -f '%s/maps/'*", scratch, scratch);
    given.maps = scratch_path("maps");
    char folder[256];
    strcpy(folder, given.maps);
    given.maps = folder;
    assert_int_equal(prepare(&conf, plain), 0);
    write_maps(scratch_path("maps/a.h5"), dim, maps);
    assert_int_equal(prepare(&given, r), ERR_NOINPUT);
    assert_non_null(strstr(e.text, "b.cfl"));
    for (int way = 0; way < 2; way++) {
        write_cfl(way, maps);
        assert_int_equal(prepare(&given, r), 0);
        assert_true(r[1].kernel == 0);
        assert_string_not_equal(r[1].path, plain[1].path);
        for (int b = 0; b < 2; b++)
            for (int i = 0; i < S; i++) {
                struct reference ref;
                static float complex raw[RAW];
                assert_int_equal(reference_init(&ref, &r[b].scan, &given, &e), 0);
                struct scan_file *f = scan_open(&r[b].scan, &e);
                assert_int_equal(scan_read_kspace(&r[b].scan, f, i, raw, &e), 0);
                scan_close(f);
                reference_images(&ref, raw);
                for (int p = 0; p < PIXELS; p++) {
                    double complex sum = 0;
                    double size = 0;
                    for (int c = 0; c < C; c++) {
                        double complex m = (double complex)maps[(i * C + c) * PIXELS + p];
                        sum += conj(m) * (double complex)ref.images[c * PIXELS + p];
                        size += creal(m * conj(m));
                    }
                    want[p] = size > 0 ? (float complex)(sum / sqrt(size)) : 0;
                }
                assert_int_equal(refcache_read(r + b, i, got, &e), 0);
                for (int p = 0; p < PIXELS; p++)
                    assert_true(cabsf(got[p] - want[p]) < 1e-5f);
                assert_true(got[5] == 0);
                reference_release(&ref);
            }
        assert_int_equal(remade(&given, r), 0);
    }
    maps[7] += 1; /* other maps, other references */
    write_maps(scratch_path("maps/a.h5"), dim, maps);
    assert_int_equal(prepare(&given, again), 0);
    assert_string_not_equal(again[0].path, r[0].path);

    write_maps(scratch_path("maps/a.h5"), short_dim, maps);
    assert_int_equal(prepare(&given, r), ERR_DATA);
    assert_non_null(strstr(e.hint, "(3, 4, 20, 16)"));
    maps[9] = NAN;
    write_maps(scratch_path("maps/a.h5"), dim, maps);
    assert_int_equal(prepare(&given, r), ERR_DATA);
    assert_non_null(strstr(e.text, "slice 0"));
    write_kspace(scratch_path("maps/a.h5"), 4, dim, maps);
    assert_int_equal(prepare(&given, r), ERR_DATA);
    assert_non_null(strstr(e.text, "'maps' is missing"));

    run("rm '%s/maps/a.h5' && cd '%s/maps' && cp b.cfl a.cfl && cp b.hdr a.hdr", scratch, scratch);
    static const char *const headers[] = {"",
                                          "# Dimensions\n",
                                          "# Dimensions\n20 16 3 5\n",
                                          "# Dimensions\n20 x 3 4\n",
                                          "# Dimensions\n20 16 3 -4\n",
                                          "# Dimensions\n20 16 3 4 2\n",
                                          "# Dimensions\n99999999999999999999 1\n"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(
            io_write_text(scratch_path("maps/a.hdr"), headers[i], strlen(headers[i]), &e), 0);
        assert_int_equal(prepare(&given, r), ERR_DATA);
        assert_non_null(strstr(e.text, "maps/a."));
    }
    const char *right = "# Dimensions\n20 16 3 4\n";
    assert_int_equal(io_write_text(scratch_path("maps/a.hdr"), right, strlen(right), &e), 0);
    assert_int_equal(truncate(scratch_path("maps/a.cfl"), 1000), 0);
    assert_int_equal(prepare(&given, r), ERR_DATA);
    assert_non_null(strstr(e.text, "1000 bytes"));
    assert_int_equal(unlink(scratch_path("maps/a.hdr")), 0);
    assert_int_equal(prepare(&given, r), ERR_NOINPUT);
    assert_non_null(strstr(e.text, "maps/a.hdr"));
    mem_free(maps);
}

static void test_unwritable_folder(void **state)
{
    (void)state;
    fresh();
    const char *path = scratch_path("scans/a.h5");
    struct scans s;
    struct refcache r[1];
    assert_int_equal(scans_find(&s, &path, 1, &e), 0);
    assert_int_equal(refcache_prepare(&s, scratch_path("scans/b.h5/cache"), &conf, true, r, &e),
                     -1);
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.text, "b.h5"));
    scans_release(&s);
}

/* At any moment: neither a part of a file stays behind nor its picture. In processes of their own,
 * for HDF5 does not free what it could not write. */
static void test_full_disk(void **state)
{
    (void)state;
    struct refcache r[2];
    struct stat st;
    fresh();
    assert_int_equal(prepare(&conf, r), 0);
    assert_int_equal(stat(r[0].path, &st), 0);
    for (int part = 1; part <= 4; part++) {
        fresh();
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct rlimit room;
            getrlimit(RLIMIT_FSIZE, &room);
            room.rlim_cur = (rlim_t)(st.st_size * part / 4 - 1);
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &room);
            _exit(prepare(&conf, r) == ERR_IO && strstr(e.text, "cannot be written") ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        run("test -z \"$(ls '%s/cache/deep')\"", scratch);
    }
}

/* A cache in the folder of the scans would replace them. */
static void test_scans_are_never_overwritten(void **state)
{
    (void)state;
    fresh();
    const char *folder = scratch_path("scans");
    ino_t before = made(scratch_path("scans/a.h5"));
    struct scans s;
    struct refcache r[2];
    assert_int_equal(scans_find(&s, &folder, 1, &e), 0);
    assert_int_equal(refcache_prepare(&s, folder, &conf, true, r, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "scans/a.h5"));
    assert_int_equal(made(scratch_path("scans/a.h5")), before);
    scans_release(&s);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    many_scans();
    par_set_threads(1);
    assert_int_equal(wait_for(start("whole")), 0);
    par_set_threads(5);
    assert_int_equal(wait_for(start("cache")), 0);
    par_set_threads(2);
    run("cd '%s' && diff -r cache whole", scratch);
}

/* Last: the request to stop stays. */
static void test_stop(void **state)
{
    (void)state;
    struct refcache r[2];
    fresh();
    const char *folder = scratch_path("scans");
    struct scans s;
    assert_int_equal(scans_find(&s, &folder, 1, &e), 0);
    stop_on_signals();
    raise(SIGTERM);
    assert_true(stop_requested());
    assert_int_equal(refcache_prepare(&s, scratch_path("cache/deep"), &conf, true, r, &e), -1);
    scans_release(&s);
    assert_int_equal(e.code, ERR_STOPPED);
    assert_non_null(strstr(e.text, "SIGTERM"));
    run("test -z \"$(ls -A '%s/cache/deep')\"", scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_the_references),
        cmocka_unit_test(test_reuse_and_staleness),
        cmocka_unit_test(test_a_small_change),
        cmocka_unit_test(test_equal_names),
        cmocka_unit_test(test_damage_is_mended),
        cmocka_unit_test(test_a_bad_scan),
        cmocka_unit_test(test_an_empty_centre),
        cmocka_unit_test(test_missing_samples),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_a_sleeping_owner),
        cmocka_unit_test(test_given_maps),
        cmocka_unit_test(test_unwritable_folder),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_scans_are_never_overwritten),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
