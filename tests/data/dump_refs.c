/* usage: dump_refs FOLDER SCAN [key=value]…
 * Makes the references of one scan file, or of a folder of them, in FOLDER with the given
 * parameters of JSENSE, and prints the time: a tool for scripts that compare or look at references.
 */
#include "base/mem.h"
#include "base/progress.h"
#include "data/refcache.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: dump_refs FOLDER SCAN [key=value]...\n", stderr);
        return ERR_USAGE;
    }
    struct err e = {0};
    struct jsense_conf conf = {0};
    struct scans scans = {0};
    struct refcache *made = NULL;
    const char *path = argv[2];
    struct cfg *cfg =
        cfg_load(jsense_fields, &conf, NULL, (const char *const *)argv + 3, argc - 3, &e);
    if (!cfg || scans_find(&scans, &path, 1, &e) ||
        !(made = mem_new((size_t)scans.n, sizeof *made, &e)))
        goto out;
    double start = clock_seconds();
    if (refcache_prepare(&scans, argv[1], &conf, true, made, &e)) goto out;
    int slices = 0;
    for (int i = 0; i < scans.n; i++)
        slices += scans.list[i].slices;
    printf("%d slices in %.3f s\n", slices, clock_seconds() - start);
out:
    if (e.code) fprintf(stderr, "dump_refs: %s\n%s%s", e.text, e.hint, *e.hint ? "\n" : "");
    mem_free(made);
    scans_release(&scans);
    cfg_free(cfg);
    return (int)e.code;
}
