/* eval-study: runs one of the studies of metrics over the references of scans. */
#include "base/cli.h"
#include "base/io.h"
#include "base/leftover.h"
#include "base/mem.h"
#include "base/owner.h"
#include "data/images.h"
#include "eval/study.h"
#include "eval/study_key.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct eval_conf {
    const char *output;
    uint64_t seed;
    struct images_conf data;
    struct cfg_pick study;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct eval_conf, output, NULL, "folder of the results"),
    CFG_U64(struct eval_conf, seed, "1", "of all randomness: the same seed gives the same bytes"),
    CFG_GROUP(struct eval_conf, data, images_fields, "the images looked at"),
    CFG_PICK(struct eval_conf, study, NULL, study_kinds, "what is studied"), CFG_END};

static const struct study *study_of(const struct eval_conf *c)
{
    return (const struct study *)c->study.kind;
}

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    const struct eval_conf *c = conf;
    if (c->output[0] == '\0')
        return err_set(e, ERR_CONFIG, "%s: output is empty", cfg_where(cli->cfg, "output"));
    if (c->data.scans.n == 0)
        return err_set(e, ERR_CONFIG, "%s: data.scans is empty", cfg_where(cli->cfg, "data.scans"));
    if (split_check(&c->data.split, e)) return err_wrap(e, "%s", cfg_where(cli->cfg, "data.split"));
    if (study_of(c)->check(c->study.conf, e))
        return err_wrap(e, "%s", cfg_where(cli->cfg, "study"));
    return 0;
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    const struct eval_conf *c = conf;
    struct images images = {0};
    if (images_find(&images, &c->data, cli->quiet, e)) return -1;
    const struct scans *scans = &images.scans;
    printf("study: %s, results in %s\n", study_of(c)->kind.name, c->output);
    for (int i = 0; i < scans->n; i++) {
        const struct scan *s = &scans->list[i];
        printf("scan %s: %d slices, %d coils, k-space %dx%d, columns %d to %d acquired, reference "
               "%dx%d%s%s\n",
               s->name, s->slices, s->coils, s->readout, s->phase, s->first_column,
               s->end_column - 1, s->height, s->width, s->acquisition[0] ? ", " : "",
               s->acquisition);
    }
    for (int i = 0; i < scans->nbad; i++)
        printf("skipped: %s\n", scans->bad[i].why);
    images_release(&images);
    study_of(c)->explain(c->study.conf, stdout);
    return 0;
}

/* What a killed run left half-written. */
static void clear_leftovers(const char *output)
{
    char prefix[PATH_MAX];
    static const char *const inside[] = {"", "pictures/"};
    for (int i = 0; i < 2; i++)
        if (io_path(prefix, sizeof prefix, NULL, "%s/%s", output, inside[i]) == 0)
            leftover_remove(prefix);
}

/* A study on its scans. `env` points to `images`, and the state may to both. */
struct job {
    const struct study *study;
    struct images images;
    struct study_env env;
    char *key;
    void *state;
    bool whole; /* it is resumed, and was finished: there is nothing to do */
};

/* As far as it goes without references. Whatever the outcome, close_job follows. */
static int open_job(struct job *j, const struct eval_conf *c, const struct cli *cli, struct err *e)
{
    *j = (struct job){.study = study_of(c)};
    j->env = (struct study_env){.output = c->output,
                                .seed = c->seed,
                                .quiet = cli->quiet,
                                .resume = cli->resume,
                                .out = stdout,
                                .notes = stderr,
                                .images = &j->images,
                                .fields = fields,
                                .conf = c};
    if (images_find(&j->images, &c->data, cli->quiet, e) ||
        !(j->key = study_key(&j->env, &c->study, e)))
        return -1;
    j->env.key = j->key;
    if (owner_check(c->output, OWNER_STUDY, e) || study_check_output(&j->env, &j->whole, e))
        return -1;
    if (j->whole) return 0;
    if (images_size(&j->images, e)) return -1;
    if (!(j->state = mem_new(1, j->study->size, e))) return -1;
    return j->study->open(j->state, c->study.conf, &j->env, e);
}

static void close_job(struct job *j)
{
    if (j->state) j->study->release(j->state);
    mem_free(j->state);
    free(j->key);
    images_release(&j->images);
}

static int preview(const void *conf, const struct cli *cli, struct err *e)
{
    struct job j;
    if (cli->quiet) return 0; /* the configuration alone */
    int rc = open_job(&j, conf, cli, e);
    if (rc == 0 && !j.whole)
        printf("# %d scans of %dx%d are there, and all other files that the study names\n",
               j.images.scans.n, j.images.height, j.images.width);
    close_job(&j);
    return rc;
}

static int do_job(struct job *j, struct err *e)
{
    const struct study_env *env = &j->env;
    struct scans *const scans[] = {&j->images.scans};
    clear_leftovers(env->output);
    if (j->whole) {
        fprintf(env->notes, "the study is finished: its results are in %s\n", env->output);
        return study_remove(env, STUDY_JOURNAL, e); /* a power cut may have left it */
    }
    return images_prepare(&j->images, env->quiet, e) ||
                   scans_report(scans, 1, env->output, env->notes, e) ||
                   study_open_output(env, e) || j->study->score(j->state, e) ||
                   j->study->write(j->state, e) ||
                   scans_report(scans, 1, env->output, env->notes, e)
               ? -1
               : 0;
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct eval_conf *c = conf;
    struct job j;
    if (io_mkdirs(c->output, e)) return -1;
    if (access(c->output, W_OK | X_OK)) /* now, not after the work */
        return err_set(e, ERR_IO, "%s: no file can be written there", c->output);
    int rc = open_job(&j, c, cli, e) || do_job(&j, e) ? -1 : 0;
    close_job(&j);
    return rc;
}

static const struct command command = {
    .name = "eval-study",
    .summary = "Study image quality metrics: under known changes, by layer, in quality control",
    .text =
        "Computes (once) the JSENSE references of the scans and does one of the studies of the "
        "paper:\n"
        "\n"
        "    perturbation  metrics under pixel shift, blur and noise       (Fig. 1 and 5)\n"
        "    layers        SSFD at several encoder layers against SSIM     (Fig. 2 and 7)\n"
        "    qc            what metrics disagree on, which defects they see  (Fig. 3 and 6)\n"
        "\n"
        "The last two score reconstructions: of networks of train-recon, applied on the fly, of\n"
        "folders of fastMRI-style 'reconstruction' files of any method, or of several side by\n"
        "side. The output folder gets every score (scores.csv), further tables, figures as PNG "
        "and\n"
        "SVG with their gnuplot scripts, report.html (interactive, one file, no network),\n"
        "config.resolved.yaml, and summary.json with every number and the paper's claims, each\n"
        "with the measured value and whether it held. The last is written last: a folder that has\n"
        "it is whole. A study that was interrupted goes on with --resume; a folder with results "
        "of\n"
        "another configuration is left alone. --check looks for every\n"
        "scan, network, table and folder that the study names, unless it is --quiet.\n"
        "\n"
        "    eval-study configs/paper/perturbations.yaml --set data.slices=all\n",
    .fields = fields,
    .conf_size = sizeof(struct eval_conf),
    .resumable = true,
    .check = check,
    .preview = preview,
    .explain = explain,
    .run = run,
};

int main(int argc, char **argv)
{
    return cli_main(&command, argc, argv);
}
