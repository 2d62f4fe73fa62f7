/* The hardware limit that computing is compared with. */
#pragma once

/* GFLOP/s that fused multiply-adds of floats in vector registers reach on all threads together,
 * over about so many seconds. Also tells whether every thread has a core of its own just now.
 * Matrix units and algorithms with fewer multiplications can exceed it. */
double peak_fma_gflops(double seconds);
const char *peak_vector(void); /* "512-bit": the registers it uses */
