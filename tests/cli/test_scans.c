/* Scans as users have them, through the commands: fastMRI's folders and lists, bad files among good
 * ones, other formats. */
#include "base/h5.h"
#include "base/mem.h"
#include "cli/shell.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CONFIG = 78, DATA = 65, NOINPUT = 66 };

static const char *const yaml = "run: run\n"
                                "data:\n"
                                "  train: knee/multicoil_train\n"
                                "  split: {kind: lists, train: train.json, validation: val.json}\n"
                                "  cache: references\n"
                                "  height: 32\n"
                                "  width: 32\n"
                                "  jsense: {kernel: 4, iterations: 2, inner_iterations: 2}\n"
                                "network: {filters: 4, levels: 2, groups: 2}\n"
                                "patches: {side: 4}\n"
                                "fit: {batch: 1, steps: 2, validate_every: 1}\n";

/* Multi-coil, or with coils = 0 singlecoil; (h, w) k-space, references (rows, columns). */
static void write_scan(const char *name, int coils, int h, int w, int rows, int columns,
                       const char *patient, bool bad)
{
    char path[256], xml[512];
    int rank = coils ? 4 : 3;
    const int64_t four[4] = {2, coils, h, w}, three[3] = {2, h, w}, image[3] = {2, rows, columns};
    size_t n = 2 * (size_t)(coils ? coils : 1) * (size_t)h * (size_t)w;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/%s", shell_folder(), name);
    snprintf(xml, sizeof xml,
             "<ismrmrdHeader><encoding><reconSpace><matrixSize><x>%d</x><y>%d</y></matrixSize>"
             "</reconSpace></encoding></ismrmrdHeader>",
             rows, columns);
    float complex *x = mem_new(n, sizeof *x, &e);
    for (size_t i = 0; i < n; i++) {
        double y = (double)(i / (size_t)w % (size_t)h) - h / 2, k = (double)(i % (size_t)w) - w / 2;
        x[i] = (float)exp(-0.2 * hypot(y, k)) * ((float)cos(0.3 * (double)i) + 1.1f);
    }
    if (bad) x[17] = NAN;
    struct h5 *f = h5_create(path, &e);
    if (!x || !f || h5_make(f, "kspace", H5_C64, rank, rank == 4 ? four : three, &e) ||
        h5_write_c64(f, "kspace", rank, NULL, rank == 4 ? four : three, x, &e) ||
        h5_write_text(f, "ismrmrd_header", xml, &e) ||
        h5_make(f, "reconstruction_rss", H5_F32, 3, image, &e) ||
        h5_set_attr_text(f, "/", "acquisition", "AXFLAIR", &e) ||
        h5_set_attr_text(f, "/", "patient_id", patient, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
    mem_free(x);
}

static int setup(void **state)
{
    if (shell_setup(state)) return -1;
    shell_run("mkdir -p knee/multicoil_train");
    write_scan("knee/multicoil_train/f1.h5", 4, 64, 36, 32, 32, "a", false);
    write_scan("knee/multicoil_train/f2.h5", 2, 64, 20, 32, 32, "b", false); /* narrow */
    write_scan("knee/multicoil_train/f3.h5", 0, 64, 37, 32, 28, "c", false); /* one coil */
    write_scan("knee/multicoil_train/f4.h5", 5, 64, 40, 32, 28, "d", false);
    shell_write("train.json", "{\"images\": [{\"file_name\": \"f1.h5\", \"num_slices\": 2}, "
                              "{\"file_name\": \"f2.h5\"}, {\"file_name\": \"f3.h5\"}]}");
    shell_write("val.json", "[\"f4.h5\"]");
    shell_write("c.yaml", yaml);
    return 0;
}

static const struct outcome *gives(const struct outcome *o, int code)
{
    if (o->code != code) print_error("exit %d\n%s%s", o->code, o->out, o->err);
    assert_int_equal(o->code, code);
    return o;
}

static void says(const struct outcome *o, const char *text)
{
    if (!strstr(o->err, text)) fail_msg("'%s' is not in: %s", text, o->err);
}

static void trains_on_every_shape(void **state)
{
    (void)state;
    gives(shell_run("train-ssl c.yaml --quiet"), 0);
    assert_true(shell_exists("run/best.h5"));
    gives(shell_run("ls references/f3.*.h5"), 0);
    assert_false(shell_exists("run/skipped_scans.csv"));
    shell_run("sed 's/^patches.*//; s/levels: 2, groups: 2/levels: 2/' c.yaml >r.yaml");
    gives(shell_run("train-recon r.yaml --quiet --set run=recon"), 0);
}

/* Whatever the other commands read, with every key written out. */
static void prepare_reads_any_configuration(void **state)
{
    (void)state;
    static const char *const all[][2] = {
        {"train-ssl", "ssl"},           {"train-recon", "recon"},
        {"reconstruct", "reconstruct"}, {"eval-study", "perturbations"},
        {"eval-study", "layers"},       {"eval-study", "qc"}};
    for (int i = 0; i < 6; i++) {
        gives(shell_run("%s '%s/configs/demo/%s.yaml' --check --quiet >full.yaml", all[i][0],
                        getenv("SSFD_SOURCE"), all[i][1]),
              0);
        gives(shell_run("test -s full.yaml && prepare full.yaml --check --quiet"), 0);
    }
}

/* What no list names is not even opened. */
static void prepare_keeps_to_a_split(void **state)
{
    (void)state;
    shell_run("cp -r knee/multicoil_train listed && head -c 5000 listed/f1.h5 >listed/cut.h5");
    shell_write("p.yaml", "data: {train: listed, cache: of-split, split: {kind: lists, "
                          "train: train.json, validation: val.json}}\n");
    gives(shell_run("prepare p.yaml --quiet"), 0);
    gives(shell_run("test $(ls of-split/*.h5 | wc -l) = 4"), 0);
    says(gives(shell_run("prepare p.yaml --quiet --set data.split=folders"), 65), "cut.h5");
    says(
        gives(shell_run("prepare p.yaml --quiet --set data.split=folders --set data.train=nowhere"),
              NOINPUT),
        "paths are relative to where the command is run: /tmp/ssfd-test-cli-");
}

/* A pipe would be waited for for ever. */
static void a_pipe_is_no_scan(void **state)
{
    (void)state;
    shell_run("mkdir pipes && mkfifo pipes/f.h5");
    shell_write("f.yaml", "data: {scans: pipes, cache: of-pipes}\n");
    says(gives(shell_run("timeout 20 prepare f.yaml --quiet"), 65), "not a regular file");
}

/* One bad file of its header, one of its content: stop at once by default, or skip and say so. */
static void bad_files_among_good_ones(void **state)
{
    (void)state;
    write_scan("knee/multicoil_train/f5.h5", 2, 64, 36, 32, 32, "e", true);
    shell_run("head -c 5000 knee/multicoil_train/f1.h5 >knee/multicoil_train/f6.h5");
    shell_write("train.json", "[f1, f2, f5, f6]");
    says(gives(shell_run("train-ssl c.yaml --quiet --set run=stop"), DATA), "f6.h5");
    const struct outcome *o =
        gives(shell_run("train-ssl c.yaml --quiet --set run=skip --set data.on_bad_scan=skip"), 0);
    says(o, "skipped 2 of 5 scans, listed in skip/skipped_scans.csv");
    says(o, "f5.h5: k-space holds NaN");
    gives(shell_run(
              "grep -q f6.h5 skip/skipped_scans.csv && test $(wc -l <skip/skipped_scans.csv) = 3"),
          0);
    shell_write("s.yaml", "output: study\n"
                          "data: {scans: knee/multicoil_train, cache: references, part: train,\n"
                          "       split: {kind: lists, train: train.json}, on_bad_scan: skip,\n"
                          "       height: 32, width: 32, jsense: {kernel: 4, iterations: 2,\n"
                          "       inner_iterations: 2}}\n"
                          "study: {kind: perturbation, metrics: {ssim: {}}, levels: 2}\n");
    says(gives(shell_run("eval-study s.yaml --quiet"), 0), "skipped 2 of 4 scans");
    gives(shell_run("grep -q '\"scans_skipped\": 2' study/summary.json && "
                    "head -1 study/scores.csv | grep -q ,acquisition && "
                    "grep -q ,AXFLAIR study/scores.csv && test -e study/skipped_scans.csv"),
          0);
    gives(shell_run("eval-study s.yaml --explain | grep -q '^skipped: .*f6.h5'"), 0);
}

static void splits(void **state)
{
    (void)state;
    shell_write("train.json", "[f1, f2]");
    shell_write("val.json", "[f2]");
    says(gives(shell_run("train-ssl c.yaml --set run=a"), DATA), "scan 'f2' is listed twice");
    shell_write("val.json", "[f3, f9]");
    says(gives(shell_run("train-ssl c.yaml --set run=a"), NOINPUT), "no file of scan 'f9'");
    const char *other =
        "sed 's/^  split:.*/  split: {kind: patients, train: 0.5, validation: 0.5}/'"
        " c.yaml >p.yaml && rm -f knee/multicoil_train/f[56].h5";
    gives(shell_run("%s", other), 0);
    gives(shell_run("train-ssl p.yaml --quiet --set run=patients"), 0);
    gives(shell_run("train-ssl p.yaml --quiet --set run=again --set "
                    "data.validation=knee/multicoil_train && cmp again/best.h5 patients/best.h5"),
          0);
    says(gives(shell_run("train-ssl p.yaml --set run=a --set data.split=folders"), CONFIG),
         "data.validation is missing");
    gives(shell_run("mkdir other && cp knee/multicoil_train/f1.h5 other/g1.h5"), 0);
    says(gives(shell_run("train-ssl p.yaml --set run=a --set data.split=folders --set "
                         "data.validation=other"),
               CONFIG),
         "patient 'a' is in both data.train");
    gives(shell_run("train-ssl p.yaml --quiet --set run=allowed --set data.split=folders --set "
                    "data.validation=other --set data.same_patient=allow"),
          0);
    says(gives(shell_run("train-ssl c.yaml --set run=a --set data.train=knee"), NOINPUT),
         "the folder holds no scans");
}

/* Two slices of BART's, and the same in fastMRI's layout: the same references. */
static void bart(void **state)
{
    (void)state;
    char path[256];
    struct err e = {0};
    const int64_t four[4] = {2, 4, 64, 36};
    size_t n = 2 * 4 * 64 * 36;
    float complex *x = mem_new(n, sizeof *x, &e), *y = mem_new(n, sizeof *y, &e);
    snprintf(path, sizeof path, "%s/knee/multicoil_train/f1.h5", shell_folder());
    struct h5 *f = h5_open(path, &e);
    assert_int_equal(h5_read_c64(f, "kspace", 4, NULL, four, x, &e), 0);
    h5_close(f);
    for (size_t sc = 0; sc < 8; sc++)
        for (size_t r = 0; r < 64; r++)
            for (size_t p = 0; p < 36; p++)
                y[(sc * 36 + p) * 64 + r] = x[(sc * 64 + r) * 36 + p];
    shell_run("mkdir bart");
    shell_write("bart/v1.hdr", "# Dimensions\n64 36 1 4 1 1 1 1 1 1 1 1 1 2 1 1\n");
    snprintf(path, sizeof path, "%s/bart/v1.cfl", shell_folder());
    FILE *cfl = fopen(path, "wb");
    assert_int_equal(fwrite(y, sizeof *y, n, cfl), n);
    fclose(cfl);
    mem_free(x);
    mem_free(y);
    gives(shell_run("train-ssl p.yaml --quiet --set run=run-bart --set data.split=folders "
                    "--set data.validation=bart"),
          0);
    gives(shell_run("truncate -s -8 bart/v1.cfl"), 0);
    says(gives(shell_run("train-ssl p.yaml --quiet --set run=run-bart2 --set data.split=folders "
                         "--set data.validation=bart"),
               DATA),
         "v1.cfl: the file has 147448 bytes, its header promises 147456");
}

/* Scans of two processes in one folder: those of one alone, and each made once. */
static void simulators_share_the_work(void **state)
{
    (void)state;
    const char *make = "--scans 9 --seed 7 --size 48 --slices 3 --coils 3 --defects 0.5";
    gives(shell_run("make-scans alone %s --quiet", make), 0);
    gives(shell_run("make-scans both %s 2>one & make-scans both %s 2>two && wait $!", make, make),
          0);
    gives(shell_run("sed -n 's/.* scans=\\([0-9]*\\) .*/\\1/p' one two | "
                    "{ read a && read b && test $((a + b)) = 9; }"),
          0);
    gives(shell_run("for f in alone/*; do cmp $f both/${f#alone/} || exit; done"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trains_on_every_shape),
        cmocka_unit_test(prepare_reads_any_configuration),
        cmocka_unit_test(prepare_keeps_to_a_split),
        cmocka_unit_test(a_pipe_is_no_scan),
        cmocka_unit_test(bad_files_among_good_ones),
        cmocka_unit_test(splits),
        cmocka_unit_test(simulators_share_the_work),
        cmocka_unit_test(bart),
    };
    return cmocka_run_group_tests(tests, setup, shell_teardown);
}
