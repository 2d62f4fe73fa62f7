/* The command eval-study from scan files to figures: what it writes, that it repeats bit for bit,
 * and how it refuses. */
#include "base/io.h"
#include "base/mem.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIDE = 48, SLICES = 3, LEVELS = 4 };

static char dir[] = "/tmp/ssfd-study-XXXXXX";
static char text[1 << 16]; /* what the last command said on stderr */

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void write_text(const char *name, const char *content)
{
    struct err e = {0};
    if (io_write_text(in_dir(name), content, strlen(content), &e)) fail_msg("%s", e.text);
}

static char *read_text(const char *name, size_t *len)
{
    struct err e = {0};
    char *out = io_read_text(in_dir(name), 1 << 24, len, &e);
    if (!out) fail_msg("%s", e.text);
    return out;
}

/* A configuration with the usual study, `scans` and `checkpoint` in the folder; `slices` as given.
 */
static void write_config(const char *scans, const char *checkpoint, const char *slices)
{
    char yaml[4096];
    snprintf(yaml, sizeof yaml,
             "output: %s/out\n"
             "seed: 7\n"
             "data:\n"
             "  scans: %s\n"
             "  cache: %s/cache\n"
             "  slices: %s\n"
             "  jsense: {kernel: 4, calibration: 0.5, iterations: 2, inner_iterations: 2}\n"
             "study:\n"
             "  kind: perturbation\n"
             "  levels: %d\n"
             "  metrics:\n"
             "    ssfd: {checkpoint: %s/%s}\n"
             "    ssim: {}\n"
             "    psnr: {}\n",
             dir, scans, dir, slices, LEVELS, dir, checkpoint);
    write_text("study.yaml", yaml);
}

