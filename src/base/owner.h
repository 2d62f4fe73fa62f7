/* Whose a folder of results is. Each command keeps its configuration there, as
 * config.resolved.yaml, and would take what another one left for its own, or write over it. */
#pragma once

#include "base/err.h"

enum owner { OWNER_TRAINING, OWNER_STUDY, OWNER_RECONSTRUCTION };

/* ERR_CONFIG where the folder is of another command than `who`. One without that file is
 * nobody's. */
int owner_check(const char *folder, enum owner who, struct err *e);
