/* What a resumption finds, and what it says of it: trainings of other lengths, files that are lost,
 * damaged or another, and nothing to resume from. */
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "toy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder;
static const struct toy fine;

/* ---- a training, and what it prints ---- */

static char said[1 << 14]; /* on stderr, by the last one */

static const char *path_of(const char *name, const char *file)
{
    static char path[4][300];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s/%s", folder, name, file);
    return path[turn];
}

static struct toy_outcome train_with(const char *name, bool resume, struct toy toy,
                                     const char *const *sets)
{
    FILE *to = tmpfile();
    assert_non_null(to);
    fflush(stderr);
    const int was = dup(STDERR_FILENO);
    dup2(fileno(to), STDERR_FILENO);
    const struct toy_outcome o = toy_train(path_of(name, ""), resume, toy, sets);
    fflush(stderr);
    dup2(was, STDERR_FILENO);
    close(was);
    rewind(to);
    said[fread(said, 1, sizeof said - 1, to)] = '\0';
    fclose(to);
    return o;
}

#define train(name, resume, toy, ...)                                                              \
    train_with(name, resume, toy, (const char *const[]){__VA_ARGS__, NULL})

static void has(const char *text, const char *word)
{
    if (!strstr(text, word)) fail_msg("'%s' is not in: %s", word, text);
}

/* Trains to the end, and that without a word unless `word`, which then is among what it says. */
static void succeeds(struct toy_outcome o, const char *word)
{
    if (o.code) fail_msg("%s", o.err.text);
    if (word)
        has(said, word);
    else
        assert_string_equal(said, "");
    mem_free(o.val);
}

static void fails(struct toy_outcome o, enum err_code code, const char *word, const char *hint)
{
    assert_int_equal(o.code, code);
    has(o.err.text, word);
    has(o.err.hint, hint);
    mem_free(o.val);
}

