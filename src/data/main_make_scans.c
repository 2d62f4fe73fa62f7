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
        "no two "
        "alike,\n"
        "with the root-sum-of-squares images as 'reconstruction_rss'. The files say 'simulated' "
        "in\n"
        "their attributes. What is simulated and what is not: src/data/phantom.h.\n"
        "\n"
        "The same options give the same bytes, and scan i does not depend on the number of scans.\n"
        "\n"
        "  make-scans scans/train --scans 12 --seed 1 --size 160\n",
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
