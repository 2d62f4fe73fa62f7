/* VGG perceptual loss (paper section 5.2; Johnson, Alahi, Fei-Fei, ECCV 2016): both images, scaled
 * to 0..255, their grey value in all three channels, pass through VGG-16 with its ImageNet
 * weights, cut after the ReLU of the last convolution of block 3; the distance is the element-wise
 * mean squared error between the two feature maps. */
#include "base/mem.h"
#include "eval/feature_net.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "nn/vgg.h"

#include <stdio.h>
#include <string.h>

enum { SCALE_IMAGE, SCALE_REFERENCE };
static const char *const scalings[] = {"image", "reference", NULL};

struct vgg_conf {
    const char *weights, *layer;
    int scaling;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct vgg_conf, weights, "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
             "ImageNet weights, the HDF5 file of Keras as it is published; where it is absent, "
             "studies go on without this metric"),
    CFG_TEXT(struct vgg_conf, layer, "block3_relu3",
             "features after this ReLU: block1_relu1 to block3_relu3"),
    CFG_CHOICE(struct vgg_conf, scaling, "image", scalings,
               "what becomes 0..255: minimum..maximum of each image, or of the reference for both"),
    CFG_END};

static void close_vgg(void *state)
{
    features_free(state);
}

static void *open_vgg(const void *conf, int h, int w, struct err *e)
{
    const struct vgg_conf *c = conf;
    struct params *p = NULL;
    struct graph *g = graph_new();
    if (!g) {
        err_set(e, ERR_FAILED, "out of memory");
        return NULL;
    }
    vgg_build(g, graph_input(g, "input", 3));
    int tap = graph_find(g, c->layer);
    if (tap < 0 || strncmp(c->layer, "block", 5) != 0) {
        err_set(e, ERR_CONFIG, "there is no layer '%s' in this part of VGG-16", c->layer);
        err_hint(e, "layers are block1_relu1 to block3_relu3");
        goto fail;
    }
    graph_output(g, tap);
    if (graph_seal(g, e) || !(p = params_new(g, e))) goto fail;
    if (vgg_load(c->weights, p, e)) {
        if (e && e->code == ERR_NOINPUT)
            err_hint(e, "VGG-PL needs the weights of VGG-16 that Keras publishes, the file "
                        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5");
        goto fail;
    }
    return features_new(g, p, &c->layer, 1, h, w, e);
fail:
    params_free(p);
    graph_free(g);
    return NULL;
}

/* Grey of 0..255 in the channels blue, green and red, less their means, as Keras prepares images
 * for these weights. A constant image counts as black. */
static int scaled(const void *conf, const float *reference, const float *x, size_t n, float *input,
                  struct err *e)
{
    const struct vgg_conf *c = conf;
    const float *from = c->scaling == SCALE_REFERENCE ? reference : x;
    float low = from[0], high = from[0];
    for (size_t i = 0; i < n; i++) {
        low = from[i] < low ? from[i] : low;
        high = from[i] > high ? from[i] : high;
    }
    double width = (double)high - (double)low;
    if (x == reference && !(width > 0.0))
        return err_set(e, ERR_DATA, "the reference is constant: it has no scale");
    for (size_t i = 0; i < n; i++) {
        float v = width > 0.0 ? (float)(255.0 * ((double)x[i] - (double)low) / width) : 0.0f;
        for (int k = 0; k < 3; k++)
            input[3 * i + (size_t)k] = v - vgg_means[k];
    }
    return 0;
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    if (images_check(pair, e)) return -1;
    return features_distance(state, scaled, conf, pair, out, e);
}

static void variant(const void *conf, char *text, int size)
{
    const struct vgg_conf *c = conf;
    snprintf(text, (size_t)size,
             "mean squared error of the features of VGG-16 (ImageNet) after %s, %s scaled to "
             "0..255, weights %s",
             c->layer,
             c->scaling == SCALE_IMAGE ? "each image by itself"
                                       : "both images with the reference's extremes",
             c->weights);
}

const struct metric metric_vggpl = {
    .kind = {"vggpl", "VGG-16 perceptual loss, where its weights are", fields,
             sizeof(struct vgg_conf)},
    .label = "VGG-PL",
    .unit = "",
    .better = -1,
    .open = open_vgg,
    .close = close_vgg,
    .score = score,
    .variant = variant,
};