static void shell(const char *fmt, ...)
{
    char line[1000], command[1400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    snprintf(command, sizeof command, "cd '%s' && %s", folder, line);
    if (system(command)) fail_msg("%s", command);
}

/* ---- trainings of other lengths ---- */

enum { LENGTHS = 5 };

/* Cut off the grid of validations, and continued: to the bits of one that was as long at once, with
 * the same best network, and as soon out of patience. Returns how often an end was the best so far.
 */
static int extended(int number, const char *lr, const char *average)
{
    static const char *const lengths[LENGTHS] = {"fit.steps=7", "fit.steps=13", "fit.steps=19",
                                                 "fit.steps=24", "fit.steps=100"};
    char straight[20], pieces[20];
    int ends = 0;
    snprintf(straight, sizeof straight, "straight%d", number);
    snprintf(pieces, sizeof pieces, "pieces%d", number);
    const char *sets[] = {"fit.validate_every=5", "fit.patience=2", lr, average, NULL, NULL};
    sets[4] = lengths[LENGTHS - 1];
    struct toy_outcome all = train_with(straight, false, fine, sets);
    for (int i = 0; i < LENGTHS; i++) {
        sets[4] = lengths[i];
        struct toy_outcome o = train_with(pieces, i > 0, fine, sets);
        if (o.code) fail_msg("%s", o.err.text);
        assert_null(strstr(said, "warning"));
        ends += o.best.step % 5 != 0;
        assert_int_equal(o.best.step, o.best.best_step);
        mem_free(o.val);
    }
    shell("cmp %s/last.h5 %s/last.h5 && cmp %s/best.h5 %s/best.h5", straight, pieces, straight,
          pieces);
    assert_false(io_exists(path_of(pieces, "best-regular.h5")));
    print_message("%s: out of patience after step %d, %d ends were the best\n", lr,
                  (int)all.last.step, ends);
    if (number == 0) assert_true(all.last.step > 24 && all.last.step < 100);
    mem_free(all.val);
    return ends;
}

static void a_training_in_pieces_is_one_at_once(void **state)
{
    (void)state;
    assert_true(extended(0, "fit.adam.lr=0.03", "fit.average=0") +
                    extended(1, "fit.adam.lr=0.01", "fit.average=0.9") >
                0);
}

/* The network of the end is there while it is the end, also when asked again. */
static void the_end_may_be_the_best(void **state)
{
    (void)state;
    struct toy_outcome o = train("end", false, fine, "fit.steps=13");
    assert_int_equal(o.best.step, 13);
    assert_true(io_exists(path_of("end", "best-regular.h5")));
    mem_free(o.val);
    shell("cp end/best.h5 was.h5");
    succeeds(train("end", true, fine, "fit.steps=13"), NULL);
    shell("cmp end/best.h5 was.h5");
}

static void a_training_cannot_get_shorter_than_it_is(void **state)
{
    (void)state;
    succeeds(train("long", false, fine, "fit.steps=20"), NULL);
    fails(train("long", true, fine, "fit.steps=10"), ERR_CONFIG,
          "at step 20 already, and fit.steps asks for 10", "another run directory");
    fails(train("long", true, fine, "fit.steps=0", "fit.epochs=1"), ERR_CONFIG,
          "fit.epochs asks for 2", "another run directory");
}

/* ---- files that are lost or damaged ---- */

static void the_best_network_comes_back(void **state)
{
    (void)state;
    const char *const half[] = {"fit.steps=20", "fit.keep=3", NULL};
    succeeds(train_with("best", false, fine, half), NULL);
    struct toy_outcome o = train("best", true, fine, "fit.steps=20", "fit.keep=3");
    assert_int_equal(o.best.step, 20);
    mem_free(o.val);
    shell("cp best/best.h5 whole.h5");
    for (int i = 0; i < 2; i++) { /* missing; damaged */
        shell("%s", i ? "printf x | dd of=best/best.h5 bs=1 seek=5000 conv=notrunc status=none"
                      : "rm best/best.h5");
        succeeds(train_with("best", true, fine, half), "best.h5 is made again, from ");
        shell("cmp best/best.h5 whole.h5");
    }
    assert_true(io_exists(path_of("best", "best.h5.damaged")));
}

/* Where no file has it any more, that is said, and the patience is that of the training that was.
 */
static void a_best_network_that_is_lost_is_told(void **state)
{
    (void)state;
    char length[40];
    const char *sets[] = {"fit.adam.lr=0.03", "fit.validate_every=5", "fit.patience=2",
                          "fit.steps=100",    "fit.keep=0",           NULL};
    struct toy_outcome all = train_with("whole", false, fine, sets);
    assert_true(all.best.step < all.last.step && all.last.step < 100);
    /* Cut after the best validation, with nothing of its step left. */
    snprintf(length, sizeof length, "fit.steps=%d", (int)all.best.step + 2);
    sets[3] = length;
    succeeds(train_with("lost", false, fine, sets), NULL);
    sets[3] = "fit.steps=100";
    shell("rm -f lost/best.h5 lost/best-regular.h5");
    succeeds(train_with("lost", true, fine, sets), "is lost: best.h5 will be the best of ");
    shell("cmp lost/last.h5 whole/last.h5");
    assert_true(io_exists(path_of("lost", "best.h5")));
    /* It is not silent about it from then on, and what is there stays. */
    succeeds(train_with("lost", true, fine, sets), "is lost: best.h5 is of step ");
    shell("rm lost/best.h5");
    succeeds(train_with("lost", true, fine, sets), "is lost: there is only last.h5");
    mem_free(all.val);
}

static void lost_logs_are_told(void **state)
{
    (void)state;
    succeeds(train("logs", false, fine, "fit.steps=10"), NULL);
    shell("sed -i 's/^{/{{/' logs/metrics.jsonl && printf '{\"step\": 10, ' >>logs/metrics.jsonl");
    succeeds(train("logs", true, fine, "fit.steps=20"), "2 lines that are none of it are dropped");
    shell("printf '{\"step\": 20, ' >>logs/metrics.jsonl"); /* as a crash leaves it */
    struct toy_outcome o = train("logs", true, fine, "fit.steps=20");
    assert_null(strstr(said, "warning"));
    mem_free(o.val);
    shell("rm logs/metrics.jsonl");
    succeeds(train("logs", true, fine, "fit.steps=30"), "metrics.jsonl is missing");
    shell("echo '[]' >logs/run.json");
    succeeds(train("logs", true, fine, "fit.steps=40"), "logs//run.json is missing or damaged");
}

/* ---- configurations ---- */

static void a_refused_resumption_changes_nothing(void **state)
{
    (void)state;
    succeeds(train("refused", false, fine, "fit.steps=10"), NULL);
    shell("cp refused/config.resolved.yaml was.yaml");
    fails(train("refused", true, (struct toy){.fingerprint = 7}, "fit.steps=20", "fit.ahead=5"),
          ERR_DATA, "the scans behind data.train", "bring the same files back");
    assert_string_equal(said, "");
    shell("cmp refused/config.resolved.yaml was.yaml");
    succeeds(train("refused", true, fine, "fit.steps=20"), "fit.steps was 10, is 20");
    shell("! cmp -s refused/config.resolved.yaml was.yaml");
}

static void a_configuration_that_cannot_be_compared_is_refused(void **state)
{
    (void)state;
    char deep[2000] = "";
    succeeds(train("config", false, fine, "fit.steps=10"), NULL);
    shell("mv config/config.resolved.yaml was.yaml");
    fails(train("config", true, fine, "fit.steps=10"), ERR_NOINPUT, "config.resolved.yaml",
          "--check --quiet >");
    shell("(cat was.yaml && echo no key) >config/config.resolved.yaml");
    fails(train("config", true, fine, "fit.steps=10"), ERR_DATA, "'no key', is none of", "");
    for (int i = 0; i < 20; i++)
        snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "%*sa:%s\n", 2 * i, "",
                 i < 19 ? "" : " 1");
    assert_int_equal(
        io_write_text(path_of("config", "config.resolved.yaml"), deep, strlen(deep), NULL), 0);
    fails(train("config", true, fine, "fit.steps=10"), ERR_DATA, "line 17, ", "");
    shell("(printf '%%0200d: 1\\n' 1 && cat was.yaml) >config/config.resolved.yaml");
    fails(train("config", true, fine, "fit.steps=10"), ERR_DATA, "line 1, ", "");
    /* What a person wrote beside it does not count. */
    shell("(echo '# mine'; echo; cat was.yaml) >config/config.resolved.yaml");
    succeeds(train("config", true, fine, "fit.steps=10"), NULL);
}