/* Runs `eval-study study.yaml --quiet [--set extra]` and returns its exit code. */
static int run(const char *extra, const char *threads)
{
    char program[512], config[256], quiet[] = "--quiet", set[] = "--set", value[256],
                                    flag[] = "--threads", count[8];
    snprintf(program, sizeof program, "%s/src/eval/eval-study", getenv("SSFD_BUILD"));
    snprintf(config, sizeof config, "%s/study.yaml", dir);
    snprintf(value, sizeof value, "%s", extra);
    snprintf(count, sizeof count, "%s", threads);
    char *argv[] = {program, config, quiet, flag, count, extra[0] ? set : NULL, value, NULL};
    posix_spawn_file_actions_t files;
    extern char **environ;
    pid_t pid;
    int status = -1, mode = O_WRONLY | O_CREAT | O_TRUNC;
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    posix_spawn_file_actions_addopen(&files, 1, in_dir("stdout"), mode, 0644);
    posix_spawn_file_actions_addopen(&files, 2, in_dir("stderr"), mode, 0644);
    assert_int_equal(posix_spawn(&pid, program, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    size_t len;
    char *said = read_text("stderr", &len);
    snprintf(text, sizeof text, "%s", said);
    mem_free(said);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(int want, const char *extra, const char *what)
{
    int got = run(extra, "2");
    if (got != want) fail_msg("exit code %d, expected %d: %s", got, want, text);
    if (!strstr(text, what)) fail_msg("'%s' does not say '%s'", text, what);
}

static int remove_all(const char *path)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

static int set_up(void **state)
{
    (void)state;
    struct unet_conf conf = {.in_channels = 1,
                             .out_channels = 1,
                             .filters = 4,
                             .levels = 5,
                             .block = UNET_BLOCK_CONTEXT,
                             .groups = 2};
    struct graph *g;
    if (!mkdtemp(dir)) return -1;
    struct err e = {0};
    if (io_mkdirs(in_dir("scans"), &e)) return -1;
    params_free(save_checkpoint(in_dir("ssl.h5"), "ssl", &conf, &g));
    graph_free(g);
    params_free(save_checkpoint(in_dir("recon.h5"), "recon", &conf, &g));
    graph_free(g);
    save_scan(in_dir("scans/one.h5"), SLICES, SIDE, 1, 0);
    save_scan(in_dir("scans/two.h5"), SLICES, SIDE, 2, 0);
    save_scan(in_dir("small.h5"), 1, 32, 3, 0);
    save_scan(in_dir("bad.h5"), SLICES, SIDE, 4, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return getenv("KEEP") ? 0 : remove_all(dir);
}

static int fresh(void **state)
{
    (void)state;
    write_config(in_dir("scans"), "ssl.h5", "centre");
    return remove_all(in_dir("out"));
}

static int count_lines(const char *name)
{
    size_t len;
    char *content = read_text(name, &len);
    int lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += content[i] == '\n';
    mem_free(content);
    return lines;
}

static double json_at(const json_t *root, const char *perturbation, const char *metric,
                      const char *group, const char *key)
{
    const json_t *curve = json_object_get(
        json_object_get(
            json_object_get(json_object_get(json_object_get(root, "perturbations"), perturbation),
                            "metrics"),
            metric),
        group);
    const json_t *v = key ? json_object_get(curve, key) : curve;
    assert_non_null(v);
    return json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
}

static void writes_a_whole_folder(void **state)
{
    (void)state;
    if (run("", "2") != 0) fail_msg("%s", text);
    assert_int_equal(count_lines("out/scores.csv"), 1 + 2 * 3 * LEVELS * 3);
    assert_int_equal(count_lines("out/curves.csv"), 1 + 3 * LEVELS * 3);
    static const char *const names[] = {"example_shift.png", "example_blur.png",
                                        "example_noise.png", "perturbations.gp",
                                        "config.resolved.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "out/%s", names[i]);
        assert_true(io_exists(in_dir(path)));
    }
    size_t len;
    char *curves = read_text("out/curves.csv", &len);
    assert_non_null(strstr(curves, "perturbation,level,unit,metric,n,mean,ci_low,ci_high\n"));
    assert_non_null(strstr(curves, "shift,0,px,ssim,2,1,1,1\n"));
    assert_non_null(strstr(curves, "blur,0,px,psnr,0,,,\n")); /* infinite: left empty */
    assert_non_null(strstr(curves, "noise,0,,ssfd,2,0,0,0\n"));
    mem_free(curves);

    char *summary = read_text("out/summary.json", &len);
    json_t *root = json_loads(summary, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "images")), 2);
    assert_true(json_at(root, "noise", "ssfd", "at_every_level", NULL) == 1);
    assert_true(json_at(root, "noise", "psnr", "at_every_level", NULL) == 1);
    assert_true(json_at(root, "noise", "psnr", "line", "levels") == LEVELS - 1);
    assert_true(json_at(root, "blur", "ssim", "at_extent", "mean") < 0.9);
    json_decref(root);
    mem_free(summary);
}

/* Without gnuplot the study is whole but for the pictures, and says so. */
static void figure_is_optional(void **state)
{
    (void)state;
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
    assert_non_null(path);
    int have = system("command -v gnuplot >/dev/null") == 0;
    int first = run("", "2"), drawn = io_exists(in_dir("out/perturbations.png")) &&
                                      io_exists(in_dir("out/perturbations.svg"));
    setenv("PATH", "/nowhere", 1);
    int second = run("", "2");
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(first, 0);
    assert_int_equal(drawn, have);
    assert_int_equal(second, 0);
    assert_non_null(strstr(text, "gnuplot is not installed"));
    assert_true(io_exists(in_dir("out/perturbations.gp")));
    assert_true(io_exists(in_dir("out/summary.json")));
    assert_false(io_exists(in_dir("out/perturbations.png"))); /* not the one of the first run */
}

static void shipped_configuration_is_valid(void **state)
{
    (void)state;
    char command[1200];
    snprintf(command, sizeof command,
             "%s/src/eval/eval-study %s/configs/paper/perturbations.yaml --check --quiet >%s",
             getenv("SSFD_BUILD"), getenv("SSFD_SOURCE"), in_dir("stdout"));
    assert_int_equal(system(command), 0);
}

/* The line of the summary is least squares: checked by hand on the table's own means. */
static void line_is_least_squares(void **state)
{
    (void)state;
    if (run("", "2") != 0) fail_msg("%s", text);
    size_t len;
    char *curves = read_text("out/curves.csv", &len),
         *summary = read_text("out/summary.json", &len);
    double x[LEVELS], y[LEVELS], sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    int n = 0;
    for (char *line = strtok(curves, "\n"); line; line = strtok(NULL, "\n")) {
        double level, mean; /* a line of another metric still sets the level */
        if (sscanf(line, "noise,%lf,,ssim,2,%lf", &level, &mean) != 2) continue;
        assert_true(n < LEVELS);
        x[n] = level;
        y[n++] = mean;
    }
    assert_int_equal(n, LEVELS);
    for (int i = 0; i < n; i++) {
        sx += x[i];
        sy += y[i];
        sxx += x[i] * x[i];
        sxy += x[i] * y[i];
        syy += y[i] * y[i];
    }
    double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
    double r = (n * sxy - sx * sy) / sqrt((n * sxx - sx * sx) * (n * syy - sy * sy));
    json_t *root = json_loads(summary, 0, NULL);
    assert_non_null(root);
    assert_true(fabs(json_at(root, "noise", "ssim", "line", "slope") - slope) < 1e-6);
    assert_true(fabs(json_at(root, "noise", "ssim", "line", "r2") - r * r) < 1e-6);
    json_decref(root);
    mem_free(curves);
    mem_free(summary);
}

static void repeats_bit_for_bit(void **state)
{
    (void)state;
    static const char *const names[] = {"out/scores.csv",           "out/curves.csv",
                                        "out/summary.json",         "out/perturbations.gp",
                                        "out/config.resolved.yaml", "out/example_noise.png"};
    enum { N = sizeof names / sizeof *names };
    char *first[N];
    size_t len[N];
    if (run("", "1") != 0) fail_msg("%s", text);
    for (int i = 0; i < N; i++)
        first[i] = read_text(names[i], &len[i]);
    if (run("", "2") != 0) fail_msg("%s", text);
    for (int i = 0; i < N; i++) {
        size_t again;
        char *second = read_text(names[i], &again);
        if (again != len[i] || memcmp(first[i], second, again) != 0)
            fail_msg("%s differs between two runs", names[i]);
        mem_free(second);
    }
    /* Another seed is other noise, and nothing else. */
    remove_all(in_dir("out")); /* which belongs to another configuration */
    if (run("seed=8", "2") != 0) fail_msg("%s", text);
    size_t again;
    char *other = read_text("out/example_noise.png", &again);
    assert_true(again != len[N - 1] || memcmp(other, first[N - 1], again) != 0);
    mem_free(other);
    for (int i = 0; i < N; i++)
        mem_free(first[i]);
}

/* Scores of a scan depend neither on the other scans nor on the other perturbations. */
static void subsets_repeat_the_whole(void **state)
{
    (void)state;
    size_t len;
    if (run("", "2") != 0) fail_msg("%s", text);
    char *whole = read_text("out/scores.csv", &len);
    write_config(in_dir("scans/two.h5"), "ssl.h5", "centre");
    remove_all(in_dir("out"));
    if (run("study.perturbations={noise: {}}", "2") != 0) fail_msg("%s", text);
    char *part = read_text("out/scores.csv", &len);
    int found = 0;
    for (char *line = strtok(part, "\n"); line; line = strtok(NULL, "\n"), found++)
        if (!strstr(whole, line)) fail_msg("not in the whole study: %s", line);
    assert_int_equal(found, 1 + LEVELS * 3);
    mem_free(whole);
    mem_free(part);
}

/* The interval of the last mean of SSIM under noise, again from the scores: two scans are two
 * clusters, whatever the number of their slices. */
static void check_interval(void)
{
    size_t len;
    char *scores = read_text("out/scores.csv", &len), *curves = read_text("out/curves.csv", &len);
    double score, last = 0.0, sum[2] = {0.0}, level, mean = NAN, low = NAN, high = NAN;
    int n = 0, slice;
    char scan[16];
    for (char *line = strtok(scores, "\n"); line; line = strtok(NULL, "\n")) {
        if (sscanf(line, "%15[^,],%d,noise,%lf,ssim,%lf", scan, &slice, &level, &score) != 4)
            continue;
        if (level != last) sum[0] = sum[1] = 0.0, n = 0; /* levels ascend */
        last = level;
        sum[strcmp(scan, "two") == 0] += score;
        n++;
    }
    for (char *line = strtok(curves, "\n"); line; line = strtok(NULL, "\n"))
        sscanf(line, "noise,%*[^,],,ssim,%*d,%lf,%lf,%lf", &mean, &low, &high); /* the last stays */
    assert_int_equal(n, 2 * SLICES);
    const double want = (sum[0] + sum[1]) / n;
    const double apart = fabs(sum[0] / SLICES - sum[1] / SLICES) / 2.0;
    assert_true(fabs(mean - want) < 1e-8);
    /* G / (G - 1) sum D^2 / n^2 = apart^2 for two, and t of one degree of freedom */
    assert_true(fabs((high - low) / 2.0 / (12.706204736432095 * apart) - 1.0) < 1e-6);
    mem_free(scores);
    mem_free(curves);
}

static void all_slices(void **state)
{
    (void)state;
    write_config(in_dir("scans"), "ssl.h5", "all");
    if (run("", "2") != 0) fail_msg("%s", text);
    assert_int_equal(count_lines("out/scores.csv"), 1 + 2 * SLICES * 3 * LEVELS * 3);
    check_interval();
    size_t len;
    char *summary = read_text("out/summary.json", &len), *said = read_text("stdout", &len);
    assert_non_null(strstr(summary, "the images of a scan as a cluster"));
    assert_non_null(strstr(said, "images: 6 of 2 scans, all slices"));
    mem_free(summary);
    mem_free(said);
}

static void refusals(void **state)
{
    (void)state;
    expect(66, "data.scans=/nowhere/at/all", "/nowhere/at/all");
    expect(78, "data.scans=[]", "scans");
    expect(78, "study.metrics=[]", "metric");
    expect(66, "study.metrics={ssfd: {checkpoint: /nowhere.h5}}", "/nowhere.h5");
    expect(78, "study.levels=1", "levels");
    expect(78, "study.kind=layers", "layers");
    write_config(in_dir("scans"), "recon.h5", "centre");
    expect(65, "", "task 'recon'");
    write_config(in_dir("scans"), "study.yaml", "centre");
    expect(65, "", "study.yaml");
    write_config(in_dir("bad.h5"), "ssl.h5", "centre");
    expect(65, "", "bad.h5");
    char both[600];
    snprintf(both, sizeof both, "[%s, %s]", in_dir("scans/one.h5"), in_dir("small.h5"));
    write_config(both, "ssl.h5", "centre");
    expect(65, "", "differ in size");
    assert_int_equal(run("data.height=40", "2"), 65); /* one axis alone does not settle it */
    assert_false(io_exists(in_dir("out/summary.json")));
    assert_false(io_exists(in_dir("out/curves.csv")));
    write_text("file", "in the way\n");
    write_config(in_dir("scans"), "ssl.h5", "centre");
    char output[300];
    snprintf(output, sizeof output, "output=%s", in_dir("file/out"));
    expect(74, output, "file");
}

static void fits_images_to_one_size(void **state)
{
    (void)state;
    char both[600];
    snprintf(both, sizeof both, "[%s, %s]", in_dir("scans/one.h5"), in_dir("small.h5"));
    write_config(both, "ssl.h5", "centre");
    char *yaml, with[4500];
    size_t len;
    yaml = read_text("study.yaml", &len);
    char *at = strstr(yaml, "  slices:");
    snprintf(with, sizeof with, "%.*s  height: 40\n  width: 32\n%s", (int)(at - yaml), yaml, at);
    write_text("study.yaml", with);
    mem_free(yaml);
    if (run("", "2") != 0) fail_msg("%s", text);
    assert_int_equal(count_lines("out/scores.csv"), 1 + 2 * 3 * LEVELS * 3);
}

/* The extent that was searched is where the mean of SSIM is the target, or, where that is out of
 * reach, where 95 % of its possible fall is done: seen in the last line of the curve, whose noise
 * is other noise of the same strength. */
static void check_extents(double target, int least, int most)
{
    char extra[128];
    snprintf(extra, sizeof extra,
             "study={kind: perturbation, levels: 4, extent: auto, target: %g, metrics: {ssim: {}}}",
             target);
    if (run(extra, "2") != 0) fail_msg("%s", text);
    size_t len;
    char *summary = read_text("out/summary.json", &len);
    json_t *root = json_loads(summary, 0, NULL);
    assert_non_null(root);
    const char *key;
    json_t *p;
    int found = 0;
    json_object_foreach(json_object_get(root, "perturbations"), key, p)
    {
        const char *how = json_string_value(json_object_get(p, "extent_is"));
        double want = target;
        if (strcmp(how, "the mean of ssim is the target") == 0) {
            found++;
        } else { /* and said so */
            char says[64], *at;
            snprintf(says, sizeof says, "%s: the mean of ssim stays above ", key);
            assert_non_null(at = strstr(text, says));
            double floor = strtod(at + strlen(says), NULL);
            assert_true(floor > target - 5e-4);
            want = floor + 0.05 * (1.0 - floor);
        }
        double reached = json_number_value(json_object_get(p, "ssim_at_searched_extent"));
        assert_true(fabs(reached - want) <= 2.6e-3); /* the floor is printed with three digits */
        double seen = json_at(root, key, "ssim", "at_extent", "mean");
        assert_true(fabs(seen - reached) < (strcmp(key, "noise") == 0 ? 0.03 : 1e-3));
    }
    assert_in_range(found, least, most);
    json_decref(root);
    mem_free(summary);
}

static void extent_auto_reaches_the_target(void **state)
{
    (void)state;
    check_extents(0.3, 3, 3);
    remove_all(in_dir("out"));
    check_extents(0.01, 0, 2); /* noise alone gets there */
}

/* Two scans have no interval, so nothing of them is held or not. */
static void claims_of_few_scans_are_open(void **state)
{
    (void)state;
    if (run("study.resamples=300", "2") != 0) fail_msg("%s", text);
    size_t len, i;
    char *summary = read_text("out/summary.json", &len);
    json_t *root = json_loads(summary, 0, NULL), *claim;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "claims"), i, claim)
    {
        assert_true(json_is_null(json_object_get(claim, "ci_low")));
        assert_string_equal(json_string_value(json_object_get(claim, "verdict")), "open");
    }
    assert_int_equal(i, 2 + 3 + 4);
    json_decref(root);
    mem_free(summary);
}

