/* The convolutional part of VGG-16 (Simonyan and Zisserman, ICLR 2015, configuration D) up to its
 * third block, and its ImageNet weights as Keras publishes them.
 *
 * Input "input": 3 channels in the order blue, green, red, values 0..255 less the means of
 * vgg_means. Names of values: "blockB_reluR" after the ReLU of convolution R of block B; of
 * parameters: "blockB_convR.weight" and ".bias". Blocks end in a 2x2 max pooling. */
#pragma once

#include "nn/graph.h"
#include "nn/params.h"

extern const float vgg_means[3]; /* of ImageNet's channels: blue, green, red */

/* Appends the network to g, reading value x; returns the value "block3_relu3". */
int vgg_build(struct graph *g, int x);

/* Every parameter of p from a Keras HDF5 file, as it is published. Kernels are (row, column, in,
 * out). All layouts are read:
 *     block1_conv1/block1_conv1_W_1:0, …_b_1:0 vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5
 *     block1_conv1/block1_conv1/kernel:0, …/bias:0        Keras 2, also below model_weights/
 *     layers/conv2d/vars/0, …/1, layers/conv2d_1/…        Keras 3, *.weights.h5
 * ERR_DATA, naming the layer, where one is missing, there twice, or of another shape. */
int vgg_load(const char *path, struct params *p, struct err *e);
