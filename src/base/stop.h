/* Signals that ask for an orderly stop: SIGINT, SIGTERM, SIGUSR1, and SIGHUP unless it is ignored
 * (nohup). A second SIGINT kills at once.
 * Files that may not grow further (ulimit -f) become errors of writing instead of a signal. */
#pragma once

#include <stdbool.h>

void stop_on_signals(void);
bool stop_requested(void);
const char *stop_signal(void); /* "SIGINT", for messages */
