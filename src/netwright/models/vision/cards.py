"""The cards of the vision networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping
from dataclasses import replace

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_MOBILENET_V3 = ModelCard(
    target="netwright.models.vision.mobilenet_v3:mobilenet_v3_large",
    family="vision",
    kin="mobilenet_v3",
    tasks=("image-classification",),
    summary="inverted residuals with squeeze-and-excitation and hardswish, as a search on a phone chose them",
    parameters=5_483_032,
    input=(3, 224, 224),
    gmacs=0.217,
    paper="Howard et al., 2019, Searching for MobileNetV3",
    idea="A search that times every candidate on a phone picks the widths, the kernels and the places of "
    "squeeze-and-excitation in a stack of inverted residuals. Piecewise linear hardswish and hardsigmoid, and a last "
    "stage that averages the map before it widens it, keep the rest cheap.",
    when="The best accuracy for a given time on a phone or a small CPU; `small` where every millisecond counts.",
    layouts="netwright.models.weights.mobilenet:LAYOUTS",
    aliases=("mobilenet_v3", "mobilenetv3_large_100"),
)

_VIT = ModelCard(
    target="netwright.models.vision.vit:ViT",
    family="vision",
    kin="vit",
    tasks=("image-classification",),
    summary="a Transformer encoder over square patches, of any sizes; patch 4 suits small images",
    parameters=86_567_656,
    input=(3, 224, 224),
    paper="Dosovitskiy et al., 2021, An image is worth 16x16 words: Transformers for image recognition at scale",
    idea="An image is cut into patches, each a token of a sequence that a Transformer reads; every patch can look at "
    "every other in every layer. Nothing but the position table tells it what lies beside what.",
    when="Fine-tuning published weights at their image size, or very many images; on few images from scratch a "
    "convolution network or a Swin learns more.",
    layouts="netwright.models.weights.vit:LAYOUTS",
)
_SWIN = ModelCard(
    target="netwright.models.vision.swin:Swin",
    family="vision",
    kin="swin",
    tasks=("image-classification",),
    summary="attention within shifted windows, in stages that halve the map; free window, depths and widths",
    parameters=28_288_354,
    input=(3, 224, 224),
    paper="Liu et al., 2021, Swin Transformer: hierarchical vision transformer using shifted windows",
    idea="Each place looks only at the places of its window, so the cost grows with the image's area and not with its "
    "square. Windows shift from layer to layer, which joins them, and maps halve from stage to stage as in a CNN.",
    when="Where a ViT would be too costly: large images, images of several sizes, or a backbone whose maps are wanted "
    "at several scales.",
    layouts="netwright.models.weights.swin:LAYOUTS",
)

_RESNET = ModelCard(
    target="netwright.models.vision.resnet:ResNet",
    family="vision",
    kin="resnet",
    tasks=("image-classification",),
    summary="residual blocks of any kind, depth and width; a small stem for images of some 32 pixels",
    parameters=11_689_512,
    input=(3, 224, 224),
    gmacs=1.814,
    paper="He et al., 2015, Deep residual learning for image recognition",
    idea="Each block learns a change that is added to its input, so the gradient has a short way to every layer. Depth "
    "then helps, where plain networks got worse with it.",
    when="The first network to try on images: 18 to 50 layers by data and time, stem: small under 64 pixels. 101 and "
    "152 where a little accuracy is worth much time.",
    layouts="netwright.models.weights.resnet:LAYOUTS",
)
_DENSENET = ModelCard(
    target="netwright.models.vision.densenet:DenseNet",
    family="vision",
    kin="densenet",
    tasks=("image-classification",),
    summary="densely connected blocks of any depth and growth rate; a small stem for images of some 32 pixels",
    parameters=7_978_856,
    input=(3, 224, 224),
    gmacs=2.834,
    paper="Huang et al., 2016, Densely connected convolutional networks",
    idea="Every layer reads the maps of all layers before it in its block, and adds a few of its own. What was found "
    "once need not be learned again, so fewer parameters do.",
    when="Few data or small files: about as accurate as a ResNet of twice its parameters, and slower to train. 121 "
    "first, 161 for accuracy.",
    layouts="netwright.models.weights.densenet:LAYOUTS",
)

CARDS: Mapping[str, ModelCard] = {
    "densenet": _DENSENET,
    "densenet121": replace(
        _DENSENET,
        target="netwright.models.vision.densenet:densenet121",
        summary="121 layers, growth rate 32",
        parameters=7_978_856,
        gmacs=2.834,
    ),
    "densenet161": replace(
        _DENSENET,
        target="netwright.models.vision.densenet:densenet161",
        summary="161 layers, growth rate 48",
        parameters=28_681_000,
        gmacs=7.728,
    ),
    "densenet169": replace(
        _DENSENET,
        target="netwright.models.vision.densenet:densenet169",
        summary="169 layers, growth rate 32",
        parameters=14_149_480,
        gmacs=3.36,
    ),
    "densenet201": replace(
        _DENSENET,
        target="netwright.models.vision.densenet:densenet201",
        summary="201 layers, growth rate 32",
        parameters=20_013_928,
        gmacs=4.291,
    ),
    "resnet": _RESNET,
    "resnet18": replace(
        _RESNET,
        target="netwright.models.vision.resnet:resnet18",
        summary="18 layers, in basic blocks",
        parameters=11_689_512,
        gmacs=1.814,
    ),
    "resnet34": replace(
        _RESNET,
        target="netwright.models.vision.resnet:resnet34",
        summary="34 layers, in basic blocks",
        parameters=21_797_672,
        gmacs=3.664,
    ),
    "resnet50": replace(
        _RESNET,
        target="netwright.models.vision.resnet:resnet50",
        summary="50 layers, in bottlenecks",
        parameters=25_557_032,
        gmacs=4.089,
    ),
    "resnet101": replace(
        _RESNET,
        target="netwright.models.vision.resnet:resnet101",
        summary="101 layers, in bottlenecks",
        parameters=44_549_160,
        gmacs=7.801,
    ),
    "resnet152": replace(
        _RESNET,
        target="netwright.models.vision.resnet:resnet152",
        summary="152 layers, in bottlenecks",
        parameters=60_192_808,
        gmacs=11.514,
    ),
    "lenet5": ModelCard(
        target="netwright.models.vision.lenet:LeNet5",
        family="vision",
        kin="lenet5",
        tasks=("image-classification",),
        summary="two convolutions and three dense layers; classic (tanh, average) or modern (ReLU, max)",
        parameters=61_706,
        input=(1, 28, 28),
        paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
        idea="Small filters shared over the image find local patterns, pooling makes them bear small shifts. Dense "
        "layers then read the few remaining maps.",
        when="Small images (28 to 64 pixels) of one centred object, on any machine; a ResNet for more accuracy.",
        aliases=("lenet",),
    ),
    "mlp": ModelCard(
        target="netwright.models.vision.mlp:MLP",
        family="vision",
        kin="mlp",
        tasks=("image-classification", "tabular-classification", "regression"),
        summary="linear layers of any depth and width, with norm, activation and dropout",
        parameters=235_146,
        input=(784,),
        paper="Rumelhart, Hinton and Williams, 1986, Learning representations by back-propagating errors",
        idea="Each layer is a linear map followed by a fixed nonlinear function, and a stack of them approximates any "
        "function. It knows nothing of the input's structure.",
        when="Tables and other inputs without an order or neighbourhood, and as the baseline that others must beat.",
    ),
    "mobilenet_v1": ModelCard(
        target="netwright.models.vision.mobilenet_v1:MobileNetV1",
        family="vision",
        kin="mobilenet_v1",
        tasks=("image-classification",),
        summary="a plain stack of depthwise-separable convolutions with a width multiplier",
        parameters=4_231_976,
        input=(3, 224, 224),
        gmacs=0.569,
        paper="Howard et al., 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
        idea="A convolution is split in two: one filter a channel looks around, then a 1x1 convolution mixes the "
        "channels, at about a ninth of the work. One width multiplier then trades accuracy for size.",
        when="Small machines where a plain network without joins is wanted; MobileNet v2 or v3 for more accuracy.",
        layouts="netwright.models.weights.mobilenet:LAYOUTS",
        aliases=("mobilenet", "mobilenetv1_100"),
    ),
    "mobilenet_v2": ModelCard(
        target="netwright.models.vision.mobilenet_v2:MobileNetV2",
        family="vision",
        kin="mobilenet_v2",
        tasks=("image-classification",),
        summary="inverted residuals: wide depthwise layers between narrow linear ones, with a width multiplier",
        parameters=3_504_872,
        input=(3, 224, 224),
        gmacs=0.301,
        paper="Sandler et al., 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        idea="The residual sum runs between narrow layers, and each block widens its input only for the cheap "
        "depthwise convolution. The narrow ends stay linear, since a ReLU there would destroy what they carry.",
        when="Phones and other small machines, and as the trunk of detectors; MobileNet v3 where its parts run fast.",
        layouts="netwright.models.weights.mobilenet:LAYOUTS",
        aliases=("mobilenetv2_100",),
    ),
    "mobilenet_v3_large": _MOBILENET_V3,
    "mobilenet_v3_small": replace(
        _MOBILENET_V3,
        target="netwright.models.vision.mobilenet_v3:mobilenet_v3_small",
        parameters=2_542_856,
        gmacs=0.057,
        aliases=("mobilenetv3_small_100",),
    ),
    "vit": _VIT,
    "vit_ti_8": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_ti_8",
        summary="ViT-Ti/8: 12 layers of width 192, 3 heads, patches of 8 pixels",
        parameters=5_719_720,
        aliases=("vit_tiny_patch8_224", "vit_tiny_8"),
    ),
    "vit_ti_16": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_ti_16",
        summary="ViT-Ti/16: 12 layers of width 192, 3 heads, patches of 16 pixels",
        parameters=5_717_416,
        aliases=("vit_tiny_patch16_224", "vit_tiny_16"),
    ),
    "vit_ti_32": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_ti_32",
        summary="ViT-Ti/32: 12 layers of width 192, 3 heads, patches of 32 pixels",
        parameters=6_131_560,
        aliases=("vit_tiny_patch32_224", "vit_tiny_32"),
    ),
    "vit_s_8": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_s_8",
        summary="ViT-S/8: 12 layers of width 384, 6 heads, patches of 8 pixels",
        parameters=22_055_272,
        aliases=("vit_small_patch8_224", "vit_small_8"),
    ),
    "vit_s_16": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_s_16",
        summary="ViT-S/16: 12 layers of width 384, 6 heads, patches of 16 pixels",
        parameters=22_050_664,
        aliases=("vit_small_patch16_224", "vit_small_16"),
    ),
    "vit_s_32": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_s_32",
        summary="ViT-S/32: 12 layers of width 384, 6 heads, patches of 32 pixels",
        parameters=22_878_952,
        aliases=("vit_small_patch32_224", "vit_small_32"),
    ),
    "vit_b_8": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_b_8",
        summary="ViT-B/8: 12 layers of width 768, 12 heads, patches of 8 pixels",
        parameters=86_576_872,
        aliases=("vit_base_patch8_224", "vit_base_8"),
    ),
    "vit_b_16": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_b_16",
        summary="ViT-B/16: 12 layers of width 768, 12 heads, patches of 16 pixels",
        parameters=86_567_656,
        gmacs=17.564,
        aliases=("vit_base_patch16_224", "vit_base_16"),
    ),
    "vit_b_32": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_b_32",
        summary="ViT-B/32: 12 layers of width 768, 12 heads, patches of 32 pixels",
        parameters=88_224_232,
        gmacs=4.409,
        aliases=("vit_base_patch32_224", "vit_base_32"),
    ),
    "vit_l_8": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_l_8",
        summary="ViT-L/8: 24 layers of width 1,024, 16 heads, patches of 8 pixels",
        parameters=304_338_920,
        aliases=("vit_large_patch8_224", "vit_large_8"),
    ),
    "vit_l_16": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_l_16",
        summary="ViT-L/16: 24 layers of width 1,024, 16 heads, patches of 16 pixels",
        parameters=304_326_632,
        gmacs=61.555,
        aliases=("vit_large_patch16_224", "vit_large_16"),
    ),
    "vit_l_32": replace(
        _VIT,
        target="netwright.models.vision.vit:vit_l_32",
        summary="ViT-L/32: 24 layers of width 1,024, 16 heads, patches of 32 pixels",
        parameters=306_535_400,
        gmacs=15.378,
        aliases=("vit_large_patch32_224", "vit_large_32"),
    ),
    "swin": _SWIN,
    "swin_t": replace(
        _SWIN,
        target="netwright.models.vision.swin:swin_t",
        summary="Swin-T: stages of 2, 2, 6 and 2 blocks, width from 96, windows of 7x7",
        parameters=28_288_354,
        gmacs=4.491,
        aliases=("swin_tiny", "swin_tiny_patch4_window7_224"),
    ),
    "swin_s": replace(
        _SWIN,
        target="netwright.models.vision.swin:swin_s",
        summary="Swin-S: stages of 2, 2, 18 and 2 blocks, width from 96, windows of 7x7",
        parameters=49_606_258,
        gmacs=8.741,
        aliases=("swin_small", "swin_small_patch4_window7_224"),
    ),
    "swin_b": replace(
        _SWIN,
        target="netwright.models.vision.swin:swin_b",
        summary="Swin-B: stages of 2, 2, 18 and 2 blocks, width from 128, windows of 7x7",
        parameters=87_768_224,
        gmacs=15.431,
        aliases=("swin_base", "swin_base_patch4_window7_224"),
    ),
}
