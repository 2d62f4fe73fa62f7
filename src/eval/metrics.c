#include "eval/metric.h"

#include <stddef.h>

extern const struct metric metric_ssfd, metric_vggpl, metric_ssim, metric_msssim, metric_psnr,
    metric_nrmse, metric_hfen, metric_gmsd, metric_haarpsi, metric_vif, metric_nqm;

const struct cfg_kind *const metric_kinds[] = {
    &metric_ssfd.kind,    &metric_vggpl.kind, &metric_ssim.kind, &metric_msssim.kind,
    &metric_psnr.kind,    &metric_nrmse.kind, &metric_hfen.kind, &metric_gmsd.kind,
    &metric_haarpsi.kind, &metric_vif.kind,   &metric_nqm.kind,  NULL};
