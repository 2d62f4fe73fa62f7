/* What differs between the configuration a run was started with and the one it is resumed with. */
#pragma once

#include "base/err.h"

/* Both texts are dumps of cfg_write. Where all differing keys are in `may_change`, a NULL-ended
 * list of dotted keys ("fit.ahead"), says on stderr what differs, after "COMMAND: ", and returns 0.
 * Otherwise ERR_CONFIG, which lists what may not. */
int changes_check(const char *was, const char *is, const char *const *may_change,
                  const char *command, struct err *e);
