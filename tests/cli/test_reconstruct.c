/* The command `reconstruct`, small: files and tables, the figures of the validation again, stopping
 * and going on, and what it refuses. */
#include "base/h5.h"
#include "cli/shell.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const train_yaml = "run: recon\n"
                                      "data: {train: [scans/train], validation: [scans/test],\n"
                                      "       cache: references, height: 64, width: 64}\n"
                                      "network: {filters: 4, levels: 3}\n"
                                      "fit: {batch: 2, steps: 8, validate_every: 4, pictures: 1}\n";
static const char *const reconstruct_yaml = "output: out\n"
                                            "checkpoint: recon/last.h5\n"
                                            "data: {scans: [scans/test], cache: references}\n";

static void succeeds(const struct outcome *o)
{
    if (o->code) print_error("exit %d\n%s", o->code, o->err);
    assert_int_equal(o->code, 0);
}

static void fails(const struct outcome *o, int code, const char *text)
{
    if (o->code != code || !strstr(o->err, text)) print_error("exit %d\n%s", o->code, o->err);
    assert_int_equal(o->code, code);
    assert_non_null(strstr(o->err, text));
}

static int setup(void **state)
{
    if (shell_setup(state)) return -1;
    const char *small = "--slices 5 --coils 4 --size 64 --width 64 --quiet";
    succeeds(shell_run("make-scans scans/train --scans 2 --seed 1 %s", small));
    succeeds(shell_run("make-scans scans/test --scans 2 --seed 2 %s", small));
    shell_write("train.yaml", train_yaml);
    shell_write("reconstruct.yaml", reconstruct_yaml);
    succeeds(shell_run("train-recon train.yaml --quiet"));
    return 0;
}

static double printed(const struct outcome *o, const char *key)
{
    char line[64];
    snprintf(line, sizeof line, "\n%s: ", key);
    const char *at = strstr(o->out, line);
    return at ? strtod(at + strlen(line), NULL) : NAN;
}

static void files_and_tables(void **state)
{
    (void)state;
    static struct outcome trained;
    trained = *shell_run("train-recon train.yaml --resume --quiet");
    const struct outcome *o = shell_run("reconstruct reconstruct.yaml");
    succeeds(o);
    assert_null(strstr(o->err, "warning"));
    /* The same scans, masks and definition as in the validation. */
    assert_true(fabs(printed(o, "psnr") - printed(&trained, "val_psnr")) < 1e-3);
    assert_true(fabs(printed(o, "zero_filled_psnr") - printed(&trained, "val_psnr_zero_filled")) <
                1e-3);
    succeeds(shell_run("test $(wc -l <out/slices.csv) = 11 && test $(wc -l <out/scans.csv) = 3"));
    succeeds(shell_run("grep -q evaluate.py out/summary.json && grep -q Wang out/summary.json"));
    char path[256];
    snprintf(path, sizeof path, "%s/out/knee-2-0001.h5", shell_folder());
    static float magnitude[5][64][64];
    static float complex image[5][64][64], zero[5][64][64];
    const int64_t dim[] = {5, 64, 64};
    struct err e = {0};
    struct h5 *f = h5_open(path, &e);
    assert_non_null(f);
    assert_int_equal(h5_read_f32(f, "reconstruction", 3, NULL, dim, &magnitude[0][0][0], &e), 0);
    assert_int_equal(h5_read_c64(f, "image", 3, NULL, dim, &image[0][0][0], &e), 0);
    assert_int_equal(h5_read_c64(f, "zero_filled", 3, NULL, dim, &zero[0][0][0], &e), 0);
    h5_close(f);
    for (int i = 0; i < 5 * 64 * 64; i++)
        assert_true((&magnitude[0][0][0])[i] == cabsf((&image[0][0][0])[i]));
    assert_true(cabsf(zero[2][32][32]) > 0.0f);
}

