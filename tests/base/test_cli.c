#include "base/cli.h"
#include "base/io.h"
#include "base/mem.h"

#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char out[1 << 16], errors[1 << 16], config[64];

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct sample *s = conf;
    if (strcmp(s->name, "fail") == 0) {
        err_set(e, ERR_DATA, "slice 3 is torn");
        return err_hint(e, "copy it again");
    }
    if (strcmp(s->name, "stop") == 0)
        return err_set(e, ERR_STOPPED, "stopped by SIGINT, state saved");
    printf("%s runs %s: lr %g from %s, threads %d%s%s\n", cli->command, s->name, s->train.lr,
           cfg_where(cli->cfg, "train.lr"), cli->threads, cli->resume ? ", resumed" : "",
           cli->quiet ? ", quietly" : "");
    return 0;
}

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    const struct sample *s = conf;
    if (s->train.lr < 1.0 || s->train.batch > 1) return 0;
    return err_set(e, ERR_CONFIG, "%s: 'train.lr' of 1 or more needs 'train.batch' above 1",
                   cfg_where(cli->cfg, "train.lr"));
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    (void)conf, (void)cli, (void)e;
    puts("one image of 320 x 320");
    return 0;
}

static const struct command with_file = {
    .name = "sample-run",
    .summary = "Does nothing, carefully.",
    .text = "Writes a line, which is told here in so many words that they have "
            "to go on in a second one, broken between two of them and not in one.\n"
            "\nExample: sample-run a.yaml",
    .fields = sample_fields,
    .conf_size = sizeof(struct sample),
    .resumable = true,
    .check = check,
    .explain = explain,
    .run = run};
static const struct command with_options = {.name = "make-sample",
                                            .summary = "Makes a sample.",
                                            .text = "",
                                            .fields = sample_fields,
                                            .conf_size = sizeof(struct sample),
                                            .positional = "name",
                                            .run = run};

static void read_back(FILE *f, char *text, size_t size)
{
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

/* Runs a command with these words; its exit code. Fills `out` and `errors`. */
static int call(const struct command *c, ...)
{
    char *argv[16] = {(char *)(uintptr_t)c->name};
    int argc = 1;
    va_list ap;
    va_start(ap, c);
    for (char *word; (word = va_arg(ap, char *));)
        argv[argc++] = word;
    va_end(ap);
    FILE *o = tmpfile(), *e = tmpfile();
    assert_true(o && e);
    fflush(stdout);
    const int keep_out = dup(1), keep_err = dup(2);
    dup2(fileno(o), 1);
    dup2(fileno(e), 2);
    const int code = cli_main(c, argc, argv);
    fflush(stdout);
    dup2(keep_out, 1);
    dup2(keep_err, 2);
    close(keep_out);
    close(keep_err);
    read_back(o, out, sizeof out);
    read_back(e, errors, sizeof errors);
    return code;
}

static void a_command_runs_with_its_file_and_sets(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, config, "--set", "train.lr=0.5", "--threads", "2", "--resume",
                          "--quiet", NULL),
                     0);
    assert_string_equal(out,
                        "sample-run runs knee: lr 0.5 from --set train.lr=0.5, threads 2, resumed, "
                        "quietly\n");
    assert_string_equal(errors, "");
    assert_int_equal(call(&with_file, "--threads=1", "--set=name=other", "--", config, NULL), 0);
    assert_non_null(strstr(out, "runs other: lr 0.001 from default, threads 1\n"));
}

static void failures_carry_their_code_and_hint(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, config, "--set", "name=fail", NULL), 65);
    assert_string_equal(errors, "sample-run: error: slice 3 is torn\nhint: copy it again\n");
    assert_string_equal(out, "");
    assert_int_equal(call(&with_file, config, "--set", "name=stop", NULL), 75);
    assert_string_equal(errors, "sample-run: stopped by SIGINT, state saved\n");
    assert_int_equal(call(&with_file, "/no/such.yaml", NULL), 66);
    assert_string_equal(errors,
                        "sample-run: error: /no/such.yaml: cannot be opened: No such file or "
                        "directory\n");
}

static void mistakes_stand_one_a_line(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, config, "--set", "train.lr=x", "--set", "sed=1", NULL), 78);
    assert_string_equal(
        errors, "sample-run: error: --set sed=1: unknown key 'sed' (did you mean 'seed'?)\n"
                "sample-run: error: --set train.lr=x: 'train.lr' must be a finite number, not 'x'\n"
                "hint: 'sample-run --help' lists every key with its type, range and default\n");
}

static void check_prints_a_configuration_that_loads(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, config, "--check", "--set", "train.lr=0.25", NULL), 0);
    assert_int_equal(strncmp(out, "# configuration is valid\nseed: 1\nname: knee\n", 44), 0);
    struct sample s = {0};
    struct err e = {0};
    struct cfg *c = cfg_parse(sample_fields, &s, "out", out, strlen(out), NULL, 0, &e);
    assert_non_null(c);
    assert_true(s.train.lr == 0.25);
    cfg_free(c);
    assert_int_equal(
        call(&with_file, config, "--check", "--set", "train.lr=2", "--set", "train.batch=1", NULL),
        78);
    assert_string_equal(out, "");
    assert_non_null(strstr(errors, "--set train.lr=2: 'train.lr' of 1 or more needs"));
    assert_int_equal(call(&with_file, config, "--explain", NULL), 0);
    assert_string_equal(out, "one image of 320 x 320\n");
}

