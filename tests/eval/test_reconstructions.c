/* The studies of layers and of quality control as a user runs them: networks, zero-filling and
 * folders of files, side by side; what they write, that it repeats, and how they refuse. */
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stat.h"
#include "cli/shell.h"
#include "data/images.h"
#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

enum { SIDE = 32, SLICES = 3, SCANS = 8 };

static const char *const jsense =
    "jsense: {kernel: 4, calibration: 0.5, iterations: 2, inner_iterations: 2}";

static const char *path_of(const char *name)
{
    static char path[4][768];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", shell_folder(), name);
    return p;
}

static void succeeds(const struct outcome *o)
{
    if (o->code != 0) fail_msg("exit code %d: %s%s", o->code, o->out, o->err);
}

static void refuses(int code, const char *says, const struct outcome *o)
{
    if (o->code != code || !strstr(o->err, says))
        fail_msg("exit code %d, expected %d and '%s': %s", o->code, code, says, o->err);
}

static char *text_of(const char *name)
{
    struct err e = {0};
    size_t len;
    char *text = io_read_text(path_of(name), 1 << 26, &len, &e);
    if (!text) fail_msg("%s", e.text);
    return text;
}

static json_t *json_of(const char *name)
{
    char *text = text_of(name);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    mem_free(text);
    return root;
}

static double number_at(const json_t *j, const char *path)
{
    char part[256], *rest = part;
    snprintf(part, sizeof part, "%s", path);
    for (char *key; j && (key = strsep(&rest, "/"));)
        j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key)) : json_object_get(j, key);
    if (!json_is_number(j)) fail_msg("%s is not a number", path);
    return json_number_value(j);
}

/* A method that is worse the later the scan's name: scan k has 0.01 (k + 1) of noise; the last two
 * are planted to be bad, with twenty times that. `scale` is that of its files; `noisy` 0:
 * no noise. */
static void save_method(const char *folder, float scale, double noisy)
{
    struct err e = {0};
    struct images images = {0};
    const char *scans = path_of("scans");
    struct images_conf conf = {
        .scans = {1, &scans}, .cache = path_of("cache"), .slices = SLICES_ALL};
    conf.jsense.kernel = 4;
    conf.jsense.calibration = 0.5;
    conf.jsense.iterations = conf.jsense.inner_iterations = 2;
    if (images_find(&images, &conf, true, &e) || images_prepare(&images, true, &e))
        fail_msg("%s", e.text);
    if (io_mkdirs(path_of(folder), &e)) fail_msg("%s", e.text);
    float complex *x = mem_new(SIDE * SIDE, sizeof *x, &e);
    float *y = mem_new(SIDE * SIDE, sizeof *y, &e);
    for (int s = 0; s < SCANS; s++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s.h5", folder, images.scans.list[s].name);
        struct h5 *f = h5_create(path_of(name), &e);
        if (!f || h5_make(f, "reconstruction", H5_F32, 3, (int64_t[]){SLICES, SIDE, SIDE}, &e))
            fail_msg("%s", e.text);
        for (int k = 0; k < SLICES; k++) {
            struct rng rng = rng_make(1, RNG_TEST, (uint32_t)s, (uint32_t)k);
            double noise = noisy * 0.01 * (s + 1) * (s >= SCANS - 2 ? 20.0 : 1.0);
            if (images_read(&images, s * SLICES + k, x, &e)) fail_msg("%s", e.text);
            for (int i = 0; i < SIDE * SIDE; i++)
                y[i] = scale * (cabsf(x[i]) + (float)(noise * rng_normal(&rng)));
            if (h5_write_f32(f, "reconstruction", 3, (int64_t[]){k, 0, 0},
                             (int64_t[]){1, SIDE, SIDE}, y, &e))
                fail_msg("%s", e.text);
        }
        if (h5_commit(f, &e)) fail_msg("%s", e.text);
        h5_close(f);
    }
    mem_free(x);
    mem_free(y);
    images_release(&images);
}

