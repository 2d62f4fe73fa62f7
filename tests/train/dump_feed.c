/* What a training is fed with, for scripts/compare-training: the order of its samples, their
 * patches or masks, and the initial weights, so that another program can train on the same.
 *
 *     dump_feed ssl|recon CONFIG.yaml FOLDER
 *
 * CONFIG is one of train-ssl or train-recon without augmentation. References are made where they
 * are not. Into FOLDER go
 *
 *     train.bin, validation.bin     a record a sample: uint32 index of the image, then the mask, a
 *                                   bit a pixel (ssl: 1 outside the patches) or a column of k-space
 *                                   (recon: 1 kept), the first in the highest bit of the first byte
 *     train.refs, validation.refs   the file of references of each scan, a line each
 *     weights.bin                   parameters, and the first "input" and "target" of each file as
 *                                   train.input, …: scripts/weights_file.py
 *
 * and on stdout the recipe as key=value lines. */
#include "base/mem.h"
#include "train/fit.h"
#include "train/net.h"
#include "train/recon.h"
#include "train/sets.h"
#include "train/ssl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf {
    const char *run;
    uint64_t seed;
    struct sets_conf data;
    struct patches_conf patches;
    struct cfg_pick mask;
    int mask_on;
    struct augment_conf augment;
    struct unet_conf network;
    struct fit_conf fit;
};

/* As main_ssl.c and main_recon.c. */
static const struct cfg_field ssl_fields[] = {CFG_TEXT(struct conf, run, NULL, ""),
                                              CFG_U64(struct conf, seed, "1", ""),
                                              CFG_GROUP(struct conf, data, sets_fields, ""),
                                              CFG_GROUP(struct conf, patches, patches_fields, ""),
                                              CFG_GROUP(struct conf, augment, augment_fields, ""),
                                              CFG_GROUP(struct conf, network, unet_ssl_fields, ""),
                                              CFG_GROUP(struct conf, fit, fit_ssl_fields, ""),
                                              CFG_END};
static const struct cfg_field recon_fields[] = {
    CFG_TEXT(struct conf, run, NULL, ""),
    CFG_U64(struct conf, seed, "1", ""),
    CFG_GROUP(struct conf, data, sets_fields, ""),
    CFG_PICK(struct conf, mask, "random", mask_kinds, ""),
    CFG_CHOICE(struct conf, mask_on, "cropped", mask_on_choices, ""),
    CFG_GROUP(struct conf, augment, augment_fields, ""),
    CFG_GROUP(struct conf, network, unet_recon_fields, ""),
    CFG_GROUP(struct conf, fit, fit_recon_fields, ""),
    CFG_END};

struct tool {
    struct conf conf;
    const char *folder;
    struct sets sets;
    struct masks *masks;
    struct task *task;
    FILE *weights;
    float *keep;
};

static FILE *create(const char *folder, const char *name, struct err *e)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f) err_set(e, ERR_IO, "%s cannot be written", path);
    return f;
}

static void save(FILE *f, const char *name, const float *x, size_t n)
{
    fprintf(f, "%s f4 %zu\n", name, n);
    fwrite(x, sizeof *x, n, f); /* little-endian machines only, as everything here */
}

static void write_record(FILE *f, uint32_t index, const float *bit, int n)
{
    fwrite(&index, sizeof index, 1, f);
    for (int i = 0; i < n; i += 8) {
        int byte = 0;
        for (int k = 0; k < 8; k++)
            byte = byte << 1 | (i + k < n && bit[i + k] != 0.0f);
        fputc(byte, f);
    }
}

/* The mask of a sample of the reconstruction, by the rule of train/recon.c. */
static int draw(const struct tool *t, bool training, uint32_t epoch, uint32_t index, struct err *e)
{
    const struct images *im = training ? &t->sets.train : &t->sets.validation;
    const struct scan *scan = &im->scans.list[im->list[index].scan];
    const char *slash = strrchr(scan->path, '/');
    struct mask_key key = training ? mask_key_of_sample(t->conf.seed, epoch, index)
                                   : mask_key_of_file(t->conf.seed, slash ? slash + 1 : scan->path);
    return masks_draw(t->masks, key, scan->height, scan->width, t->keep, e);
}

/* Which files the images are read from: a folder may hold others of the same scans. */
static int dump_references(const struct tool *t, const char *name, const struct images *im,
                           struct err *e)
{
    char file[64];
    snprintf(file, sizeof file, "%s.refs", name);
    FILE *f = create(t->folder, file, e);
    for (int i = 0; f && i < im->scans.n; i++)
        fprintf(f, "%s\n", im->cache[i].path);
    return f && fclose(f) == 0 ? 0 : -1;
}

