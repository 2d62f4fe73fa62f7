#include "eval/metric.h"

#include <stddef.h>

extern const struct metric metric_ssfd, metric_ssim, metric_psnr, metric_nrmse;

const struct cfg_kind *const metric_kinds[] = {&metric_ssfd.kind, &metric_ssim.kind,
                                               &metric_psnr.kind, &metric_nrmse.kind, NULL};
