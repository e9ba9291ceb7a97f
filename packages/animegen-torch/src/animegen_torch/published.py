"""Records of published files that more than one plugin loads. Light: no torch."""

from __future__ import annotations

from animegen import Weight

VGG19 = Weight(
    file="vgg19-dcbb9e9d.pth",
    urls=("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    size=574_673_361,
    purpose="VGG19 as torchvision publishes it, whose features are compared",
)
ALEX = Weight(
    file="alexnet-owt-7be5be79.pth",
    urls=("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    size=244_408_911,
    purpose="AlexNet, the backbone of lpips-alex: the usual one for evaluation",
)
