/* Everything the numbers of a study depend on, as text: the version, the configuration, and size
 * and modification time of every scan and of every file or folder that the study names. */
#pragma once

#include "eval/study.h"

/* As a new string, lines ended by newlines; free(). The scans are found, and perhaps not prepared.
 */
char *study_key(const struct study_env *env, const struct cfg_pick *study, struct err *e);
