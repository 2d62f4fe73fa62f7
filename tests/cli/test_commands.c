/* The commands end to end, small: simulated k-space to references, two trainings, a study;
 * interruption and resumption through real signals; the same bits twice. */
#include "cli/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const ssl_yaml = "run: ssl\n"
                                    "data: {train: [scans/train], validation: [scans/validation],\n"
                                    "       cache: references, height: 64, width: 64}\n"
                                    "network: {filters: 8, levels: 5, groups: 4}\n"
                                    "fit: {batch: 2, steps: 12, validate_every: 6, pictures: 2}\n";
static const char *const recon_yaml =
    "run: recon\n"
    "data: {train: [scans/train], validation: [scans/validation],\n"
    "       cache: references, height: 64, width: 64}\n"
    "network: {filters: 4, levels: 3}\n"
    "fit: {batch: 2, steps: 8, validate_every: 4, pictures: 2}\n";
static const char *const study_yaml =
    "output: study\n"
    "data: {scans: [scans/validation], cache: references}\n"
    "study:\n"
    "  kind: perturbation\n"
    "  metrics: {ssfd: {checkpoint: ssl/best.h5}, ssim: {}, psnr: {}}\n";

static void succeeds(const struct outcome *o)
{
    if (o->code) print_error("exit %d\n%s", o->code, o->err);
    assert_int_equal(o->code, 0);
}

static void simulated_scans(void **state)
{
    (void)state;
    const char *small = "--slices 4 --coils 4 --size 64 --width 64";
    succeeds(shell_run("make-scans scans/train --scans 3 --seed 1 %s", small));
    succeeds(shell_run("make-scans scans/validation --scans 2 --seed 2 %s", small));
    succeeds(shell_run("ls scans/train/*.h5 | wc -l | grep -qx 3"));
    shell_write("ssl.yaml", ssl_yaml);
    shell_write("recon.yaml", recon_yaml);
    shell_write("study.yaml", study_yaml);
}

/* One command fills the cache for every other, whichever configuration it is given; killed, it goes
 * on; what a disk spoils it makes again. */
static void prepare(void **state)
{
    (void)state;
    succeeds(shell_run("prepare ssl.yaml --set data.cache=whole --quiet"));
    succeeds(shell_run("ls whole/*.h5 | wc -l | grep -qx 5"));
    succeeds(shell_run("for t in 0.02 0.03 0.04 0.05 0.06; do "
                       "timeout -s KILL $t prepare ssl.yaml --quiet; done; "
                       "prepare ssl.yaml --quiet && diff -r whole references"));
    succeeds(shell_run("prepare recon.yaml --set fit.steps=3 2>log && ! grep -q references= log && "
                       "prepare study.yaml && diff -r whole references"));
    succeeds(shell_run("f=$(ls references/*.h5 | head -1) && "
                       "printf XXXX | dd of=$f bs=1 seek=20000 conv=notrunc 2>/dev/null && "
                       "! cmp -s $f whole/${f#*/} && prepare ssl.yaml 2>log && "
                       "grep -q 'warning.*damaged' log && diff -r whole references"));
    shell_write("nothing.yaml", "data: {cache: references}\n");
    assert_int_equal(shell_run("prepare nothing.yaml")->code, 78);
    assert_int_equal(shell_run("prepare ssl.yaml --set data.scan=x")->code, 78);
    assert_int_equal(shell_run("prepare ssl.yaml --set data.train=nowhere")->code, 66);
    succeeds(shell_run("mkdir mixed && cp scans/train/*.h5 mixed && truncate -s 5000 "
                       "mixed/knee-1-0001.h5"));
    assert_int_equal(shell_run("prepare ssl.yaml --set data.train=mixed")->code, 65);
}

static void train_ssl(void **state)
{
    (void)state;
    succeeds(shell_run("train-ssl ssl.yaml"));
    static const char *const files[] = {"config.resolved.yaml", "run.json", "metrics.jsonl",
                                        "samples.png",          "last.h5",  "best.h5"};
    char path[64];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "ssl/%s", files[i]);
        assert_true(shell_exists(path));
    }
    succeeds(shell_run("grep -c val_patches_ratio ssl/metrics.jsonl | grep -qx 2"));
    /* The resolved configuration is a configuration: the same training again gives the same
     * weights. */
    succeeds(shell_run("sed 's/^run: .*/run: ssl-again/' ssl/config.resolved.yaml >again.yaml"));
    succeeds(shell_run("train-ssl again.yaml --quiet && cmp ssl/last.h5 ssl-again/last.h5"));
}

