#include "base/cli.h"
#include "data/phantom.h"

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    (void)cli;
    return phantom_check(conf, e);
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    return phantom_run(conf, cli->quiet, e);
}

static const struct command make_scans = {
    .name = "make-scans",
    .summary = "simulate multi-coil knee scans in the fastMRI layout",
    .text =
        "Writes OUT/knee-SEED-0000.h5, OUT/knee-SEED-0001.h5, ...: raw k-space of simulated knees, "
        "no two alike, with the root-sum-of-squares images as 'reconstruction_rss'. The files say "
        "'simulated' in their attributes. What is simulated and what is not: docs/data.md, "
        "src/data/phantom.h.\n\n"
        "The same options give the same bytes, and scan i does not depend on the number of scans. "
        "Scans that are there with the same parameters are kept: an interrupted run goes on where "
        "it was. Several may fill one folder at once: they share the scans.\n\n"
        "  make-scans scans/train --scans 12 --seed 1 --size 160\n"
        "  make-scans scans/full --preset full               15 coils, 640 x 368, 1 GB a scan\n"
        "  make-scans scans/qc --preset small --scans 50 --defects 0.2\n"
        "      a fifth with a known defect, told in scans/qc/knee-1-defects.csv\n"
        "  make-scans scans/mine --preset small --anatomy volume.nii.gz\n",
    .fields = phantom_fields,
    .conf_size = sizeof(struct phantom_conf),
    .positional = "out",
    .check = check,
    .run = run,
};

int main(int argc, char **argv)
{
    return cli_main(&make_scans, argc, argv);
}