/* SSIM of a volume is the mean of those of its slices with the volume's maximum as data range. */
static void metrics_know_the_volume(void **state)
{
    (void)state;
    const struct outcome *o = shell_run("reconstruct reconstruct.yaml --set output=volume "
                                        "--set metrics='{ssim: {window: fastmri, range: volume}}'");
    succeeds(o);
    assert_true(fabs(printed(o, "ssim") - printed(o, "volume_ssim")) < 2e-6);
    assert_true(fabs(printed(o, "zero_filled_ssim") - printed(o, "zero_filled_volume_ssim")) <
                2e-6);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    succeeds(shell_run("reconstruct reconstruct.yaml --quiet --set output=one --threads 1 && "
                       "cmp out/slices.csv one/slices.csv && cmp out/scans.csv one/scans.csv"));
}

static void what_is_there_is_kept(void **state)
{
    (void)state;
    fails(shell_run("reconstruct reconstruct.yaml"), 78, "--resume");
    succeeds(shell_run("cp -p out/knee-2-0000.h5 keep.h5 && rm out/knee-2-0001.h5 out/*.csv && "
                       "reconstruct reconstruct.yaml --resume --quiet && "
                       "cmp out/slices.csv one/slices.csv && "
                       "test ! out/knee-2-0000.h5 -nt keep.h5"));
    fails(shell_run("reconstruct reconstruct.yaml --resume --set mask.acceleration=8"), 78,
          "acceleration: 4");
    fails(shell_run("reconstruct reconstruct.yaml --resume --set checkpoint=recon/other.h5"), 66,
          "other.h5");
    fails(shell_run("reconstruct reconstruct.yaml --set output=none --set data.cache=none/cache "
                    "--set 'metrics={ssfd: {checkpoint: absent.h5}}'"),
          66, "absent.h5");
    assert_false(shell_exists("none/cache")); /* it was told before references were made */
    succeeds(shell_run("train-recon train.yaml --quiet --set run=recon2 --set seed=7"));
    fails(shell_run("reconstruct reconstruct.yaml --resume --set checkpoint=recon2/last.h5"), 78,
          "weights");
    succeeds(shell_run("reconstruct reconstruct.yaml --set output=plain --set image=false "
                       "--set zero_filled=false --set target=rss"));
    char path[256];
    snprintf(path, sizeof path, "%s/plain/knee-2-0000.h5", shell_folder());
    struct h5 *f = h5_open(path, NULL);
    assert_non_null(f);
    assert_true(h5_has(f, "reconstruction") && !h5_has(f, "image") && !h5_has(f, "zero_filled"));
    h5_close(f);
}

/* A network is told what it was trained for; one of an older checkpoint is not. */
static void other_masks_than_in_the_training(void **state)
{
    (void)state;
    const char *other = "reconstruct reconstruct.yaml --quiet --set output=other";
    const struct outcome *o = shell_run("%s-1 --set mask.acceleration=8 --set seed=3", other);
    succeeds(o);
    assert_non_null(strstr(o->err, "warning: recon/last.h5 was trained with other masks: "
                                   "acceleration was 4, is 8; seed was 1, is 3\n"));
    o = shell_run("%s-2 --set mask.kind=equispaced", other);
    succeeds(o);
    assert_non_null(strstr(o->err, "mask was random, is equispaced\n"));
    o = shell_run("%s-3 --set mask_on=acquired", other);
    succeeds(o);
    assert_non_null(strstr(o->err, "mask_on was cropped, is acquired\n"));
    shell_write("study.yaml",
                "output: other-study\n"
                "data: {scans: [scans/test], cache: references, slices: all}\n"
                "study: {kind: qc, focus: ssim, against: [psnr],\n"
                "        metrics: {psnr: {}, ssim: {}},\n"
                "        reconstructions: {network: {checkpoints: [recon/last.h5],\n"
                "          undersample: {mask: {kind: random, acceleration: 8}}}}}\n");
    o = shell_run("eval-study study.yaml --quiet");
    succeeds(o);
    assert_non_null(strstr(o->err, "acceleration was 4, is 8\n"));
}