static void an_interrupted_training_resumes_to_the_same_weights(void **state)
{
    (void)state;
    const char *more = "--set fit.steps=60 --set fit.validate_every=5 --quiet";
    /* A shell starts background jobs with SIGINT ignored, so SIGTERM stands for Ctrl-C here. */
    const struct outcome *o =
        shell_run("train-ssl ssl.yaml --set run=cut %s & stop_when TERM [ -e cut/last.h5 ]", more);
    assert_int_equal(o->code, 75);
    assert_non_null(strstr(o->err, "SIGTERM"));
    assert_non_null(strstr(o->err, "--resume"));
    assert_int_equal(shell_run("train-ssl ssl.yaml --set run=cut %s", more)->code, 78);
    succeeds(shell_run("train-ssl ssl.yaml --set run=cut %s --resume", more));
    succeeds(shell_run("train-ssl ssl.yaml --set run=straight %s", more));
    succeeds(shell_run("cmp cut/last.h5 straight/last.h5 && cmp cut/best.h5 straight/best.h5 && "
                       "cmp cut/metrics.jsonl straight/metrics.jsonl"));
}

/* --check --resume: what the resumption would say, of the run as it is. */
static void checked(const char *sets, int code, const char *text)
{
    const struct outcome *o = shell_run("rm -rf was && cp -a ssl was && %s --resume --check", sets);
    if (o->code != code || (!strstr(o->err, text) && !strstr(o->out, text)))
        fail_msg("%s: exit %d, not '%s'\n%s", sets, o->code, text, o->err);
    succeeds(shell_run("diff -r was ssl"));
}

static void a_resumption_is_checked_without_training(void **state)
{
    (void)state;
    checked("train-ssl ssl.yaml", 0, "# --resume goes on from ssl/last.h5, after step 12");
    checked("train-ssl ssl.yaml --quiet --set fit.steps=14", 0, "fit.steps was 12, is 14");
    checked("train-ssl ssl.yaml --set fit.adam.lr=1e-5", 78, "fit.adam.lr was");
    checked("train-ssl ssl.yaml --set fit.adam.lr=1e-5 --quiet", 78, "fit.adam.lr was");
    checked("train-ssl ssl.yaml --set run=nowhere", 66, "holds no checkpoint");
    checked("flock ssl/.lock train-ssl ssl.yaml", 78, "another training is running");
    /* Not that --resume would go on with it. */
    const struct outcome *o = shell_run("flock ssl/.lock train-ssl ssl.yaml");
    assert_int_equal(o->code, 78);
    assert_non_null(strstr(o->err, "another training is running"));
    o = shell_run("mkdir -p barred/.lock && train-ssl ssl.yaml --set run=barred");
    assert_int_equal(o->code, 74);
    assert_non_null(strstr(o->err, "make barred writable, or choose another 'run'"));
    checked("train-ssl ssl.yaml --set data.train=nowhere", 66, "nowhere");
    checked("train-ssl ssl.yaml --set data.train=scans/validation "
            "--set data.validation=scans/train",
            65, "the scans behind data.train");
    /* What is only known when references are made is said to be so. */
    checked("train-ssl ssl.yaml --set data.cache=new", 0, "references of 5 scans have to be made");
    assert_false(shell_exists("new"));
    /* Checkpoints that are damaged, or of something else. */
    succeeds(shell_run("cp -a ssl whole-ssl && printf X | dd of=ssl/last.h5 bs=1 seek=9000 "
                       "conv=notrunc 2>&1"));
    checked("train-ssl ssl.yaml", 0,
            "# --resume goes on from ssl/step-0000000006.h5, after step 6");
    succeeds(shell_run("train-ssl ssl.yaml --quiet --set run=other --set network.dropout=0.2 "
                       "--set fit.steps=2 && cp other/last.h5 ssl"));
    checked("train-ssl ssl.yaml", 65, "dropout is 0.2, here 0.1");
    succeeds(shell_run("rm -r ssl && mv whole-ssl ssl"));
    /* And what a training would read. */
    o = shell_run("train-ssl ssl.yaml --check --quiet --set run=none "
                  "--set fit.initial=ssl/none.h5");
    assert_int_equal(o->code, 66);
    assert_non_null(strstr(o->err, "ssl/none.h5"));
    o = shell_run("train-recon recon.yaml --set run=none --set data.cache=none "
                  "--set fit.initial=ssl/last.h5");
    assert_int_equal(o->code, 65);
    assert_non_null(strstr(o->err, "ssl/last.h5"));
    assert_false(shell_exists("none"));
    succeeds(shell_run("train-ssl ssl.yaml --check --quiet --set run=none "
                       "--set fit.initial=ssl/best.h5"));
}

/* A terminal that closes stops a training as Ctrl-C does; and it goes on with the same scans only.
 */