static void save_network(const char *name, const char *task, int channels, int levels, int block)
{
    struct unet_conf conf = {.in_channels = channels,
                             .out_channels = channels,
                             .filters = 4,
                             .levels = levels,
                             .block = block,
                             .groups = 2};
    struct graph *g;
    params_free(save_checkpoint(path_of(name), task, &conf, &g));
    graph_free(g);
}

static void write_configs(void)
{
    char yaml[2048];
    static const char *const study[] = {"layers",
                                        "  layers: [conv2, conv4, conv9]\n  resamples: 200\n", "qc",
                                        "  truth: truth.csv\n  resamples: 200\n"};
    for (int k = 0; k < 2; k++) {
        snprintf(yaml, sizeof yaml,
                 "output: %s\nseed: 3\ndata:\n  scans: scans\n  cache: cache\n  %s\n"
                 "study:\n  kind: %s\n%s"
                 "  reconstructions:\n    folder: {paths: [noisy]}\n"
                 "    network: {checkpoints: [unet/recon.h5]}\n    zero_filled: {}\n"
                 "  metrics:\n    psnr: {}\n    ssim: {}\n    ssfd: {checkpoint: ssl.h5}\n",
                 study[2 * k], jsense, study[2 * k], study[2 * k + 1]);
        char name[32];
        snprintf(name, sizeof name, "%s.yaml", study[2 * k]);
        shell_write(name, yaml);
    }
}

static int set_up(void **state)
{
    struct err e = {0};
    if (shell_setup(state) || io_mkdirs(path_of("scans"), &e) || io_mkdirs(path_of("unet"), &e))
        return -1;
    for (int s = 0; s < SCANS; s++) {
        char name[64];
        snprintf(name, sizeof name, "scans/%c.h5", 'a' + s);
        save_scan_of(s % 2 ? "CORPDFS_FBK" : "CORPD_FBK", path_of(name), SLICES, SIDE, s + 1, 0);
    }
    save_network("ssl.h5", "ssl", 1, 5, UNET_BLOCK_CONTEXT);
    save_network("unet/recon.h5", "recon", 2, 2, UNET_BLOCK_FASTMRI);
    save_network("deep.h5", "recon", 2, 7, UNET_BLOCK_FASTMRI);
    save_method("noisy", 1.0f, 1.0);
    save_method("scaled", 40.0f, 1.0);
    shell_write("truth.csv", "scan,kind,first_slice,last_slice,severity\n"
                             "a,none,,,\nb,none,,,\nc,none,,,\nd,none,,,\ne,none,,,\nf,none,,,\n"
                             "g.h5,noise,0,2,9\nh,noise,,,3\nh,other,0,0,1\n");
    write_configs();
    return 0;
}

static void expect_files(const char *folder, const char *const *names)
{
    for (; *names; names++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, *names);
        if (!shell_exists(path)) fail_msg("%s is not there", path);
    }
}

