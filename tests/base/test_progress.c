/* Progress and stop: what people see and press during a long run. */
#include "base/progress.h"
#include "base/stop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char text[4096];

/* What a run of 1000 steps writes to stderr. */
static const char *shown(bool quiet, bool bar)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    int keep = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    struct progress p = progress_begin("training", 20, 1000, quiet);
    p.bar = bar;
    for (long i = 20; i <= 700; i++)
        progress_at(&p, i, "loss=0.5");
    progress_end(&p, "");
    dup2(keep, STDERR_FILENO);
    close(keep);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void plain_lines_are_the_first_and_the_last(void **state)
{
    (void)state;
    const char *s = shown(false, false);
    assert_int_equal(strncmp(s, "what=training step=20/1000 eta=unknown rate=0/s loss=0.5\n", 57),
                     0);
    const char *last = strchr(s, '\n') + 1;
    assert_int_equal(strncmp(last, "what=training step=700/1000 took=00:00:00 rate=", 47), 0);
    assert_ptr_equal(strchr(last, '\n'), s + strlen(s) - 1);
}

/* What a redirected stderr holds after so many days of steps of half a second. */
static int lines_of(double days)
{
    int lines = 0;
    double last = -1e9;
    for (double t = 0.0; t < 86400.0 * days; t += 0.5)
        if (t - last >= progress_pause(t)) {
            last = t;
            lines++;
        }
    return lines;
}

static void a_log_of_months_stays_readable(void **state)
{
    (void)state;
    print_message("a day %d lines, a month %d\n", lines_of(1), lines_of(30));
    assert_in_range(lines_of(1), 600, 1200);
    assert_in_range(lines_of(30), lines_of(1), 10000);
    assert_true(progress_pause(0.0) == 5.0 && progress_pause(60.0) == 5.0);
}

static void bar_stays_on_one_line(void **state)
{
    (void)state;
    const char *s = shown(false, true);
    assert_int_equal(strncmp(s, "\rtraining [........................] 20/1000", 44), 0);
    assert_ptr_equal(strchr(s, '\n'), s + strlen(s) - 1);
}

static void quiet_says_nothing(void **state)
{
    (void)state;
    assert_string_equal(shown(true, false), "");
    assert_string_equal(shown(true, true), "");
}

static void a_file_is_not_a_terminal(void **state)
{
    (void)state;
    int keep = dup(STDERR_FILENO);
    FILE *f = tmpfile();
    dup2(fileno(f), STDERR_FILENO);
    struct progress p = progress_begin("x", 0, 1, false);
    dup2(keep, STDERR_FILENO);
    close(keep);
    fclose(f);
    assert_false(p.bar);
}

static int child_killed_by(int first, int second)
{
    pid_t pid = fork();
    if (pid == 0) {
        stop_on_signals();
        raise(first);
        if (!stop_requested()) _exit(1);
        raise(second);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 1000 + WEXITSTATUS(status);
}

static void the_second_interrupt_kills(void **state)
{
    (void)state;
    assert_int_equal(child_killed_by(SIGINT, SIGINT), SIGINT);
    assert_int_equal(child_killed_by(SIGTERM, SIGINT), SIGINT);
    assert_int_equal(child_killed_by(SIGINT, SIGTERM), 1002); /* a patient second request */
}

static void a_signal_asks_once(void **state)
{
    (void)state;
    static const int number[] = {SIGINT, SIGTERM, SIGUSR1};
    static const char *const name[] = {"SIGINT", "SIGTERM", "SIGUSR1"};
    for (int i = 0; i < 3; i++) {
        stop_on_signals();
        assert_false(stop_requested());
        raise(number[i]);
        assert_true(stop_requested());
        assert_string_equal(stop_signal(), name[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_are_the_first_and_the_last),
        cmocka_unit_test(a_log_of_months_stays_readable),
        cmocka_unit_test(bar_stays_on_one_line),
        cmocka_unit_test(quiet_says_nothing),
        cmocka_unit_test(a_file_is_not_a_terminal),
        cmocka_unit_test(the_second_interrupt_kills),
        cmocka_unit_test(a_signal_asks_once),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
