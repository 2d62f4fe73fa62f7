/* What the table says about a defect is what sets a scan apart from the same scan without it. */
#include "data/fft.h"
#include "data/phantom_slot.h"
#include "phantom_files.h"

#include <math.h>

enum { S = 6, C = 3, H = 96, W = 72, N = 64, ALL = S * C * H * W };

static struct phantom_conf sized(const char *defect)
{
    struct phantom_conf c = small();
    c.slices = S;
    c.coils = C;
    c.readout = H;
    c.width = W;
    c.padding = 4;
    c.defect = defect;
    c.contrast = PHANTOM_NON_FS;
    return c;
}

static struct defect defect_of(const struct phantom_conf *c, int scan)
{
    struct phantom *p = scan_new(c, scan);
    struct defect d = *phantom_defect(p);
    phantom_free(p);
    return d;
}

/* The scan with its defect and without. */
static struct defect both(const char *kind, int scan, float complex **with, float complex **without)
{
    size_t n;
    struct phantom_conf c = sized(kind);
    struct defect d = defect_of(&c, scan);
    *with = kspace_of(written("with.h5", c, scan), &n);
    assert_int_equal(n, ALL);
    *without = kspace_of(written("without.h5", sized(""), scan), &n);
    return d;
}

static size_t at(int s, int c, int i, int j)
{
    return (size_t)(((s * C + c) * H + i) * W + j);
}

/* Slices that the table does not name are the same bits, and those it names are not. */
static void only_these_slices(const float complex *x, const float complex *y, int first, int last)
{
    for (int s = 0; s < S; s++) {
        bool same = memcmp(x + at(s, 0, 0, 0), y + at(s, 0, 0, 0), sizeof *x * C * H * W) == 0;
        assert_int_equal(same, s < first || s > last);
    }
}

static void test_motion(void **state)
{
    (void)state;
    float complex *x, *y;
    for (int scan = 0; scan < 4; scan++) {
        struct defect d = both("motion", scan, &x, &y);
        assert_int_equal(d.kind, DEFECT_MOTION);
        only_these_slices(x, y, d.first, d.last);
        double largest = 0;
        for (int i = 0; i < d.poses; i++)
            largest = fmax(largest, hypot((double)d.pose[i].dx, (double)d.pose[i].dz));
        assert_true(fabs(largest - d.severity) < 1e-5);
        /* columns of the shots before the first move are as at rest, all others are not */
        for (int j = 4; j < W - 4; j++) {
            bool rest = (j - 4) % d.shots < d.from[1], same = true;
            for (int i = 0; i < H; i++)
                same &= x[at(d.first, 0, i, j)] == y[at(d.first, 0, i, j)];
            assert_int_equal(same, rest);
        }
        mem_free(x);
        mem_free(y);
    }
}

/* A shift alone is a phase ramp over the columns of its shots, as far as coils are even. */
static void test_motion_is_rigid(void **state)
{
    (void)state;
    struct phantom_conf c = sized("motion");
    c.coils = 1;
    c.snr = 1e6;
    c.padding = 0;
    struct phantom *p = scan_new(&c, 0);
    struct slot s;
    assert_int_equal(slot_init(&s, p, &e), 0);
    p->array.coil[0].radius = 4000; /* a field that hardly varies */
    p->array.coil[0].at = (struct vec3){9000, 0, 0};
    memset(p->phase, 0, sizeof p->phase);
    p->defect.first = 0;
    p->defect.poses = 2;
    p->defect.from[1] = 1;
    p->defect.pose[1] = (struct pose){3, 2, 0};
    static float complex moved[H * W];
    assert_int_equal(slot_simulate(&s, p, 3), 0);
    memcpy(moved, s.kspace, sizeof moved);
    p->defect.kind = DEFECT_NONE;
    assert_int_equal(slot_simulate(&s, p, 3), 0);
    double complex agree = 0;
    double a = 0, b = 0;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            if (j % p->defect.shots == 0) continue;
            /* row 0 is at the head: moving up by 2 mm moves to lower rows */
            double turn = 2 * M_PI *
                          ((j - W / 2) * 3.0 / (W * (double)p->voxel_mm) -
                           (i - H / 2) * 2.0 / (H * (double)p->voxel_mm));
            double complex r = s.kspace[i * W + j] * cexp(-I * turn), m = moved[i * W + j];
            agree += m * conj(r);
            a += pow(cabs(m), 2);
            b += pow(cabs(r), 2);
        }
    assert_true(creal(agree) > 0.97 * sqrt(a * b));
    slot_release(&s);
    phantom_free(p);
}

