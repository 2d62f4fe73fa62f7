/* Figures by gnuplot, which is run as a program where it is installed. The script and its data stay
 * beside the figure, so that a figure can be made again, or made elsewhere. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Runs `gnuplot -d SCRIPT` in the folder `dir` (relative names in the script are relative to it).
 * Where no gnuplot is on the PATH: *ran = false and success, for the caller to say so. A gnuplot
 * that fails is ERR_FAILED with what it said. */
int gnuplot_run(const char *dir, const char *script, bool *ran, struct err *e);