/* The network of a loss with SSFD may lie elsewhere, but not be another. */
static void the_encoder_may_move(void **state)
{
    (void)state;
    char here[400], there[400], other[400];
    succeeds(train("encoder", false, fine, "fit.steps=10"), NULL);
    snprintf(here, sizeof here, "fit.ssfd.checkpoint=%s", path_of("encoder", "last.h5"));
    snprintf(there, sizeof there, "fit.ssfd.checkpoint=%s/moved.h5", folder);
    snprintf(other, sizeof other, "fit.ssfd.checkpoint=%s/other.h5", folder);
    const char *sets[] = {"fit.steps=10", "fit.ssfd.weight=0.5", here, "fit.ssfd.layer=conv5",
                          NULL};
    succeeds(train_with("ssfd", false, fine, sets), NULL);
    shell("cp encoder/last.h5 other.h5");
    succeeds(train("encoder", true, fine, "fit.steps=20"), "is 20");
    shell("mv other.h5 moved.h5 && mv encoder/last.h5 other.h5");
    sets[2] = other;
    fails(train_with("ssfd", true, fine, sets), ERR_DATA, "is another file than",
          "not where it lies");
    sets[2] = there;
    succeeds(train_with("ssfd", true, fine, sets), "fit.ssfd.checkpoint was ");
}

static void a_state_of_another_network_is_refused(void **state)
{
    (void)state;
    succeeds(train("mine", false, fine, "fit.steps=10"), NULL);
    struct toy_outcome o = train("mine", true, (struct toy){.groups = 1}, "fit.steps=10");
    fails(o, ERR_DATA, "another network or task: ", "put it away");
}

/* ---- nothing is left ---- */

static void loses_its_folder(int sample)
{
    if (sample == 60) shell("rm -rf gone");
}

static void without_a_checkpoint_none_is_promised(void **state)
{
    (void)state;
    fails(train("early", false, (struct toy){.loud_at = 5}, NULL), ERR_FAILED, "at step 2, ",
          "there is no checkpoint of it");
    fails(train("late", false, (struct toy){.loud_at = 60}, NULL), ERR_FAILED, "at step 15, ",
          "the last checkpoint is intact");
    fails(train("early", false, (struct toy){.nan_at = 5}, NULL), ERR_FAILED, "at step 2",
          "there is no checkpoint of it");
    fails(train("gone", false, (struct toy){.watch = loses_its_folder}, NULL), ERR_IO,
          "after step ", "starts it anew");
}

/* ---- file systems without locks ---- */

static int locks; /* errno of flock; 0: they work */

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    if (!locks) return __real_flock(fd, operation);
    errno = locks;
    return -1;
}

static void without_locks_it_warns_and_trains(void **state)
{
    (void)state;
    locks = ENOLCK;
    struct toy_outcome o = train("unlocked", false, fine, "fit.steps=10");
    locks = 0;
    succeeds(o, ".lock cannot be locked");
}

int main(void)
{
    char name[] = "/tmp/ssfd-test-resume-XXXXXX";
    folder = mkdtemp(name);
    par_set_threads(1); /* tiny images */
    stop_on_signals();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_in_pieces_is_one_at_once),
        cmocka_unit_test(the_end_may_be_the_best),
        cmocka_unit_test(a_training_cannot_get_shorter_than_it_is),
        cmocka_unit_test(the_best_network_comes_back),
        cmocka_unit_test(a_best_network_that_is_lost_is_told),
        cmocka_unit_test(lost_logs_are_told),
        cmocka_unit_test(a_refused_resumption_changes_nothing),
        cmocka_unit_test(a_configuration_that_cannot_be_compared_is_refused),
        cmocka_unit_test(the_encoder_may_move),
        cmocka_unit_test(a_state_of_another_network_is_refused),
        cmocka_unit_test(without_a_checkpoint_none_is_promised),
        cmocka_unit_test(without_locks_it_warns_and_trains),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