/* The largest distance of the means of SSFD from their line, as a share of their change; again,
 * from the table. */
static double off_line(const char *perturbation, int levels)
{
    size_t len;
    char *curves = read_text("out/curves.csv", &len), name[16], metric[16];
    double x[16], y[16], sx = 0, sy = 0, sxx = 0, sxy = 0, off = 0;
    int n = 0;
    for (char *line = strtok(curves, "\n"); line; line = strtok(NULL, "\n")) {
        double level, mean; /* the unit of noise is empty */
        if (sscanf(line, "%15[^,],%lf,px,%15[^,],%*d,%lf", name, &level, metric, &mean) != 4 &&
            sscanf(line, "%15[^,],%lf,,%15[^,],%*d,%lf", name, &level, metric, &mean) != 4)
            continue;
        if (strcmp(name, perturbation) != 0 || strcmp(metric, "ssfd") != 0) continue;
        assert_true(n < 16);
        x[n] = level;
        y[n++] = mean;
    }
    assert_int_equal(n, levels);
    for (int i = 0; i < n; i++) {
        sx += x[i];
        sy += y[i];
        sxx += x[i] * x[i];
        sxy += x[i] * y[i];
    }
    const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
    for (int i = 0; i < n; i++)
        off = fmax(off, fabs(y[i] - sy / n - slope * (x[i] - sx / n)));
    mem_free(curves);
    return off / fabs(y[n - 1] - y[0]);
}