static void usage_errors_are_64(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, NULL), 64);
    assert_string_equal(errors, "sample-run: error: the configuration file is missing\n"
                                "hint: 'sample-run --help' shows how to use it\n");
    assert_int_equal(call(&with_file, config, "second.yaml", NULL), 64);
    assert_int_equal(call(&with_file, config, "--chek", NULL), 64);
    assert_non_null(strstr(errors, "unknown option '--chek' (did you mean '--check'?)"));
    assert_int_equal(call(&with_file, config, "--seed", "3", NULL), 64);
    assert_non_null(strstr(errors, "(did you mean '--set seed=VALUE'?)"));
    assert_int_equal(call(&with_file, config, "--set", NULL), 64);
    assert_non_null(strstr(errors, "--set wants a value"));
    assert_int_equal(call(&with_file, config, "--set", "x", NULL), 64);
    assert_int_equal(call(&with_file, config, "--threads", "0", NULL), 64);
    assert_int_equal(call(&with_file, config, "--threads", "2x", NULL), 64);
    assert_int_equal(call(&with_file, config, "-x", NULL), 64);
    assert_int_equal(call(&with_options, "OUT", "--resume", NULL), 64);
    assert_non_null(strstr(errors, "make-sample has no --resume"));
}

static void help_and_version_go_to_stdout(void **state)
{
    (void)state;
    assert_int_equal(call(&with_file, "--help", NULL), 0);
    assert_string_equal(errors, "");
    static const char *const want[] = {"usage: sample-run CONFIG.yaml",
                                       "Does nothing, carefully.",
                                       "\nWrites a line, which is told",
                                       "not in one.\n\nExample",
                                       "Example: sample-run a.yaml\n",
                                       "--check",
                                       "--explain",
                                       "--resume",
                                       "train.lr ",
                                       "perturbations.blur.extent "};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(out, want[i])) fail_msg("no '%s' in\n%s", want[i], out);
    for (const char *line = out; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    assert_int_equal(call(&with_options, "-h", NULL), 0);
    assert_non_null(strstr(out, "usage: make-sample NAME"));
    assert_non_null(strstr(out, "\nNAME "));
    assert_non_null(strstr(out, "\n--train.lr "));
    assert_null(strstr(out, "--resume"));
    assert_null(strstr(out, "--explain"));
    assert_int_equal(call(&with_file, "--version", NULL), 0);
    char line[100];
    snprintf(line, sizeof line, "sample-run (ssfd) %s\n", cli_version());
    assert_string_equal(out, line);
}

static void fields_are_options_of_a_command_without_a_file(void **state)
{
    (void)state;
    assert_int_equal(call(&with_options, "--train.lr", "0.5", "*odd: name", "--sizes=[1, 2]", NULL),
                     0);
    assert_non_null(strstr(out, "make-sample runs *odd: name: lr 0.5 from --train.lr 0.5"));
    assert_int_equal(call(&with_options, "OUT", "--sed", "4", NULL), 64);
    assert_non_null(strstr(errors, "unknown option '--sed' (did you mean '--seed'?)"));
    assert_int_equal(call(&with_options, "OUT", "--seed", "x", "--train.batch", "-3", NULL), 64);
    assert_non_null(strstr(errors, "make-sample: error: --seed x: 'seed' must be a whole number"));
    assert_non_null(
        strstr(errors, "make-sample: error: --train.batch -3: 'train.batch' = -3 is out of"));
    assert_int_equal(call(&with_options, "OUT", "--seed", NULL), 64);
    assert_non_null(strstr(errors, "--seed wants a value"));
    assert_int_equal(call(&with_options, "--seed", "4", NULL), 64);
    assert_non_null(strstr(errors, "the argument 'name' is missing"));
}

static int write_config(void **state)
{
    (void)state;
    strcpy(config, "/tmp/ssfd-cli-XXXXXX");
    const int fd = mkstemp(config);
    if (fd < 0) return -1;
    close(fd);
    return io_write_text(config, "name: knee\n", 11, NULL);
}

static int remove_config(void **state)
{
    (void)state;
    return unlink(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_runs_with_its_file_and_sets),
        cmocka_unit_test(failures_carry_their_code_and_hint),
        cmocka_unit_test(mistakes_stand_one_a_line),
        cmocka_unit_test(check_prints_a_configuration_that_loads),
        cmocka_unit_test(usage_errors_are_64),
        cmocka_unit_test(help_and_version_go_to_stdout),
        cmocka_unit_test(fields_are_options_of_a_command_without_a_file),
    };
    return cmocka_run_group_tests_name("cli", tests, write_config, remove_config);
}
