/* Volumes: every orientation shows the same picture, every bad header is an error. */
#include "data/anatomy.h"
#include "phantom_files.h"

#include <math.h>

enum { HEADER = 352 };

/* A NIfTI-1 file made by hand: axes i, j, k run along the world axes `axis` (0 right, 1 front,
 * 2 head) in the directions `sign`; float voxels from value(right, front, head) in [-1, 1]. */
struct volume {
    short n[3], axis[3];
    float mm[3], sign[3];
    short datatype, dims;
};
static const struct volume plain = {{24, 16, 20}, {0, 1, 2}, {1.5f, 5, 1.5f}, {1, 1, 1}, 16, 3};

static float value(float right, float front, float head)
{
    float r = right * right + front * front + head * head;
    return r > 0.81f ? 0 : 100 + 60 * right + 30 * front + 20 * head;
}

static void put(unsigned char *h, int at, const void *x, size_t n)
{
    memcpy(h + at, x, n);
}

static const char *saved(const char *name, const struct volume *v, size_t cut)
{
    unsigned char h[HEADER] = {0};
    const int size = 348;
    const short dim[8] = {v->dims, v->n[0], v->n[1], v->n[2], 1, 1, 1, 1}, bits = 32, code = 1;
    const float pixdim[8] = {1, v->mm[0], v->mm[1], v->mm[2], 1, 1, 1, 1}, offset = HEADER;
    put(h, 0, &size, 4);
    put(h, 40, dim, sizeof dim);
    put(h, 70, &v->datatype, 2);
    put(h, 72, &bits, 2);
    put(h, 76, pixdim, sizeof pixdim);
    put(h, 108, &offset, 4);
    put(h, 254, &code, 2); /* sform */
    float row[3][4] = {{0}};
    for (int i = 0; i < 3; i++)
        row[v->axis[i]][i] = v->sign[i] * v->mm[i];
    put(h, 280, row, sizeof row);
    put(h, 344, "n+1", 4);
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(h, 1, HEADER, f);
    for (size_t m = 0, all = (size_t)v->n[0] * (size_t)v->n[1] * (size_t)v->n[2] - cut; m < all;
         m++) {
        const int at[3] = {(int)(m % (size_t)v->n[0]), (int)(m / (size_t)v->n[0] % (size_t)v->n[1]),
                           (int)(m / (size_t)v->n[0] / (size_t)v->n[1])};
        float world[3] = {0};
        for (int i = 0; i < 3; i++)
            world[v->axis[i]] = v->sign[i] * (float)(2 * at[i] + 1 - v->n[i]) / (float)v->n[i];
        float x = value(world[0], world[1], world[2]);
        fwrite(&x, 4, 1, f);
    }
    fclose(f);
    return path;
}

static struct anatomy *load(const char *path)
{
    struct anatomy *a = anatomy_load(path, &e);
    if (!a) fail_msg("%s", e.text);
    return a;
}

static void test_orientations_agree(void **state)
{
    (void)state;
    static const short axes[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0},
                                    {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};
    struct anatomy *first = load(saved("plain.nii", &plain, 0));
    for (int order = 0; order < 6; order++)
        for (int signs = 0; signs < 8; signs++) {
            struct volume v = plain;
            for (int i = 0; i < 3; i++) {
                v.axis[i] = axes[order][i];
                v.n[i] = plain.n[axes[order][i]];
                v.mm[i] = plain.mm[axes[order][i]];
                v.sign[i] = signs >> i & 1 ? -1 : 1;
            }
            struct anatomy *a = load(saved("turned.nii", &v, 0));
            assert_true(anatomy_hash(a) == anatomy_hash(first));
            anatomy_free(a);
        }
    anatomy_free(first);
}

/* Coronal slices, the first one in front; the right of the patient on the left; the head up. */
static void test_directions(void **state)
{
    (void)state;
    struct anatomy *a = load(saved("plain.nii", &plain, 0));
    struct anatomy_pose pose = anatomy_pose(a, 140, 80, rng_make(1, RNG_TEST, 0, 0));
    pose.mirror = 1;
    pose.cos = 1;
    pose.sin = 0;
    pose.offset = (struct vec3){0, 0, 0};
    const float here = anatomy_at(a, &pose, (struct vec3){0, 0, 0}).water;
    assert_true(here > 0.3f && here < 0.75f);
    /* the volume is brighter to the right (patient's), the front and the head */
    assert_true(anatomy_at(a, &pose, (struct vec3){-20, 0, 0}).water > 1.05f * here);
    assert_true(anatomy_at(a, &pose, (struct vec3){20, 0, 0}).water < 0.95f * here);
    assert_true(anatomy_at(a, &pose, (struct vec3){0, 15, 0}).water > 1.02f * here);
    assert_true(anatomy_at(a, &pose, (struct vec3){0, 0, 20}).water > 1.02f * here);
    assert_true(anatomy_at(a, &pose, (struct vec3){0, 0, 0}).fat == 0);
    assert_true(anatomy_at(a, &pose, (struct vec3){69, 0, 69}).water == 0);
    assert_true(anatomy_at(a, &pose, (struct vec3){1e6f, -1e6f, NAN}).water == 0);
    anatomy_free(a);
}

