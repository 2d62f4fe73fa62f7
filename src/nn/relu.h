/* The (leaky) ReLU y = x where x > 0, slope x elsewhere, for the operators that end in one. The
 * sign of y is that of x, so the gradient needs y alone; both work in place, on all threads. */
#pragma once

#include <stddef.h>

float relu_slope(const void *conf); /* of a node of op_relu */
void relu_apply(float slope, size_t len, const float *x, float *y);
void relu_gradient(float slope, size_t len, const float *y, const float *dy, float *dx);