static void a_replaced_scan_does_not_resume(void **state)
{
    (void)state;
    /* The tests themselves may run under nohup. */
    const char *more = "--set run=hung --set data.train=swapped --set fit.steps=60 "
                       "--set fit.validate_every=5 --quiet";
    const struct outcome *o =
        shell_run("cp -r scans/train swapped; env --default-signal=HUP train-ssl ssl.yaml %s & "
                  "stop_when HUP [ -e hung/last.h5 ]",
                  more);
    assert_int_equal(o->code, 75);
    assert_non_null(strstr(o->err, "SIGHUP"));
    succeeds(shell_run("cp swapped/knee-1-0000.h5 swapped/knee-1-0001.h5"));
    o = shell_run("train-ssl ssl.yaml %s --resume", more);
    assert_int_equal(o->code, 65);
    assert_non_null(strstr(o->err, "replaced"));
    o = shell_run("train-ssl ssl.yaml %s --resume --check", more);
    assert_int_equal(o->code, 65);
    assert_non_null(strstr(o->err, "replaced"));
    succeeds(
        shell_run("cp scans/train/knee-1-0001.h5 swapped && train-ssl ssl.yaml %s --resume", more));
}

static void train_recon(void **state)
{
    (void)state;
    /* The last line of progress has the last validation. */
    succeeds(shell_run("train-recon recon.yaml >out 2>err; test $(sed -n 's/.*what=training "
                       "step=8.8 took.* val_loss=\\([^ ]*\\).*/\\1/p' err | cut -c1-5) = "
                       "$(sed -n 's/^val_loss: //p' out | cut -c1-5)"));
    assert_true(shell_exists("recon/best.h5"));
    succeeds(shell_run("grep -q val_psnr_zero_filled recon/metrics.jsonl"));
    /* Before any work on references. */
    const struct outcome *o = shell_run("train-recon recon.yaml --set run=no --set data.cache=no "
                                        "--set fit.ssfd.weight=1 --set fit.ssfd.checkpoint=no.h5");
    assert_int_equal(o->code, 66);
    assert_non_null(strstr(o->err, "no.h5"));
    assert_false(shell_exists("no"));
}

/* What is trained on does not depend on whether references were just made, nor by how many threads.
 */
static void a_new_cache_trains_as_an_old_one(void **state)
{
    (void)state;
    static const char *const task[] = {"ssl", "recon"};
    for (int k = 0; k < 2; k++) {
        const char *t = task[k];
        succeeds(
            shell_run("rm -rf fresh && train-%s %s.yaml --set run=new-%s --set data.cache=fresh "
                      "--quiet",
                      t, t, t));
        succeeds(
            shell_run("train-%s %s.yaml --set run=old-%s --set data.cache=fresh --quiet 2>log && "
                      "! grep -q references log",
                      t, t, t));
        succeeds(shell_run("cmp new-%s/last.h5 old-%s/last.h5 && "
                           "cmp new-%s/metrics.jsonl old-%s/metrics.jsonl",
                           t, t, t, t));
    }
    succeeds(shell_run(
        "prepare ssl.yaml --threads 1 --set data.cache=one --quiet && diff -r one fresh"));
}

static void eval_study(void **state)
{
    (void)state;
    succeeds(shell_run("eval-study study.yaml"));
    assert_true(shell_exists("study/curves.csv"));
    assert_true(shell_exists("study/scores.csv"));
    /* 3 perturbations x 11 levels x 3 metrics, and a header. */
    succeeds(shell_run("wc -l <study/curves.csv | grep -qx 100"));
    succeeds(shell_run(
        "eval-study study.yaml --set output=study2 --threads 1 && "
        "cmp study/scores.csv study2/scores.csv && cmp study/curves.csv study2/curves.csv"));
}

static void every_command_teaches_itself(void **state)
{
    (void)state;
    static const char *const commands[] = {"train-ssl",  "train-recon", "eval-study",
                                           "make-scans", "prepare",     "reconstruct"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        succeeds(shell_run("%s --help", commands[i]));
        succeeds(shell_run("%s --version", commands[i]));
        assert_int_equal(shell_run("%s", commands[i])->code, 64);
        assert_int_equal(shell_run("%s --no-such-option x", commands[i])->code, 64);
    }
    succeeds(shell_run("train-ssl ssl.yaml --check"));
    succeeds(shell_run("train-ssl ssl.yaml --explain"));
    assert_false(shell_exists("ssl.tmp"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_scans),
        cmocka_unit_test(prepare),
        cmocka_unit_test(train_ssl),
        cmocka_unit_test(a_resumption_is_checked_without_training),
        cmocka_unit_test(an_interrupted_training_resumes_to_the_same_weights),
        cmocka_unit_test(a_replaced_scan_does_not_resume),
        cmocka_unit_test(train_recon),
        cmocka_unit_test(a_new_cache_trains_as_an_old_one),
        cmocka_unit_test(eval_study),
        cmocka_unit_test(every_command_teaches_itself),
    };
    return cmocka_run_group_tests(tests, shell_setup, shell_teardown);
}