static void refused(const char *path, enum err_code code, const char *word)
{
    struct anatomy *a = anatomy_load(path, &e);
    assert_null(a);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, word)) fail_msg("'%s' does not say '%s'", e.text, word);
}

static void test_bad_files(void **state)
{
    (void)state;
    refused("/nowhere.nii", ERR_NOINPUT, "/nowhere.nii");
    const char *path = scratch_path("text.nii");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 100; i++)
        fputs("this is not a volume", f);
    fclose(f);
    refused(path, ERR_DATA, "not a NIfTI");
    path = scratch_path("empty.nii");
    fclose(fopen(path, "w"));
    refused(path, ERR_DATA, "not a NIfTI");
    struct volume v = plain;
    refused(saved("short.nii", &v, 100), ERR_DATA, "ends before");
    v.n[1] = 1;
    refused(saved("flat.nii", &v, 0), ERR_DATA, "dim[2] is 1");
    v = plain;
    v.mm[2] = 0.001f;
    refused(saved("dense.nii", &v, 0), ERR_DATA, "pixdim[3]");
    v = plain;
    v.dims = 2;
    refused(saved("plane.nii", &v, 0), ERR_DATA, "dimension");
    v = plain;
    v.datatype = 32; /* complex */
    refused(saved("complex.nii", &v, 0), ERR_DATA, "");
    v = plain;
    v.n[0] = v.n[1] = v.n[2] = 4096; /* says 256 GB, has none */
    refused(saved("vast.nii", &v, (size_t)4096 * 4096 * 4096), ERR_DATA, "2^28");
    v.n[2] = -5;
    v.n[0] = v.n[1] = 2;
    refused(saved("negative.nii", &v, (size_t)(4 * -5)), ERR_DATA, "");
}

/* Whatever is in a header, a volume is loaded or refused. */
static void test_mutated_headers(void **state)
{
    (void)state;
    static const unsigned char values[] = {0, 0x7f, 0xff};
    unsigned char file[HEADER + 4 * 8 * 8 * 4];
    struct volume v = plain;
    v.n[0] = v.n[1] = 8;
    v.n[2] = 4;
    FILE *f = fopen(saved("whole.nii", &v, 0), "rb");
    assert_int_equal(fread(file, 1, sizeof file, f), sizeof file);
    fclose(f);
    const char *path = scratch_path("mutated.nii");
    for (int i = 0; i < HEADER; i++)
        for (size_t k = 0; k < sizeof values; k++) {
            unsigned char was = file[i];
            file[i] = values[k];
            f = fopen(path, "wb");
            fwrite(file, 1, sizeof file, f);
            fclose(f);
            struct anatomy *a = anatomy_load(path, &e);
            if (!a) assert_true(e.code == ERR_DATA && *e.text);
            anatomy_free(a);
            file[i] = was;
        }
}

/* A scan of a volume: as any other, but for a contrast that has no fat. */
static void test_scan_of_a_volume(void **state)
{
    (void)state;
    struct phantom_conf c = small();
    struct anatomy *a = load(saved("plain.nii", &plain, 0));
    struct phantom *p = phantom_new(&c, a, 1, &e);
    assert_non_null(p);
    assert_int_equal(phantom_contrast(p), CONTRAST_NON_FS);
    const char *path = scratch_path("volume.h5");
    assert_int_equal(phantom_write(p, path, NULL, NULL, &e), 0);
    float *x = rss_of(path, 3, 64);
    double centre = 0, corner = 0;
    for (int i = -4; i < 4; i++)
        for (int j = -4; j < 4; j++) {
            centre += x[(64 + 32 + i) * 64 + 32 + j];
            corner += x[(64 + 4 + i) * 64 + 4 + j];
        }
    assert_true(centre > 4 * corner);
    mem_free(x);
    phantom_free(p);
    anatomy_free(a);
}

static void test_real_volume(void **state)
{
    (void)state;
    const char *path = shared_data("anatomy/thigh_320x320x31.nii.gz");
    if (!path) skip();
    struct anatomy *a = load(path);
    struct anatomy_pose pose = anatomy_pose(a, 140, 80, rng_make(1, RNG_TEST, 0, 0));
    double sum = 0;
    for (int i = -60; i < 60; i++)
        for (int j = -60; j < 60; j++)
            sum += (double)anatomy_at(a, &pose, (struct vec3){(float)i, 0, (float)j}).water;
    assert_true(sum > 0.05 * 14400 && sum < 0.75 * 14400);
    anatomy_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orientations_agree), cmocka_unit_test(test_directions),
        cmocka_unit_test(test_bad_files),          cmocka_unit_test(test_mutated_headers),
        cmocka_unit_test(test_scan_of_a_volume),   cmocka_unit_test(test_real_volume),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