static void test_spikes(void **state)
{
    (void)state;
    float complex *x, *y;
    for (int scan = 0; scan < 4; scan++) {
        struct defect d = both("spike", scan, &x, &y);
        size_t differ = 0;
        for (size_t i = 0; i < ALL; i++)
            differ += x[i] != y[i];
        assert_true(d.spikes >= 1 && differ == (size_t)(d.spikes * C));
        for (int k = 0; k < d.spikes; k++)
            for (int c = 0; c < C; c++) {
                const struct spike *p = &d.spike[k];
                double largest = 0;
                for (int i = 0; i < H * W; i++)
                    largest = fmax(largest, cabs(y[at(p->slice, c, 0, i)]));
                size_t i = at(p->slice, c, p->row, p->col);
                assert_true(fabs(cabs(x[i] - y[i]) / largest - p->over) < 1e-3);
                assert_true(p->col >= 4 && p->col < W - 4);
            }
        mem_free(x);
        mem_free(y);
    }
}

static void test_dead_coil(void **state)
{
    (void)state;
    float complex *x, *y;
    struct defect d = both("dead-coil", 1, &x, &y);
    struct phantom_conf conf = sized("dead-coil");
    struct phantom *p = scan_new(&conf, 1);
    double power = 0, count = 0;
    for (int s = 0; s < S; s++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < H; i++)
                for (int j = 4; j < W - 4; j++) {
                    size_t k = at(s, c, i, j);
                    if (c != d.coil) assert_true(x[k] == y[k]);
                    if (c == d.coil) power += pow(cabs(x[k]), 2);
                    if (c == d.coil) count += 2;
                }
    assert_true(fabs(sqrt(power / count) / phantom_noise_sd(p) - 1) < 0.02);
    phantom_free(p);
    mem_free(x);
    mem_free(y);
}

/* The difference of the images lies where the table says, and nowhere else. */
static void test_lesions(void **state)
{
    (void)state;
    enum { M = 96 };
    int kinds = 0;
    for (int scan = 0; scan < 6; scan++) {
        struct phantom_conf c = sized("lesion");
        c.size = c.readout = c.width = M;
        c.padding = 0;
        struct defect d = defect_of(&c, scan);
        assert_true(d.first <= d.last);
        float *x = rss_of(written("with.h5", c, scan), S, M);
        c.defect = "";
        float *y = rss_of(written("without.h5", c, scan), S, M);
        double sum = 0, row = 0, col = 0, outside = 0;
        for (int s = 0; s < S; s++)
            for (int i = 0; i < M; i++)
                for (int j = 0; j < M; j++) {
                    double diff = pow(x[(s * M + i) * M + j] - y[(s * M + i) * M + j], 2);
                    sum += diff;
                    row += diff * i;
                    col += diff * j;
                    if (s < d.first || s > d.last) outside += diff;
                }
        const double reach = 0.7 * d.severity * M / 140 + 1;
        assert_true(sum > 0 && outside == 0);

        assert_true(hypot(row / sum - d.row, col / sum - d.col) < reach);
        kinds |= 1 << d.lesion.kind;
        mem_free(x);
        mem_free(y);
    }
    assert_int_equal(kinds, (1 << LESION_KINDS) - 1);
}

/* The other leg appears at the far edge, within the depth that the table gives. */
static void test_wrap(void **state)
{
    (void)state;
    float complex *x, *y;
    struct defect d = both("wrap", 0, &x, &y);
    struct phantom_conf c = sized("wrap");
    struct phantom *p = scan_new(&c, 0);
    const bool left = p->knee.mirror > 0; /* what is beyond the right edge folds in at the left */
    struct fft2 *fft = fft2_new(H, W, &e);
    double in = 0, out = 0;
    const int depth = (int)ceil(d.severity / (double)p->voxel_mm);
    for (int k = 0; k < C; k++) {
        fft2_inverse(fft, x + at(3, k, 0, 0));
        fft2_inverse(fft, y + at(3, k, 0, 0));
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W; j++) {
                double diff = pow(cabs(x[at(3, k, i, j)] - y[at(3, k, i, j)]), 2);
                int from = left ? j : W - 1 - j;
                *(from < depth + 2 ? &in : &out) += diff;
            }
    }
    assert_true(in > 0 && out < 0.15 * in); /* the rest is the blur of columns not acquired */
    fft2_free(fft);
    phantom_free(p);
    mem_free(x);
    mem_free(y);
}

static void test_share_and_kinds(void **state)
{
    (void)state;
    struct phantom_conf c = sized("");
    c.defects = 0.3;
    int count[DEFECT_KINDS] = {0};
    for (int i = 0; i < 1000; i++)
        count[defect_of(&c, i).kind]++;
    assert_true(abs(count[DEFECT_NONE] - 700) < 73); /* 5 sigma */
    for (int k = 1; k < DEFECT_KINDS; k++)
        assert_true(abs(count[k] - 60) < 38);
    c.defect = "spike,dead-coil";
    for (int i = 0; i < 100; i++) {
        enum defect_kind k = defect_of(&c, i).kind;
        assert_true(k == DEFECT_NONE || k == DEFECT_SPIKE || k == DEFECT_DEAD_COIL);
    }
    unsigned kinds;
    assert_int_equal(defect_kinds("spike, moton", &kinds, &e), -1);
    assert_non_null(strstr(e.text, "'moton'"));
    assert_non_null(strstr(e.hint, "motion"));
}

