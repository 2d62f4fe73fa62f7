/* The hardware limit that benchmarks compare with. */
#pragma once

/* GFLOP/s that fused multiply-adds of floats in registers reach on all threads together, over about
 * so many seconds. Also tells whether every thread has a core of its own just now. */
double fma_gflops(double seconds);
const char *fma_vector(void); /* "512-bit": the registers it uses */
