/* What differs between the configuration a run was started with and the one it is resumed with. */
#pragma once

#include "base/err.h"

enum { CHANGES_TEXT = 1500 };

/* Both texts are dumps of cfg_write; ERR_DATA where one is not. Where all differing keys are in
 * `may_change`, a NULL-ended list of dotted keys ("fit.ahead"), writes what differs into `text`
 * ("fit.ahead was 2, is 4", or nothing), and returns 0. Otherwise ERR_CONFIG, which lists what may
 * not. */
int changes_check(const char *was, const char *is, const char *const *may_change,
                  char text[CHANGES_TEXT], struct err *e);
