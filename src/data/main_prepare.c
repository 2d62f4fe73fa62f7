/* prepare config.yaml */
#include "base/cli.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/refcache.h"
#include "data/split.h"

#include <stdio.h>
#include <string.h>

struct data_conf {
    struct cfg_texts train, validation, scans;
    struct cfg_pick split;
    int part;
    int on_bad_scan;
    const char *cache;
    struct jsense_conf jsense;
};
struct conf {
    struct data_conf data;
};

/* The keys of trainings and studies, so that their files can be given as they are. */
#define OTHERS "of other commands that read this file"
static const struct cfg_field data_fields[] = {
    CFG_TEXTS(struct data_conf, train, "[]", "scans of a training: HDF5 files, or folders of them"),
    CFG_TEXTS(struct data_conf, validation, "[]", "and those it validates on"),
    CFG_TEXTS(struct data_conf, scans, "[]", "scans of a study, or any others"),
    CFG_PICK(struct data_conf, split, "folders", split_kinds, "only scans that it uses"),
    CFG_CHOICE(struct data_conf, part, "test", part_names, "of the split, of data.scans"),
    CFG_CHOICE(struct data_conf, on_bad_scan, "stop", bad_scan_choices,
               "a scan that is damaged or undersampled stops the run, or is skipped"),
    CFG_TEXT(struct data_conf, cache, "cache", "folder of computed references"),
    CFG_GROUP(struct data_conf, jsense, jsense_fields, "reference images"),
    CFG_ANY("same_patient", OTHERS),
    CFG_ANY("slices", OTHERS),
    CFG_ANY("height", OTHERS),
    CFG_ANY("width", OTHERS),
    CFG_END};
static const struct cfg_field fields[] = {
    CFG_GROUP(struct conf, data, data_fields, "scans and their reference images"),
    CFG_ANY("run", OTHERS),
    CFG_ANY("seed", OTHERS),
    CFG_ANY("patches", OTHERS),
    CFG_ANY("mask", OTHERS),
    CFG_ANY("mask_on", OTHERS),
    CFG_ANY("augment", OTHERS),
    CFG_ANY("network", OTHERS),
    CFG_ANY("fit", OTHERS),
    CFG_ANY("output", OTHERS),
    CFG_ANY("study", OTHERS),
    CFG_ANY("checkpoint", OTHERS),
    CFG_ANY("metrics", OTHERS),
    CFG_ANY("target", OTHERS),
    CFG_ANY("precision", OTHERS),
    CFG_ANY("image", OTHERS),
    CFG_ANY("zero_filled", OTHERS),
    CFG_END};

enum { LISTS = 3 };
static const char *const names[LISTS] = {"data.train", "data.validation", "data.scans"};

static struct cfg_texts list_of(const struct data_conf *c, int i)
{
    return i == 0 ? c->train : i == 1 ? c->validation : c->scans;
}

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    const struct data_conf *c = &((const struct conf *)conf)->data;
    (void)cli;
    for (int i = 0; i < LISTS; i++)
        if (list_of(c, i).n > 0) return split_check(&c->split, e);
    err_set(e, ERR_CONFIG, "no scans: data.train, data.validation and data.scans are empty");
    return err_hint(e, "a whole configuration is 'data: {scans: FOLDER, cache: FOLDER}'");
}

/* Reads all that is cached of one list, which mends what is damaged. */
static int verify(const struct scans *scans, const struct refcache *cache, bool quiet,
                  struct err *e)
{
    long slices = 0, done = 0;
    for (int i = 0; i < scans->n; i++)
        slices += scans->list[i].dropped ? 0 : cache[i].slices;
    struct progress p = progress_begin("verifying", 0, slices, quiet);
    int rc = 0;
    for (int i = 0; i < scans->n && rc == 0; i++)
        for (int k = 0; !scans->list[i].dropped && k < cache[i].slices && rc == 0; k++) {
            progress_at(&p, done++, scans->list[i].name);
            rc = refcache_verify(cache + i, k, e);
            if (rc == 0 && stop_requested())
                rc = err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
        }
    p.done = rc ? p.done : slices;
    progress_end(&p, "");
    return rc;
}