static struct phantom_conf folder_of(const char *name)
{
    static char folder[256];
    struct phantom_conf c = sized("");
    c.out = strcpy(folder, scratch_path(name));
    c.scans = 6;
    c.slices = 2;
    c.coils = 1;
    c.readout = c.width = N;
    c.padding = 0;
    c.defects = 0.5;
    return c;
}

static void run(const struct phantom_conf *c)
{
    if (phantom_run(c, true, &e)) fail_msg("%s", e.text);
}

static FILE *table_of(const struct phantom_conf *c)
{
    char csv[300], line[512];
    snprintf(csv, sizeof csv, "%s/knee-%d-defects.csv", c->out, (int)c->seed);
    FILE *f = fopen(csv, "r");
    if (!f) return NULL;
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "scan,contrast,kind,first_slice,last_slice,severity,unit,coil,row,"
                              "column,location\n");
    return f;
}

/* The next lines are those of a scan, as the configuration makes it. */
static void next_is(FILE *f, const struct phantom_conf *c, int scan)
{
    static const char *const names[] = {"none", "motion", "wrap", "spike", "dead-coil", "lesion"};
    char line[512], want[256];
    struct defect d = defect_of(c, scan);
    for (int rows = d.kind == DEFECT_SPIKE ? d.spikes : 1; rows > 0; rows--) {
        assert_non_null(fgets(line, sizeof line, f));
        snprintf(want, sizeof want, "knee-%d-%04d.h5,non-fs,%s,", (int)c->seed, scan,
                 names[d.kind]);
        assert_int_equal(strncmp(line, want, strlen(want)), 0);
    }
}

static void ends(FILE *f)
{
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
}

/* The file beside the scans has a line for each, two and more only where there are spikes. */
static void test_table(void **state)
{
    (void)state;
    struct phantom_conf c = folder_of("table");
    run(&c);
    FILE *f = table_of(&c);
    assert_non_null(f);
    for (int i = 0; i < c.scans; i++)
        next_is(f, &c, i);
    ends(f);
}

/* Whatever runs follow in the folder, the table is that of the scans in it. */
static void test_table_agrees_with_the_folder(void **state)
{
    (void)state;
    struct phantom_conf c = folder_of("agrees"), fewer = c, clean = c;
    char other[300];
    int planted = 0;
    for (int i = 2; i < 6; i++)
        planted += defect_of(&c, i).kind != DEFECT_NONE;
    assert_true(planted > 0);
    run(&c);
    fewer.scans = 2;
    run(&fewer); /* fewer scans asked for, six there */
    FILE *f = table_of(&c);
    assert_non_null(f);
    for (int i = 0; i < 6; i++)
        next_is(f, &c, i);
    ends(f);
    clean.defects = 0;
    clean.overwrite = true;
    clean.scans = 2;
    run(&clean); /* two of them replaced by clean ones */
    assert_non_null(f = table_of(&c));
    for (int i = 0; i < 6; i++)
        next_is(f, i < 2 ? &clean : &c, i);
    ends(f);
    snprintf(other, sizeof other, "%s/knee-%d-0004.h5", c.out, (int)c.seed);
    assert_int_equal(unlink(other), 0);
    run(&clean); /* nothing to make, one file gone */
    assert_non_null(f = table_of(&c));
    for (int i = 0; i < 6; i++)
        if (i != 4) next_is(f, i < 2 ? &clean : &c, i);
    ends(f);
    clean.scans = 6;
    run(&clean);
    assert_null(table_of(&c));
}

/* A run that ends early has told of what it finished, and of nothing else. */
static void test_table_of_a_run_that_failed(void **state)
{
    (void)state;
    struct phantom_conf c = folder_of("failed"), clean = c;
    char path[300], blocked[400];
    clean.defects = 0;
    run(&clean);
    assert_null(table_of(&c));
    /* scan 2 cannot be replaced: its name belongs to a folder that is not empty */
    snprintf(path, sizeof path, "%s/knee-%d-0002.h5", c.out, (int)c.seed);
    snprintf(blocked, sizeof blocked, "%s/x", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(mkdir(blocked, 0777), 0);
    c.overwrite = true;
    assert_int_equal(phantom_run(&c, true, &e), -1);
    FILE *f = table_of(&c);
    assert_non_null(f);
    for (int i = 0; i < 6; i++)
        if (i != 2) next_is(f, i < 2 ? &c : &clean, i);
    ends(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_motion),
        cmocka_unit_test(test_motion_is_rigid),
        cmocka_unit_test(test_spikes),
        cmocka_unit_test(test_dead_coil),
        cmocka_unit_test(test_lesions),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_share_and_kinds),
        cmocka_unit_test(test_table_agrees_with_the_folder),
        cmocka_unit_test(test_table_of_a_run_that_failed),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