/* Every claim has a verdict that follows from its numbers, and the ratio of sensitivities follows
 * from the curves. */
static void claims_follow_from_the_numbers(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(io_mkdirs(in_dir("six"), &e), 0);
    for (int k = 0; k < 6; k++) {
        char name[32];
        snprintf(name, sizeof name, "six/%d.h5", k);
        save_scan(in_dir(name), SLICES, SIDE, 1 + k, 0);
    }
    write_config(in_dir("six"), "ssl.h5", "centre");
    if (run("study.levels=9", "2") != 0) fail_msg("%s", text);
    size_t len, i;
    char *summary = read_text("out/summary.json", &len);
    json_t *root = json_loads(summary, 0, NULL), *claim;
    assert_non_null(root);
    int of_ratio = 0;
    json_array_foreach(json_object_get(root, "claims"), i, claim)
    {
        const char *id = json_string_value(json_object_get(claim, "id"));
        const json_t *held = json_object_get(claim, "held"),
                     *high = json_object_get(claim, "ci_high"),
                     *low = json_object_get(claim, "ci_low");
        if (strncmp(id, "less-sensitive", 14) == 0 && json_is_number(high)) {
            assert_int_equal(json_is_true(held), json_number_value(high) < 1.0);
            of_ratio++;
        }
        if (strncmp(id, "linear-under-", 13) == 0) {
            const double off = json_number_value(json_object_get(claim, "measured"));
            assert_int_equal(json_is_true(held), json_number_value(high) < 0.1);
            assert_true(fabs(off - off_line(id + 13, 9)) < 1e-6);
            assert_int_equal(strstr(json_string_value(json_object_get(claim, "quantity")),
                                    "AICc an exp") != NULL,
                             json_at(root, id + 13, "ssfd", "exponential", "aicc") <
                                 json_at(root, id + 13, "ssfd", "line", "aicc"));
        }
        if (strncmp(id, "ssim-decays-under-", 18) == 0) {
            const char *p = id + 18;
            assert_int_equal(json_is_true(held),
                             json_number_value(low) > 0.5 &&
                                 json_at(root, p, "ssim", "exponential", "rate") > 0.0 &&
                                 json_at(root, p, "ssim", "exponential", "aicc") <
                                     json_at(root, p, "ssim", "line", "aicc"));
        }
    }
    assert_int_equal(json_array_size(json_object_get(root, "claims")), 2 + 3 + 4);
    assert_in_range(of_ratio, 2, 4);
    static const char *const other[] = {"blur", "noise"};
    for (int k = 0; k < 4; k++) { /* of no resample is the level out of reach */
        const json_t *ratio = root;
        const char *const at[] = {"sensitivity", "equal", k / 2 ? "psnr" : "ssim", "relative_to",
                                  other[k % 2]};
        for (int part = 0; part < 5; part++)
            ratio = json_object_get(ratio, at[part]);
        if (!json_is_number(json_object_get(ratio, "value"))) continue;
        assert_int_equal(json_integer_value(json_object_get(ratio, "n")), 2000);
    }
    json_decref(root);
    mem_free(summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(writes_a_whole_folder, fresh),
        cmocka_unit_test_setup(figure_is_optional, fresh),
        cmocka_unit_test_setup(shipped_configuration_is_valid, fresh),
        cmocka_unit_test_setup(line_is_least_squares, fresh),
        cmocka_unit_test_setup(repeats_bit_for_bit, fresh),
        cmocka_unit_test_setup(subsets_repeat_the_whole, fresh),
        cmocka_unit_test_setup(all_slices, fresh),
        cmocka_unit_test_setup(refusals, fresh),
        cmocka_unit_test_setup(fits_images_to_one_size, fresh),
        cmocka_unit_test_setup(extent_auto_reaches_the_target, fresh),
        cmocka_unit_test_setup(claims_of_few_scans_are_open, fresh),
        cmocka_unit_test_setup(claims_follow_from_the_numbers, fresh),
    };
    return cmocka_run_group_tests_name("study", tests, set_up, tear_down);
}
