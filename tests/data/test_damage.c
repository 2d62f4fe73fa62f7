/* Damaged scans, read to the end. */
#include "base/mem.h"
#include "data/scan.h"
#include "scratch.h"

static struct err e;

/* A damaged length makes HDF5 ask for absurd amounts of memory, an error without a crash, and it
 * leaks a little when it gives up on a file. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:detect_leaks=0";
}

static const char *golden(const char *name)
{
    static char path[512];
    const char *source = getenv("SSFD_SOURCE");
    snprintf(path, sizeof path, "%s/tests/data/golden/%s", source ? source : ".", name);
    return path;
}

/* A bit flipped anywhere is found or does no harm, in the samples too. Not so with texts of
 * variable length: libhdf5 1.10 itself may crash on a damaged heap of them. */
static void test_every_byte(void **state)
{
    (void)state;
    FILE *f = fopen(golden("fastmri-fixed.h5"), "rb");
    static unsigned char whole[1 << 16], spoilt[1 << 16];
    size_t n = fread(whole, 1, sizeof whole, f);
    fclose(f);
    uint32_t seed = 1;
    int found = 0;
    for (int round = 0; round < 500; round++) {
        memcpy(spoilt, whole, n);
        seed = seed * 1664525u + 1013904223u;
        size_t at = (seed >> 8) % n;
        spoilt[at] = (unsigned char)(spoilt[at] ^ (1u << (seed >> 4 & 7)));
        const char *path = scratch_path("spoilt.h5");
        f = fopen(path, "wb");
        fwrite(spoilt, 1, n, f);
        fclose(f);
        struct scan s;
        e = (struct err){0};
        if (scan_probe(&s, path, &e)) {
            assert_true(e.text[0] && (e.code == ERR_DATA || e.code == ERR_NOINPUT));
            found++;
            continue;
        }
        struct scan_file *k = scan_open(&s, &e);
        float complex *x = mem_new((size_t)s.coils * (size_t)s.readout * (size_t)s.phase, 8, &e);
        if (k && x) scan_read_kspace(&s, k, 0, x, &e);
        scan_close(k);
        mem_free(x);
    }
    assert_true(found > 0 && found < 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_byte)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