static void layers_measures_what_its_scores_say(void **state)
{
    (void)state;
    succeeds(shell_run("eval-study layers.yaml --quiet"));
    expect_files("layers",
                 (const char *const[]){"scores.csv", "methods.csv", "correlations.csv", "layers.gp",
                                       "contrasts.gp", "report.html", "config.resolved.yaml",
                                       "pictures/a_001_reference.png", "pictures/h_001_noisy.png",
                                       "pictures/b_001_unet_difference.png", NULL});
    assert_false(shell_exists("layers/journal.txt"));
    /* The statistics again, from the table. */
    char *csv = text_of("layers/scores.csv"), *rest = csv, *line;
    double first[SCANS], ssim[SCANS];
    int n = 0;
    assert_string_equal(strsep(&rest, "\n"), "scan,slice,contrast,method,ssfd_conv2,ssfd_conv4,"
                                             "ssfd_conv9,psnr,ssim");
    while ((line = strsep(&rest, "\n"))) {
        double psnr, c4, c9;
        char scan, contrast[16];
        if (sscanf(line, "%c,1,%15[^,],noisy,%lf,%lf,%lf,%lf,%lf", &scan, contrast, &first[n], &c4,
                   &c9, &psnr, &ssim[n]) != 7)
            continue;
        assert_string_equal(contrast, (scan - 'a') % 2 ? "FS" : "non-FS");
        assert_true(++n <= SCANS);
    }
    assert_int_equal(n, SCANS);
    struct assoc spearman;
    struct err e = {0};
    assert_int_equal(stat_spearman(first, ssim, NULL, n, &spearman, &e), 0);
    json_t *summary = json_of("layers/summary.json");
    const char *at = "layers/noisy/conv2/groups/all/spearman/value";
    assert_true(fabs(number_at(summary, at) - spearman.r) < 1e-8);
    at = "layers/noisy/conv2/groups/all/pearson/value";
    assert_true(fabs(number_at(summary, at) - stat_pearson(first, ssim, NULL, n).r) < 1e-6);
    assert_true(number_at(summary, "layers/noisy/conv2/groups/FS/images") == SCANS / 2);
    assert_int_equal(json_array_size(json_object_get(summary, "claims")), 4);
    assert_true(number_at(summary, "claims/1/measured") <= number_at(summary, "claims/0/measured"));
    json_decref(summary);
    mem_free(csv);
}

static void qc_finds_what_was_planted(void **state)
{
    (void)state;
    succeeds(shell_run("eval-study qc.yaml --quiet"));
    expect_files("qc",
                 (const char *const[]){"scores.csv", "methods.csv", "correlations.csv",
                                       "zscores.csv", "disagreements.csv", "roc.csv", "qc_ssim.gp",
                                       "qc_psnr.gp", "roc.gp", "report.html", NULL});
    json_t *summary = json_of("qc/summary.json");
    const json_t *rocs = json_object_get(summary, "roc"), *roc;
    size_t i;
    int any = 0;
    json_array_foreach(rocs, i, roc)
    {
        /* "other" is in slice 0 only, which is not the centre: it is never looked at. */
        assert_string_not_equal(json_string_value(json_object_get(roc, "defect")), "other");
        any += strcmp(json_string_value(json_object_get(roc, "defect")), "any") == 0;
        assert_int_equal(json_integer_value(json_object_get(roc, "bad")), 2);
        assert_int_equal(json_integer_value(json_object_get(roc, "good")), SCANS - 2);
        if (strcmp(json_string_value(json_object_get(roc, "metric")), "psnr") == 0)
            assert_true(json_number_value(json_object_get(roc, "value")) == 1.0);
    }
    assert_int_equal(any, 3);
    /* z: over all methods the mean is 0, and a disagreement is the difference of two of them. */
    char *csv = text_of("qc/disagreements.csv"), *rest = csv, *line;
    double last = INFINITY;
    int n = 0;
    strsep(&rest, "\n");
    while ((line = strsep(&rest, "\n")) && *line) {
        double rank, difference, focus, other;
        assert_int_equal(sscanf(line, "%lf,%*c,1,%*[^,],%*[^,],%*[^,],%*[^,],%lf,%lf,%lf", &rank,
                                &difference, &focus, &other),
                         4);
        assert_true(rank == ++n);
        assert_true(fabs(focus - other - difference) < 1e-7);
        assert_true(fabs(difference) <= last);
        last = fabs(difference);
    }
    assert_int_equal(n, 2 * 3 * SCANS < 50 ? 2 * 3 * SCANS : 50);
    mem_free(csv);
    json_decref(summary);
}

/* References of other scans of the same names: files that are these scans' exact references are
 * perfect against them, and not against the scans' own. */
