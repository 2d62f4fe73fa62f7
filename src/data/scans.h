/* Many scans: found in folders, probed, and what is done about the bad ones among them. */
#pragma once

#include "base/cfg.h"
#include "data/scan.h"

#include <stdio.h>

/* A scan that cannot be used stops the run, or is left out and listed. */
enum { BAD_SCAN_STOP, BAD_SCAN_SKIP };
extern const char *const bad_scan_choices[];

struct bad_scan {
    char path[1024], why[1024];
};

struct scans {
    int n;
    struct scan *list;
    int on_bad; /* BAD_SCAN_… */
    int nbad;
    struct bad_scan *bad; /* left out */
    int told;             /* of them by scans_report */
};

struct scans_query {
    struct cfg_texts paths; /* files, or folders whose scans are taken in name order */
    int on_bad;             /* BAD_SCAN_… */
    bool quiet;             /* no progress */
    /* Of the files of folders, only those of these names (without ending) are looked at; NULL:
     * all. Files that are named themselves are always looked at. */
    bool (*wanted)(void *ctx, const char *name);
    void *ctx;
};

/* Finds and probes. Of every scan a reference can be made (scan_check_reference). Two scans of one
 * name are refused. On failure *s is empty; it is a failure, too, when no scan is left. */
int scans_search(struct scans *s, const struct scans_query *q, struct err *e);
/* The same with every default: a bad scan stops. */
int scans_find(struct scans *s, const char *const *paths, int n, struct err *e);
void scans_release(struct scans *s);

/* Scan i turned out to be unusable, as *why says: with BAD_SCAN_SKIP, when it is the file's fault
 * (ERR_DATA, ERR_NOINPUT), marks it `dropped`, takes it down in `bad`, clears *why and returns 0.
 * Otherwise -1 with *why as it is. */
int scans_drop(struct scans *s, int i, struct err *why);
/* The same for a file that never became a scan. */
int scans_leave_out(struct scans *s, const char *path, struct err *why);

/* Lists the bad scans in FOLDER/skipped_scans.csv and tells people; without any, removes an old
 * list and says nothing. Called again, it does so only if there are more. */
int scans_report(struct scans *const *sets, int n, const char *folder, FILE *notes, struct err *e);
