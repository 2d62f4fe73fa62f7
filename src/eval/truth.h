/* What is known of the scans to be bad: a CSV table as make-scans writes it beside scans with
 * planted defects, or one's own (eval/csv.h). Columns, in any order, others are ignored:
 *
 *     scan                     name of the scan, with or without ".h5"
 *     kind                     of the defect; "none" or empty: the scan has none
 *     first_slice, last_slice  where it is, from 0, both included; empty or absent: everywhere
 *
 * A scan may have several lines. */
#pragma once

#include "base/err.h"

enum { TRUTH_KINDS = 32 };

struct truth;
/* ERR_DATA naming file and line where it is not such a table; ERR_NOINPUT where it cannot be read.
 */
struct truth *truth_read(const char *path, struct err *e);
void truth_free(struct truth *t);
int truth_kinds(const struct truth *t); /* kinds of defects, without "none" */
const char *truth_kind(const struct truth *t, int kind);
/* The defects of a slice as a set of bits 1 << kind; -1 where the table does not have the scan. */
long truth_of(const struct truth *t, const char *scan, int slice);