static void references_can_be_those_of_twins(void **state)
{
    (void)state;
    succeeds(shell_run("mkdir -p damaged && cp scans/*.h5 damaged && "
                       "cp scans/a.h5 damaged/c.h5 && cp scans/c.h5 damaged/a.h5"));
    const char *of =
        "eval-study qc.yaml --quiet --set 'study.truth=\"\"' --set data.scans=damaged --set "
        "'study.reconstructions={folder: {paths: [exact]}}' --set "
        "'study.metrics={ssim: {}, nrmse: {}}' --set study.focus=ssim "
        "--set study.against=ssim";
    save_method("exact", 1.0f, 0.0);
    succeeds(shell_run("%s --set output=twins --set study.references=scans", of));
    succeeds(shell_run("%s --set output=own", of));
    json_t *twins = json_of("twins/summary.json"), *own = json_of("own/summary.json");
    const char *at = "methods/0/means/nrmse/value";
    assert_true(number_at(twins, at) == 0.0);
    assert_true(number_at(own, at) > 0.01);
    assert_int_equal(json_array_size(json_object_get(twins, "references")), 1);
    assert_true(json_is_null(json_object_get(own, "references")));
    json_decref(twins);
    json_decref(own);
}

static void scaled_files_score_the_same_when_scaled_back(void **state)
{
    (void)state;
    const char *only = "--set 'study.metrics={ssfd: {checkpoint: ssl.h5}, ssim: {}}' "
                       "--set study.against=ssim --quiet";
    succeeds(shell_run("eval-study qc.yaml --set output=one %s --set "
                       "'study.reconstructions={folder: {paths: [noisy], scale: least-squares}}'",
                       only));
    succeeds(shell_run("eval-study qc.yaml --set output=two %s --set "
                       "'study.reconstructions={folder: {paths: [scaled], scale: least-squares}}'",
                       only));
    json_t *one = json_of("one/summary.json"), *two = json_of("two/summary.json");
    for (int m = 0; m < 2; m++) {
        const char *at = m ? "methods/0/means/ssim/value" : "methods/0/means/ssfd/value";
        double a = number_at(one, at), b = number_at(two, at);
        assert_true(fabs(a - b) <= 1e-4 * fabs(a));
    }
    json_decref(one);
    json_decref(two);
}