static void a_killed_run_goes_on(void **state)
{
    (void)state;
    succeeds(shell_run("make-scans scans/more --scans 12 --seed 9 --slices 16 --coils 8 --size 64 "
                       "--quiet"));
    const char *more = "--set data.scans=[scans/more] --quiet";
    succeeds(shell_run("reconstruct reconstruct.yaml --set output=whole %s", more));
    const struct outcome *o = shell_run("reconstruct reconstruct.yaml --set output=cut %s & "
                                        "stop_when TERM [ -e cut/knee-9-0002.h5 ]",
                                        more);
    if (o->code != 0) { /* it may have been done before the signal came */
        fails(o, 75, "--resume");
        succeeds(shell_run("test ! -e cut/summary.json"));
    }
    o = shell_run("rm -f cut/knee-9-0007.h5; reconstruct reconstruct.yaml --set output=cut %s "
                  "--resume & stop_when KILL [ -e cut/knee-9-0007.h5 ]",
                  more);
    assert_true(o->code == 0 || o->code == 137);
    succeeds(shell_run("reconstruct reconstruct.yaml --set output=cut %s --resume && "
                       "cmp cut/slices.csv whole/slices.csv && cmp cut/scans.csv whole/scans.csv",
                       more));
}

/* Training, resuming, reconstructing and a study, of a network that is told the acquisition. */
static void data_consistency(void **state)
{
    (void)state;
    static struct outcome trained;
    const char *dc = "train-recon train.yaml --quiet --set network.data_consistency=2 "
                     "--set augment.flip=true --set network.residual=true --set fit.steps=60";
    trained = *shell_run("%s --set run=dc", dc);
    succeeds(&trained);
    const struct outcome *o =
        shell_run("%s --set run=dc-cut & stop_when TERM [ -e dc-cut/last.h5 ]", dc);
    assert_int_equal(o->code, 75);
    succeeds(shell_run("%s --set run=dc-cut --resume && cmp dc/last.h5 dc-cut/last.h5 && "
                       "cmp dc/metrics.jsonl dc-cut/metrics.jsonl",
                       dc));
    fails(shell_run("train-recon train.yaml --quiet --set run=dc --resume"), 78,
          "data_consistency");
    const char *apply = "reconstruct reconstruct.yaml --set checkpoint=dc/last.h5 --set output";
    o = shell_run("%s=dc-out", apply);
    succeeds(o);
    assert_true(fabs(printed(o, "psnr") - printed(&trained, "val_psnr")) < 1e-3);
    assert_true(printed(o, "psnr") > printed(o, "zero_filled_psnr"));
    succeeds(shell_run("%s=dc-one --threads 1 && cmp dc-out/slices.csv dc-one/slices.csv", apply));
    shell_write("study.yaml", "output: study\n"
                              "data: {scans: [scans/test], cache: references, slices: all}\n"
                              "study: {kind: qc, focus: ssim, against: [psnr],\n"
                              "        metrics: {psnr: {}, ssim: {}},\n"
                              "        reconstructions: {network: {checkpoints: [dc/last.h5]}}}\n");
    const char *psnr = "awk -F, '/^knee/ { printf \"%s %d %.3f\\n\", $1, $2, $'";
    succeeds(shell_run("eval-study study.yaml --quiet && "
                       "%s'6 }' study/scores.csv | sort >a && "
                       "%s'3 }' dc-out/slices.csv | sort >b && test $(wc -l <a) = 10 && cmp a b",
                       psnr, psnr));
    succeeds(shell_run("train-recon train.yaml --set network.data_consistency=1 --set run=none "
                       "--explain | grep consistency1"));
    succeeds(shell_run("train-recon train.yaml --set network.data_consistency=1 --set run=none "
                       "--check | grep '15 coils'"));
    fails(shell_run("%s --set run=none --set augment.turn=true", dc), 78, "augment.turn");
    const char *consistent = "train-recon train.yaml --set network.data_consistency=1";
    /* Before any work on references; --check says so, too, where there are scans. */
    for (int check = 0; check < 2; check++) {
        const char *early = check ? "--set data.cache=no --check" : "--set data.cache=no";
        const struct outcome *poisson =
            shell_run("%s --set run=none --set mask=poisson %s", consistent, early);
        fails(poisson, 78, "mask of columns");
        assert_non_null(strstr(poisson->err, "or set network.data_consistency to 0"));
        fails(shell_run("%s --set run=none --set data.width=48 %s", consistent, early), 78,
              "data.width");
        fails(shell_run("%s --set run=none --set mask.acceleration=40 %s", consistent, early), 78,
              "mask");
    }
    o = shell_run("%s=unmade --set mask=poisson --set data.cache=no", apply);
    fails(o, 78, "mask of columns");
    assert_null(strstr(o->err, "network.")); /* it has no such keys */
    fails(shell_run("%s=unmade --set data.width=48 --set data.cache=no", apply), 78, "data.width");
    assert_false(shell_exists("no"));
}

