/* The ISMRMRD header: XML text that goes with raw data, in fastMRI's files too (`ismrmrd_header`).
 * Of it, what is needed to place k-space on a grid and to crop images, from the first `encoding`
 * (schema: https://ismrmrd.readthedocs.io, names in the namespace http://www.ismrm.org/ISMRMRD).
 *
 * The text is not trusted: at most 1 MiB and 64 levels, no DOCTYPE, hence no entities of its own
 * and nothing fetched from anywhere. mrd_header.c alone includes expat.h. */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { MRD_X, MRD_Y, MRD_Z }; /* readout, phase encoding, partition encoding */

struct mrd_limit {
    int minimum, maximum, centre; /* counters; -1: not given */
};

struct mrd_header {
    int encoded[3], recon[3]; /* matrix sizes; 0: not given */
    struct mrd_limit step_1, step_2;
    char trajectory[32]; /* "cartesian", …; empty: not given */
    char protocol[64];   /* measurementInformation/protocolName, or empty */
    char patient[128];   /* subjectInformation/patientID, or empty */
};

/* ERR_DATA names line and element. */
int mrd_header_parse(struct mrd_header *h, const char *xml, size_t len, struct err *e);