/* A file of images of another size is said to be one. */
static void another_size_is_said(void **state)
{
    (void)state;
    struct err e = {0};
    const char *one = "eval-study qc.yaml --quiet --set output=%s --set "
                      "'study.metrics={ssfd: {checkpoint: ssl.h5}, ssim: {}}' "
                      "--set study.against=ssim --set "
                      "'study.reconstructions={folder: {paths: [other]}}'";
    save_method("other", 1.0f, 0.5);
    const struct outcome *o = shell_run(one, "as-they-are");
    succeeds(o);
    assert_null(strstr(o->err, "another size"));
    static float y[SLICES * (SIDE + 6) * SIDE];
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        y[i] = (float)(i % 7);
    const int64_t dim[] = {SLICES, SIDE + 6, SIDE}, start[] = {0, 0, 0};
    struct h5 *f = h5_create(path_of("other/b.h5"), &e);
    if (!f || h5_make(f, "reconstruction", H5_F32, 3, dim, &e) ||
        h5_write_f32(f, "reconstruction", 3, start, dim, y, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
    o = shell_run(one, "larger");
    succeeds(o);
    assert_non_null(strstr(o->err, "1 of "));
    assert_non_null(strstr(o->err, "b.h5"));
}

/* A scan whose samples turn out to be bad is left out, and then no method needs a file of it. */
static void a_scan_left_out_needs_no_file(void **state)
{
    (void)state;
    succeeds(shell_run("mkdir mixed && cp -p scans/*.h5 mixed"));
    save_scan_of("CORPD_FBK", path_of("mixed/z.h5"), SLICES, SIDE, 9, 1);
    const char *run = "eval-study qc.yaml --quiet --set data.scans=mixed --set output=mixed-out "
                      "--set study.truth='\"\"' --set data.on_bad_scan=%s";
    refuses(66, "noisy/z.h5", shell_run(run, "stop"));
    const struct outcome *o = shell_run(run, "skip");
    succeeds(o);
    assert_non_null(strstr(o->err, "skipped 1 of 9 scans"));
    o = shell_run("eval-study qc.yaml --quiet --set data.scans=mixed --set output=mixed-out --set "
                  "study.truth='\"\"' --set data.on_bad_scan=skip --resume");
    succeeds(o);
    assert_non_null(strstr(o->err, "is finished"));
}

/* Every SSIM is 1, or as good as 1: an axis of no length, which gnuplot refuses. */
static void equal_images_can_be_drawn(void **state)
{
    (void)state;
    const char *only = "--set 'study.metrics={ssfd: {checkpoint: ssl.h5}, ssim: {}}' "
                       "--set study.against=ssim --quiet";
    save_method("equal", 1.0f, 0.0);
    save_method("nearly", 1.0f, 1e-7);
    for (int k = 0; k < 4; k++)
        succeeds(shell_run("eval-study %s.yaml --set output=alike%d %s --set "
                           "'study.reconstructions={folder: {paths: [%s]}}'",
                           k % 2 ? "qc" : "layers", k, only, k / 2 ? "nearly" : "equal"));
}

/* Weights that everybody has to fetch for himself are not there: the study goes on without, unless
 * it is about them. And a metric that wants the maximum of the scan gets it. */
static void a_metric_without_its_file_is_left_out(void **state)
{
    (void)state;
    const char *with = "--set 'study.metrics={ssfd: {checkpoint: ssl.h5}, ssim: {window: fastmri, "
                       "range: volume}, vggpl: {weights: nowhere.h5}}' --set study.against=ssim "
                       "--set output=without --quiet";
    const struct outcome *o = shell_run("eval-study qc.yaml %s", with);
    succeeds(o);
    assert_non_null(strstr(o->err, "metric vggpl is left out"));
    json_t *summary = json_of("without/summary.json");
    assert_non_null(json_object_get(json_object_get(summary, "left_out"), "vggpl"));
    assert_null(json_object_get(json_object_get(summary, "metrics"), "vggpl"));
    assert_true(number_at(summary, "methods/0/means/ssim/value") > 0.0);
    json_decref(summary);
    refuses(66, "nowhere.h5",
            shell_run("eval-study qc.yaml %s --set study.focus=vggpl --set output=not", with));
}

static void the_page_is_closed_to_the_network(void **state)
{
    (void)state;
    succeeds(shell_run("eval-study qc.yaml --quiet --set output=page"));
    char *page = text_of("page/report.html");
    assert_non_null(strstr(page, "Content-Security-Policy\" content=\"default-src 'none'"));
    assert_null(strstr(page, "@DATA@"));
    assert_null(strstr(page, "@CHARTS@"));
    assert_null(strstr(page, "<link"));
    assert_null(strstr(page, "<script src"));
    assert_non_null(strstr(page, "id=\"r0\">iVBOR"));
    assert_non_null(strstr(page, "id=\"d7_2\">iVBOR"));
    const char *data = strstr(page, "id=\"data\">");
    assert_non_null(data);
    data += strlen("id=\"data\">");
    json_t *root = json_loads(data, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "points")), 3 * SCANS);
    assert_int_equal(json_array_size(json_object_get(root, "images")), SCANS);
    json_decref(root);
    mem_free(page);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    succeeds(shell_run("eval-study layers.yaml --quiet --set output=same --threads 1 >1 && "
                       "mkdir kept && cp -r same kept && rm -rf same && "
                       "eval-study layers.yaml --quiet --set output=same --threads 3 >3 && "
                       "diff -r same kept/same && cmp 1 3"));
}

