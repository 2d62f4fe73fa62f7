/* The tables of `reconstruct`, made from the files of the scans, so that they are the same whether
 * these were made at once or over several runs. */
#include "base/h5.h"
#include "base/mem.h"
#include "base/table.h"
#include "eval/reconstruct.h"
#include "eval/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const volume_keys[] = {"volume_psnr",
                                          "volume_ssim",
                                          "volume_nmse",
                                          "zero_filled_volume_psnr",
                                          "zero_filled_volume_ssim",
                                          "zero_filled_volume_nmse"};
enum { VOLUMES = sizeof volume_keys / sizeof *volume_keys, TEXT = 4096 };

struct report {
    const struct reconstruction *r;
    struct table *slices, *scans;
    int columns;   /* of scans, numbers only: slices, means, volumes */
    double *row;   /* (columns) */
    double *sum;   /* (columns): of the scans' rows, of which … */
    int *counted;  /* (columns): … so many had a value */
    float *scores; /* (slice, 2 metrics) of one scan */
};

/* "psnr,ssim,nrmse,zero_filled_psnr,…" */
static void append_metrics(const struct reconstruct_conf *c, char text[TEXT])
{
    for (int side = 0; side < 2; side++)
        for (int m = 0; m < c->metrics.n; m++) {
            size_t at = strlen(text);
            snprintf(text + at, TEXT - at, ",%s%s", side ? "zero_filled_" : "",
                     c->metrics.v[m].kind->name);
        }
}

static int begin(struct report *p, const struct reconstruction *r, struct err *e)
{
    char slices[TEXT] = "$scan,slice", scans[TEXT] = "$scan,slices";
    append_metrics(r->conf, slices);
    append_metrics(r->conf, scans);
    int most = 0;
    for (int i = 0; i < r->images.scans.n; i++)
        if (r->images.cache[i].slices > most) most = r->images.cache[i].slices;
    for (int i = 0; i < VOLUMES; i++) {
        size_t at = strlen(scans);
        snprintf(scans + at, sizeof scans - at, ",%s", volume_keys[i]);
    }
    *p = (struct report){.r = r, .columns = 1 + 2 * r->conf->metrics.n + VOLUMES};
    p->slices = table_new(slices, e);
    p->scans = table_new(scans, e);
    p->row = mem_new((size_t)p->columns, sizeof *p->row, e);
    p->sum = mem_new((size_t)p->columns, sizeof *p->sum, e);
    p->counted = mem_new((size_t)p->columns, sizeof *p->counted, e);
    p->scores = mem_new((size_t)most * (size_t)(2 * r->conf->metrics.n), sizeof *p->scores, e);
    return p->slices && p->scans && p->row && p->sum && p->counted && p->scores ? 0 : -1;
}

static void end(struct report *p)
{
    table_free(p->slices);
    table_free(p->scans);
    mem_free(p->row);
    mem_free(p->sum);
    mem_free(p->counted);
    mem_free(p->scores);
}

static int read_volumes(const char *path, double *out, struct err *e)
{
    struct h5 *f = h5_open(path, e);
    int rc = f ? 0 : -1;
    for (int i = 0; i < VOLUMES && !rc; i++)
        rc = h5_attr_f64(f, "/", volume_keys[i], out + i, e);
    h5_close(f);
    return rc;
}

/* A line for every slice, and the scan's means over the slices that have a value. */
static int add_slices(struct report *p, const char *name, int slices, struct err *e)
{
    const int n = 2 * p->r->conf->metrics.n;
    double row[1 + 2 * 64], sum[2 * 64] = {0};
    int counted[2 * 64] = {0};
    for (int s = 0; s < slices; s++) {
        row[0] = s;
        for (int k = 0; k < n; k++) {
            row[1 + k] = (double)p->scores[s * n + k];
            if (isnan(row[1 + k])) continue;
            sum[k] += row[1 + k];
            counted[k]++;
        }
        if (table_add_arrays(p->slices, &name, row, e)) return -1;
    }
    for (int k = 0; k < n; k++)
        p->row[1 + k] = counted[k] ? sum[k] / counted[k] : NAN;
    return 0;
}