static int dump(const struct tool *t, const char *name, bool training, long samples, struct err *e)
{
    const struct sample_source *s = training ? &t->task->train : &t->task->validation;
    char file[64], entry[64];
    snprintf(file, sizeof file, "%s.bin", name);
    FILE *f = create(t->folder, file, e);
    struct loader *l = loader_new(
        *s, (struct loader_conf){.size = 1, .ahead = 2, .shuffle = training, .seed = t->conf.seed},
        e);
    const struct batch *b = NULL;
    int bad = !f || !l;
    for (long i = 0; i < samples && !bad && !(bad = loader_next(l, &b, e)) && b; i++) {
        if (i == 0) {
            snprintf(entry, sizeof entry, "%s.input", name);
            save(t->weights, entry, b->input, s->input_len);
            snprintf(entry, sizeof entry, "%s.target", name);
            save(t->weights, entry, b->target, s->target_len);
        }
        if (t->masks) bad = draw(t, training, b->epoch[0], b->index[0], e);
        if (!bad)
            write_record(f, b->index[0], t->masks ? t->keep : b->mask,
                         t->masks ? t->task->width : t->task->width * t->task->height);
    }
    loader_free(l);
    if (f && fclose(f)) bad = 1;
    return bad ? -1 : 0;
}

static int dump_weights(const struct tool *t, struct err *e)
{
    const struct loss_conf loss = {.kind = LOSS_L2};
    uint64_t encoder;
    struct graph *g = net_graph(&t->conf.network, &loss, e);
    struct params *p = g ? net_params(g, &t->conf.network, &loss, t->conf.seed, &encoder, e) : NULL;
    for (int i = 0; p && i < p->n; i++)
        save(t->weights, p->list[i].name, p->val + p->list[i].offset, p->list[i].len);
    int bad = !p;
    params_free(p);
    graph_free(g);
    return bad ? -1 : 0;
}

static int run(struct tool *t, bool ssl, struct err *e)
{
    const struct conf *c = &t->conf;
    if (c->augment.flip || c->augment.turn || c->augment.intensity > 0.0)
        return err_set(e, ERR_CONFIG, "augmentation is not dumped: leave it off");
    if (c->fit.accumulate != 1 || !c->fit.steps)
        return err_set(e, ERR_CONFIG, "give the length in steps, and accumulate nothing");
    if (sets_find(&t->sets, &c->data, false, e) || sets_prepare(&t->sets, false, e)) return -1;
    struct images *train = &t->sets.train, *validation = &t->sets.validation;
    t->keep = mem_new((size_t)c->data.height * (size_t)c->data.width, sizeof *t->keep, e);
    if (ssl)
        t->task = ssl_new(&c->patches, &c->augment, &c->network, c->seed, train, validation, e);
    else if ((t->masks = masks_new(c->mask, e)))
        t->task = recon_new((struct undersample_conf){c->mask, c->mask_on, c->seed}, &c->augment,
                            &c->network, train, validation, e);
    if (!t->keep || !t->task) return -1;
    const long steps = c->fit.steps;
    printf("steps=%ld\nbatch=%d\nlr=%.17g\nbeta1=%.17g\nbeta2=%.17g\neps=%.17g\n", steps,
           c->fit.batch, c->fit.adam.lr, c->fit.adam.beta1, c->fit.adam.beta2, c->fit.adam.eps);
    printf("schedule=%d\nwarmup=%d\nmin_lr=%.17g\nvalidate_every=%d\n", c->fit.schedule.kind,
           c->fit.schedule.warmup, c->fit.schedule.min_lr, c->fit.validate_every);
    printf("height=%d\nwidth=%d\ndropout=%.17g\nfilters=%d\nlevels=%d\ngroups=%d\n", c->data.height,
           c->data.width, c->network.dropout, c->network.filters, c->network.levels,
           c->network.groups);
    return dump_weights(t, e) || dump_references(t, "train", train, e) ||
                   dump_references(t, "validation", validation, e) ||
                   dump(t, "train", true, steps * c->fit.batch, e) ||
                   dump(t, "validation", false, (long)t->task->validation.samples, e)
               ? -1
               : 0;
}

int main(int argc, char **argv)
{
    struct tool t = {.folder = argc == 4 ? argv[3] : NULL};
    struct err e = {0};
    bool ssl = argc == 4 && !strcmp(argv[1], "ssl");
    if (argc != 4 || (!ssl && strcmp(argv[1], "recon") != 0)) {
        fprintf(stderr, "usage: dump_feed ssl|recon CONFIG.yaml FOLDER\n");
        return 64;
    }
    struct cfg *cfg = cfg_load(ssl ? ssl_fields : recon_fields, &t.conf, argv[2], NULL, 0, &e);
    int bad = !cfg || !(t.weights = create(t.folder, "weights.bin", &e)) || run(&t, ssl, &e);
    if (t.weights && fclose(t.weights)) bad = 1;
    task_free(t.task);
    masks_free(t.masks);
    mem_free(t.keep);
    sets_release(&t.sets);
    cfg_free(cfg);
    if (bad) fprintf(stderr, "dump_feed: error: %s\n", e.text);
    return bad ? 1 : 0;
}