/* Fills the cache for scans that were found. */
static int prepare_scans(struct scans *scans, const struct data_conf *c, bool quiet, long total[2],
                         struct err *e)
{
    struct refcache *cache = mem_new((size_t)scans->n, sizeof *cache, e);
    int rc = cache && refcache_prepare(scans, c->cache, &c->jsense, quiet, cache, e) == 0
                 ? verify(scans, cache, quiet, e)
                 : -1;
    for (int i = 0; rc == 0 && i < scans->nbad; i++)
        progress_warn("skipped: %s", scans->bad[i].why);
    for (int i = 0; rc == 0 && i < scans->n; i++) {
        if (scans->list[i].dropped) continue;
        total[0]++;
        total[1] += cache[i].slices;
    }
    mem_free(cache);
    return rc;
}

/* As trainings find them: every list for itself, or, with a split, its part of train and validation
 * together. */
static int find_list(struct scans *scans, const struct data_conf *c, int list, bool quiet,
                     struct err *e)
{
    struct scans_query q = {.paths = list_of(c, list), .on_bad = c->on_bad_scan, .quiet = quiet};
    if (split_is_none(&c->split)) return scans_search(scans, &q, e);
    struct cfg_texts both = {0};
    const char **paths =
        mem_new((size_t)(c->train.n + c->validation.n + c->scans.n), sizeof *paths, e);
    if (!paths) return -1;
    for (int k = list == 2 ? 2 : 0; k < (list == 2 ? 3 : 2); k++)
        for (int i = 0; i < list_of(c, k).n; i++) {
            bool twice = false; /* often train and validation are one folder */
            for (int m = 0; m < both.n; m++)
                twice |= !strcmp(paths[m], list_of(c, k).v[i]);
            if (!twice) paths[both.n++] = list_of(c, k).v[i];
        }
    both.v = paths;
    q.paths = both;
    struct scans *out[PARTS] = {NULL};
    out[list == 0 ? PART_TRAIN : list == 1 ? PART_VALIDATION : c->part] = scans;
    int rc = split_scans(&c->split, &q, out, e);
    mem_free(paths);
    return rc;
}

/* Is there anything to prepare in this list? A split takes what validates from data.train too. */
static bool has_list(const struct data_conf *c, int i)
{
    return list_of(c, i).n > 0 || (i == 1 && c->train.n > 0 && !split_is_none(&c->split));
}

/* As trainings have it, scans that are not there do not make a configuration wrong. */
static int preview(const void *conf, const struct cli *cli, struct err *e)
{
    const struct data_conf *c = &((const struct conf *)conf)->data;
    (void)e;
    for (int i = 0; i < LISTS && !cli->quiet; i++) {
        struct scans scans = {0};
        struct err mine = {0};
        if (!has_list(c, i)) continue;
        if (find_list(&scans, c, i, true, &mine))
            printf("# %s: %s\n", names[i], mine.text);
        else
            printf("# %s: %d scans are there\n", names[i], scans.n);
        scans_release(&scans);
    }
    return 0;
}

/* A list that fails does not keep the others from being prepared. */
static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct data_conf *c = &((const struct conf *)conf)->data;
    long total[2] = {0};
    int rc = 0;
    for (int i = 0; i < LISTS && !stop_requested(); i++) {
        struct err mine = {0};
        struct scans scans = {0};
        if (!has_list(c, i)) continue;
        int bad = find_list(&scans, c, i, cli->quiet, &mine) ||
                  prepare_scans(&scans, c, cli->quiet, total, &mine);
        scans_release(&scans);
        if (!bad) continue;
        err_wrap(&mine, "%s", names[i]);
        if (rc)
            progress_warn("%s", mine.text);
        else
            *e = mine;
        rc = -1;
    }
    if (rc == 0) printf("%ld references of %ld scans are in %s\n", total[1], total[0], c->cache);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "prepare",
        .summary = "compute the reference images of a whole data set, and verify those there are",
        .text =
            "Takes the configuration of a training or a study, or one with nothing but 'data', and "
            "fills its folder of references, so that they need not be waited for later. What is "
            "there and current is only verified; what is damaged is made again. It may be "
            "interrupted or killed at any time: the same command goes on with the scans that are "
            "missing. Several may fill one "
            "folder at once. A scan that "
            "fails is reported and left out; the others are made.\n\n"
            "    prepare configs/demo/ssl.yaml\n",
        .fields = fields,
        .conf_size = sizeof(struct conf),
        .check = check,
        .preview = preview,
        .run = run,
    };
    return cli_main(&command, argc, argv);
}
