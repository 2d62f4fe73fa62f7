/* How fast samples come, and whether memory stays: for scripts/bench-data.
 *
 *   bench_loader ssl|recon CONFIG SAMPLES
 *
 * CONFIG is that of train-ssl or train-recon; its references are computed if they are not there.
 * Prints one line: samples, seconds, samples a second, resident MiB at a tenth of the way and at
 * the end, open files at both, and a hash of every sample's bits. */
#include "base/mem.h"
#include "base/progress.h"
#include "data/loader.h"
#include "train/fit.h"
#include "train/recon.h"
#include "train/sets.h"
#include "train/ssl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf { /* all keys of both commands, so either configuration is understood */
    const char *run;
    uint64_t seed;
    struct sets_conf data;
    struct patches_conf patches;
    struct augment_conf augment;
    struct cfg_pick mask;
    int mask_on;
    struct unet_conf network;
    struct fit_conf fit;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct conf, run, "none", ""),
    CFG_U64(struct conf, seed, "1", ""),
    CFG_GROUP(struct conf, data, sets_fields, ""),
    CFG_GROUP(struct conf, patches, patches_fields, ""),
    CFG_GROUP(struct conf, augment, augment_fields, ""),
    CFG_PICK(struct conf, mask, "random", mask_kinds, ""),
    CFG_CHOICE(struct conf, mask_on, "cropped", mask_on_choices, ""),
    CFG_GROUP(struct conf, network, unet_ssl_fields, ""),
    CFG_GROUP(struct conf, fit, fit_ssl_fields, ""),
    CFG_END};

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d) closedir(d);
    return n;
}

static uint64_t hash_floats(uint64_t hash, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

static int pull(const struct sample_source *source, const struct conf *c, long samples,
                struct err *e)
{
    struct loader_conf feed = {
        .size = c->fit.batch, .ahead = c->fit.ahead, .shuffle = true, .seed = c->seed};
    struct loader *l = loader_new(*source, feed, e);
    if (!l) return -1;
    long batches = (samples + c->fit.batch - 1) / c->fit.batch, warm = batches / 10;
    size_t resident = 0, n = (size_t)c->fit.batch;
    int files = 0, bad = 0;
    uint64_t hash = 14695981039346656037u;
    double start = 0.0, hashing = 0.0;
    for (long i = 0; i < batches && !bad; i++) {
        const struct batch *b;
        if (i == warm) {
            resident = mem_resident();
            files = open_files();
            start = clock_seconds();
            hashing = 0.0;
        }
        if ((bad = loader_next(l, &b, e))) break;
        if (i < 16) { /* of the first: hashing all would be what is measured */
            double t = clock_seconds();
            hash = hash_floats(hash, b->input, n * source->input_len);
            hash = hash_floats(hash, b->target, n * source->target_len);
            hashing += clock_seconds() - t;
        }
    }
    double seconds = clock_seconds() - start - hashing;
    long timed = (batches - warm) * c->fit.batch;
    if (!bad)
        printf("samples=%ld seconds=%.3f per_second=%.1f resident_mib=%.1f resident_mib_end=%.1f "
               "files=%d files_end=%d hash=%016llx\n",
               timed, seconds, (double)timed / seconds, (double)resident / 0x1p20,
               (double)mem_resident() / 0x1p20, files, open_files(), (unsigned long long)hash);
    loader_free(l);
    return bad ? -1 : 0;
}

static int run(bool recon, const char *path, long samples, struct err *e)
{
    struct conf c = {0};
    struct sets sets = {0};
    struct task *t = NULL;
    struct cfg *cfg = cfg_load(fields, &c, path, NULL, 0, e);
    int bad = !cfg || sets_find(&sets, &c.data, true, e) || sets_prepare(&sets, true, e);
    if (!bad && recon)
        bad = !(t = recon_new((struct undersample_conf){c.mask, c.mask_on, c.seed}, &c.augment,
                              &c.network, &sets.train, &sets.validation, e));
    else if (!bad)
        bad = !(t = ssl_new(&c.patches, &c.augment, &c.network, c.seed, &sets.train,
                            &sets.validation, e));
    bad = bad || pull(&t->train, &c, samples, e);
    task_free(t);
    sets_release(&sets);
    cfg_free(cfg);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: bench_loader ssl|recon CONFIG SAMPLES\n");
        return ERR_USAGE;
    }
    if (run(!strcmp(argv[1], "recon"), argv[2], atol(argv[3]), &e)) {
        fprintf(stderr, "bench_loader: %s\n", e.text);
        return (int)e.code;
    }
    return 0;
}