static int add_scan(struct report *p, int i, struct err *e)
{
    char path[1200], file[300];
    const char *name = p->r->images.scans.list[i].name;
    const struct recon_shape shape = reconstruct_shape(p->r, i);
    snprintf(file, sizeof file, "%s.h5", name);
    if (reconstruct_path(p->r->conf, file, path, sizeof path, e) ||
        (shape.metrics && recon_file_scores(path, &shape, p->scores, e)) ||
        read_volumes(path, p->row + p->columns - VOLUMES, e) ||
        add_slices(p, name, shape.slices, e))
        return -1;
    p->row[0] = shape.slices;
    for (int k = 0; k < p->columns; k++) {
        if (isnan(p->row[k])) continue;
        p->sum[k] += p->row[k];
        p->counted[k]++;
    }
    return table_add_arrays(p->scans, &name, p->row, e);
}

static const char *column(const struct report *p, int k, char name[128])
{
    const struct cfg_picks *m = &p->r->conf->metrics;
    if (k == 0) return "slices";
    if (k > 2 * m->n) return volume_keys[k - 1 - 2 * m->n];
    snprintf(name, 128, "%s%s", k > m->n ? "zero_filled_" : "", m->v[(k - 1) % m->n].kind->name);
    return name;
}

static json_t *definitions(const struct reconstruct_conf *c)
{
    json_t *out = json_object();
    for (int m = 0; m < c->metrics.n; m++) {
        char text[1024];
        reconstruct_metric(c, m)->variant(c->metrics.v[m].conf, text, sizeof text);
        json_object_set_new(out, c->metrics.v[m].kind->name, json_string(text));
    }
    json_object_set_new(
        out, "volume_psnr, volume_ssim, volume_nmse",
        json_string("fastMRI's evaluate.py: data range is the maximum of the reference volume, "
                    "errors are summed over the volume; SSIM with 7x7 uniform windows, mean over "
                    "slices"));
    json_object_set_new(
        out, "reference",
        json_string(c->target == TARGET_RSS
                        ? "root-sum-of-squares image of the fully sampled scan"
                        : "magnitude of the JSENSE-combined image of the fully sampled scan"));
    json_object_set_new(out, "means",
                        json_string("of slices in scans.csv; of scans, each counting once, here"));
    return out;
}

static json_t *summary(const struct report *p)
{
    json_t *out = json_object(), *mean = json_object();
    char name[128];
    json_object_set_new(out, "scans", json_integer(p->r->images.scans.n));
    json_object_set_new(out, "slices", json_integer(p->r->images.n));
    json_object_set_new(out, "checkpoint", json_string(p->r->conf->checkpoint));
    json_object_set_new(out, "checkpoint_step", json_integer((json_int_t)p->r->net.info.step));
    for (int k = 1; k < p->columns; k++) {
        double v = p->counted[k] ? p->sum[k] / p->counted[k] : NAN;
        json_object_set_new(mean, column(p, k, name), isfinite(v) ? json_real(v) : json_null());
    }
    json_object_set_new(out, "mean", mean);
    json_object_set_new(out, "definitions", definitions(p->r->conf));
    return out;
}

static void print(const struct report *p)
{
    char name[128];
    printf("output: %s\nscans: %d\nslices: %d\n", p->r->conf->output, p->r->images.scans.n,
           p->r->images.n);
    for (int k = 1; k < p->columns; k++)
        if (p->counted[k]) printf("%s: %.6g\n", column(p, k, name), p->sum[k] / p->counted[k]);
}

int reconstruct_report(const struct reconstruction *r, struct err *e)
{
    struct report p;
    char slices[1200], scans[1200];
    const struct study_env env = {
        .output = r->conf->output, .fields = r->cli->fields, .conf = r->conf};
    int rc = begin(&p, r, e) || study_open_output(&env, e);
    for (int i = 0; i < r->images.scans.n && !rc; i++)
        rc = add_scan(&p, i, e);
    rc = rc || reconstruct_path(r->conf, "slices.csv", slices, sizeof slices, e) ||
         reconstruct_path(r->conf, "scans.csv", scans, sizeof scans, e) ||
         table_write_csv(p.slices, slices, e) || table_write_csv(p.scans, scans, e) ||
         study_close_output(&env, 0, summary(&p), e);
    if (!rc) print(&p);
    end(&p);
    return rc ? -1 : 0;
}
