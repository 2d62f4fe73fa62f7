/* Temporary files PATH.PID.tmp and PATH.PID-I.tmp (h5.c, io.c) of processes that were killed before
 * they could rename or remove them. */
#pragma once

/* Removes those whose path starts with `prefix` and whose process is dead on this machine. A
 * process of another machine that shares the folder and writes such a file right now would lose its
 * work: where that can be, hold a lock. */
void leftover_remove(const char *prefix);
