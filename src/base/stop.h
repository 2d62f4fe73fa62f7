/* Signals that ask for an orderly stop: SIGINT, SIGTERM, SIGUSR1. A second SIGINT kills at once. */
#pragma once

#include <stdbool.h>

void stop_on_signals(void);
bool stop_requested(void);
const char *stop_signal(void); /* "SIGINT", for messages */