/* Killed between two batches, and gone on with: the same bytes as without. */
static void an_interrupted_study_goes_on(void **state)
{
    (void)state;
    const char *much = "--set output=cut --set data.slices=all --set study.resamples=100 --quiet";
    succeeds(shell_run("eval-study qc.yaml %s && mv cut whole", much));
    const struct outcome *o =
        shell_run("eval-study qc.yaml %s & stop_when TERM grep -q '^[0-9]' cut/journal.txt", much);
    if (o->code == 0) { /* it was faster than the shell: nothing to go on with */
        print_message("the study was not interrupted in time\n");
        return;
    }
    assert_int_equal(o->code, 75);
    assert_non_null(strstr(o->err, "--resume"));
    assert_false(shell_exists("cut/summary.json"));
    refuses(78, "another study", shell_run("eval-study qc.yaml %s --set seed=9 --resume", much));
    refuses(78, "another one",
            shell_run("touch -r scans/a.h5 then; touch scans/a.h5; eval-study qc.yaml %s --resume; "
                      "code=$?; touch -r then scans/a.h5; exit $code",
                      much));
    succeeds(shell_run("eval-study qc.yaml %s --resume 2>note && grep -q 'going on after' note && "
                       "diff -r cut whole && ! [ -e cut/journal.txt ]",
                       much));
}

/* Killed -9 whenever, again and again, and gone on with: the same folder, to the last byte. */
static void a_killed_study_goes_on(void **state)
{
    (void)state;
    static const char *const studies[] = {
        "layers.yaml --set data.slices=all", "qc.yaml --set data.slices=all",
        ("qc.yaml --set 'study={kind: perturbation, levels: 3, extent: auto, "
         "metrics: {ssim: {}, ssfd: {checkpoint: ssl.h5}}}'")};
    for (size_t k = 0; k < sizeof studies / sizeof *studies; k++) {
        char run[512];
        snprintf(run, sizeof run,
                 "eval-study %s --set output=shot --set study.resamples=100 --quiet", studies[k]);
        succeeds(shell_run("rm -rf shot unhurt; %s && mv shot unhurt", run));
        succeeds(shell_run("for s in 0.02 0.05 0.09 0.14 0.2 0.27 0.35 0.44; do "
                           "timeout -s KILL $s %s --resume || true; done >noise 2>&1; "
                           "[ -e shot/summary.json ] || "
                           "for f in shot/pictures/[ab]_*; do [ -e $f ] && : >$f; done; "
                           "%s --resume && diff -r shot unhurt",
                           run, run)); /* emptied: as a power cut may leave them */
    }
}

/* Figures and tables of two studies are never mixed, and one that is finished is not done again. */
static void a_folder_holds_one_study(void **state)
{
    (void)state;
    const char *study =
        "eval-study layers.yaml --quiet --set study.resamples=100 --set output=%s %s";
    succeeds(shell_run(study, "held", ""));
    succeeds(shell_run("cp -rp held before"));
    refuses(78, "another study",
            shell_run("eval-study qc.yaml --quiet --set output=held --set study.resamples=100"));
    refuses(78, "'  kind: layers', not '  kind: qc'",
            shell_run("eval-study qc.yaml --check --set output=held --set study.resamples=100"));
    refuses(78, "resamples: 100', not '  resamples: 101'",
            shell_run(study, "held", "--resume --set study.resamples=101"));
    /* the references are gone, and are not missed */
    const struct outcome *o =
        shell_run("mv cache away && eval-study layers.yaml --quiet --set study.resamples=100 --set "
                  "output=held --resume; code=$?; [ ! -e cache ] && mv away cache && exit $code");
    succeeds(o);
    assert_non_null(strstr(o->err, "finished: its results are in held"));
    succeeds(shell_run("diff -r held before && [ ! held/summary.json -nt before/summary.json ]"));
    succeeds(shell_run("mv held moved"));
    o = shell_run(study, "moved", "--resume");
    succeeds(o);
    assert_non_null(strstr(o->err, "is finished"));
    succeeds(shell_run("touch scans/b.h5"));
    refuses(78, "of other files", shell_run(study, "moved", "--resume"));
    succeeds(shell_run(study, "moved", "")); /* anew */
    /* as older versions left it: which files it was made from is not known */
    succeeds(shell_run("rm moved/inputs.txt && rm moved/layers.gp"));
    succeeds(shell_run(study, "moved", "--resume"));
    assert_true(shell_exists("moved/layers.gp") && shell_exists("moved/inputs.txt"));
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    const char *qc = "eval-study qc.yaml --quiet --set output=bad --set";
    refuses(78, "study.focus", shell_run("%s study.focus=vif", qc));
    refuses(78, "study.against", shell_run("%s study.against=[nrmse]", qc));
    refuses(78, "at least two", shell_run("%s 'study.metrics={ssim: {}}'", qc));
    refuses(78, "at least one method", shell_run("%s 'study.reconstructions={}'", qc));
    shell_write("odd.csv", "scan\na\n");
    refuses(65, "no column 'kind'", shell_run("%s study.truth=odd.csv", qc));
    refuses(78, "two methods are called 'noisy'",
            shell_run("%s 'study.reconstructions={folder: {paths: [noisy, ./noisy/]}}'", qc));
    const char *layers = "eval-study layers.yaml --quiet --set output=bad --set";
    refuses(78, "study.layers", shell_run("%s study.layers=[]", layers));
    refuses(78, "conv77", shell_run("%s study.layers=[conv77]", layers));
    refuses(78, "study.against", shell_run("%s study.against=ssfd", layers));
    refuses(78, "ssfd is missing", shell_run("%s 'study.metrics={ssim: {}}'", layers));
    refuses(78, "auto needs ssim",
            shell_run("%s 'study={kind: perturbation, extent: auto, metrics: {psnr: {}}}'", qc));
    assert_false(shell_exists("bad/summary.json"));
}

