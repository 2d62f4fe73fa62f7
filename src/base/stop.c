#include "base/stop.h"

#include <signal.h>
#include <stddef.h>

/* A handler has no other way to tell anyone: the one mutable global of the program. */
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    signal(SIGINT, SIG_DFL); /* impatience is understood: the next Ctrl-C kills */
    if (!caught) caught = number;
}

void stop_on_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    caught = 0;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    struct sigaction hangup; /* of a terminal that closes, but for `nohup` */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &act, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: the write fails, and is reported */
}

bool stop_requested(void)
{
    return caught != 0;
}

const char *stop_signal(void)
{
    switch (caught) {
    case SIGINT:
        return "SIGINT";
    case SIGTERM:
        return "SIGTERM";
    case SIGUSR1:
        return "SIGUSR1";
    case SIGHUP:
        return "SIGHUP";
    default:
        return "no signal";
    }
}