/* Results of one command are not written over by another; --check says so, too, and what else there
 * is not. */
static void folders_have_an_owner(void **state)
{
    (void)state;
    const char *base = "reconstruct reconstruct.yaml";
    const char *same = "cmp kept.yaml recon/config.resolved.yaml";
    succeeds(shell_run("cp recon/config.resolved.yaml kept.yaml"));
    fails(shell_run("%s --set output=recon", base), 78, "a folder of a training");
    fails(shell_run("%s --set output=recon --check", base), 78, "a folder of a training");
    succeeds(shell_run("%s", same));
    succeeds(shell_run("%s --set output=mine", base));
    fails(shell_run("train-recon train.yaml --set run=mine"), 78, "a folder of reconstruct");
    succeeds(shell_run("mkdir other && echo output: other >other/config.resolved.yaml"));
    fails(shell_run("%s --set output=other", base), 78, "a folder of a study");
    succeeds(shell_run("%s --set output=mine --check", base));
    fails(shell_run("%s --set checkpoint=none.h5 --check", base), 66, "none.h5");
    fails(shell_run("%s --set data.scans=[scans/none] --check", base), 66, "scans/none");
    succeeds(shell_run("prepare train.yaml --set data.train=[scans/none] --check |"
                       "grep -q '^# data.train: scans/none: No such file'"));
    /* of a killed process; there is none of this number */
    succeeds(shell_run("touch mine/knee.h5.4194305.tmp && %s --set output=mine --resume && "
                       "test ! -e mine/knee.h5.4194305.tmp",
                       base));
}

static void bad_input(void **state)
{
    (void)state;
    const char *base = "reconstruct reconstruct.yaml --set output=bad";
    fails(shell_run("%s --set data.scans=[scans/none]", base), 66, "scans/none");
    fails(shell_run("mkdir -p empty && %s --set data.scans=[empty]", base), 66, "empty");
    fails(shell_run("%s --set data.height=70 --set data.width=64", base), 78, "72");
    fails(shell_run("%s --set mask.acceleration=40", base), 78, "mask");
    fails(shell_run("%s --set checkpoint=scans/test/knee-2-0000.h5", base), 65, "knee-2-0000.h5");
    const char *mixed = "mkdir -p mixed && cp scans/test/*.h5 mixed && "
                        "head -c 5000 scans/test/knee-2-0000.h5 >mixed/damaged.h5";
    fails(shell_run("%s && %s --set data.scans=[mixed]", mixed, base), 65, "damaged");
    succeeds(shell_run("%s --set output=skip --set data.scans=[mixed] --set "
                       "data.on_bad_scan=skip && cmp skip/slices.csv out/slices.csv && "
                       "grep -q damaged skip/skipped_scans.csv",
                       base));
    shell_write("ssl.yaml", "run: ssl\n"
                            "data: {train: [scans/train], validation: [scans/test],\n"
                            "       cache: references, height: 64, width: 64}\n"
                            "network: {filters: 8, levels: 3, groups: 4}\n"
                            "fit: {batch: 2, steps: 2}\n");
    succeeds(shell_run("train-ssl ssl.yaml --quiet"));
    fails(shell_run("%s --set checkpoint=ssl/last.h5", base), 65, "train-recon");
    fails(shell_run("touch file; %s --set output=file/out", base), 74, "file");
    if (geteuid() != 0)
        fails(shell_run("mkdir -p locked; chmod 555 locked; %s --set output=locked", base), 74,
              "locked");
    fails(shell_run("mkdir -p odd && cp scans/test/knee-2-0000.h5 odd && "
                    "%s --resume --set output=odd",
                    base),
          78, "no file of this command");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_tables),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(what_is_there_is_kept),
        cmocka_unit_test(other_masks_than_in_the_training),
        cmocka_unit_test(a_killed_run_goes_on),
        cmocka_unit_test(metrics_know_the_volume),
        cmocka_unit_test(data_consistency),
        cmocka_unit_test(folders_have_an_owner),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, setup, shell_teardown);
}