/* One file of a folder is not as it must be: the message names it. */
static void bad_files_are_refused(void **state)
{
    (void)state;
    struct err e = {0};
    static const struct {
        const char *dataset;
        int64_t dim[3];
        float first;
        const char *says;
    } bad[] = {
        {"image", {SLICES, SIDE, SIDE}, 1.0f, "reconstruction"},
        {"reconstruction", {SLICES + 1, SIDE, SIDE}, 1.0f, "the scan has 3 slices"},
        {"reconstruction", {SLICES, SIDE, 9000}, 1.0f, "9000"},
        {"reconstruction", {SLICES, SIDE, SIDE}, NAN, "nan"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        succeeds(shell_run("rm -rf broken && cp -r noisy broken"));
        struct h5 *f = h5_create(path_of("broken/c.h5"), &e);
        size_t n = (size_t)(bad[k].dim[0] * bad[k].dim[1] * bad[k].dim[2]);
        float *x = mem_new(n, sizeof *x, &e);
        for (size_t i = 0; i < n; i++)
            x[i] = bad[k].first;
        if (h5_make(f, bad[k].dataset, H5_F32, 3, bad[k].dim, &e) ||
            h5_write_f32(f, bad[k].dataset, 3, (int64_t[]){0, 0, 0}, bad[k].dim, x, &e) ||
            h5_commit(f, &e))
            fail_msg("%s", e.text);
        h5_close(f);
        mem_free(x);
        const struct outcome *o = shell_run("eval-study qc.yaml --quiet --set output=bad --set "
                                            "'study.reconstructions={folder: {paths: [broken]}}'");
        refuses(65, bad[k].says, o);
        assert_non_null(strstr(o->err, "broken/c.h5"));
    }
}

/* Before a single reference is made, and by --check: whatever the study names and is not there, or
 * does not fit. */
static void what_is_named_is_looked_for_first(void **state)
{
    (void)state;
    struct err e = {0};
    static const char *const twins[] = {"short", "small", "other", "some"};
    for (int k = 0; k < 4; k++) {
        char name[64];
        if (io_mkdirs(path_of(twins[k]), &e)) fail_msg("%s", e.text);
        for (int s = 0; s < SCANS; s++) {
            const bool odd = s == 2 && k < 3;
            if (s == 2 && k == 3) continue;
            snprintf(name, sizeof name, "%s/%c.h5", twins[k], 'a' + s);
            save_scan_of((s % 2 != 0) != (odd && k == 2) ? "CORPDFS_FBK" : "CORPD_FBK",
                         path_of(name), SLICES - (odd && k == 0), SIDE + 2 * (odd && k == 1), s + 1,
                         0);
        }
    }
    succeeds(shell_run("mkdir few && cp noisy/[abd-h].h5 few"));
    shell_write("stranger.csv", "scan,kind\nzzz,motion\n");
    static const struct {
        const char *set;
        int code;
        const char *says;
    } bad[] = {
        {"study.truth=nowhere.csv", 66, "nowhere.csv"},
        {"study.truth=stranger.csv", 65, "none of the scans"},
        {"'study.metrics={ssfd: {checkpoint: absent.h5}, ssim: {}, psnr: {}}'", 66, "absent.h5"},
        {"'study.metrics={ssfd: {checkpoint: unet/recon.h5}, ssim: {}, psnr: {}}'", 65, "'recon'"},
        {"'study.reconstructions={network: {checkpoints: [absent.h5]}}'", 66, "absent.h5"},
        {"'study.reconstructions={network: {checkpoints: [ssl.h5]}}'", 65, "task 'ssl'"},
        {"'study.reconstructions={network: {checkpoints: [deep.h5]}}'", 78, "multiples of 64"},
        {"'study.reconstructions={folder: {paths: [nothing]}}'", 66, "nothing/a.h5"},
        {"'study.reconstructions={folder: {paths: [few]}}'", 66, "few/c.h5"},
        {"'study.reconstructions={folder: {paths: [nothing]}}' --set data.on_bad_scan=skip", 66,
         "nothing"},
        {"study.references=nowhere", 66, "study.references: nowhere"},
        {"study.references=some", 65, "there is no scan 'c' in some"},
        {"study.references=short", 65, "short/c.h5 has 2 slices"},
        {"study.references=small", 65, "small/c.h5 has images of 34x34"},
        {"study.references=other", 65, "other/c.h5 is of acquisition CORPDFS_FBK"},
        {"'study={kind: perturbation, metrics: {ssfd: {checkpoint: absent.h5}}}'", 66, "absent.h5"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const char *run =
            "eval-study qc.yaml --set output=named --set data.cache=never --set %s %s";
        refuses(bad[k].code, bad[k].says, shell_run(run, bad[k].set, "--quiet"));
        refuses(bad[k].code, bad[k].says, shell_run(run, bad[k].set, "--check"));
        succeeds(shell_run(run, bad[k].set, "--check --quiet"));
    }
    const struct outcome *o =
        shell_run("eval-study qc.yaml --check --set data.cache=never --set output=named");
    succeeds(o);
    assert_non_null(strstr(o->out, "# 8 scans of 32x32 are there"));
    assert_false(shell_exists("never"));
}

static void explains_itself(void **state)
{
    (void)state;
    const struct outcome *o = shell_run("eval-study qc.yaml --explain");
    succeeds(o);
    assert_non_null(strstr(o->out, "method noisy: folder noisy"));
    assert_non_null(strstr(o->out, "method unet: network unet/recon.h5"));
    succeeds(shell_run("eval-study layers.yaml --explain"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_measures_what_its_scores_say),
        cmocka_unit_test(qc_finds_what_was_planted),
        cmocka_unit_test(references_can_be_those_of_twins),
        cmocka_unit_test(scaled_files_score_the_same_when_scaled_back),
        cmocka_unit_test(another_size_is_said),
        cmocka_unit_test(a_scan_left_out_needs_no_file),
        cmocka_unit_test(equal_images_can_be_drawn),
        cmocka_unit_test(a_metric_without_its_file_is_left_out),
        cmocka_unit_test(the_page_is_closed_to_the_network),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(an_interrupted_study_goes_on),
        cmocka_unit_test(a_killed_study_goes_on),
        cmocka_unit_test(a_folder_holds_one_study),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(what_is_named_is_looked_for_first),
        cmocka_unit_test(explains_itself),
    };
    return cmocka_run_group_tests_name("reconstructions", tests, set_up, shell_teardown);
}
