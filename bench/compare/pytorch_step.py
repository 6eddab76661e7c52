"""One training step of tensorsandbox's models in PyTorch: forward, loss, backward, SGD. A peer for bench/compare/steps.ts and, on a GPU, bench/gpu.sh.

Usage: pytorch_step.py MODEL FORMAT PRECISION THREADS BATCH SIZE WARMUP STEPS [DEVICE]
FORMAT is contiguous (NCHW) or channels_last, PRECISION f32 or bf16 (autocast). DEVICE is cpu or cuda. Prints JSON: {"ms": [...], "torch": "...", "blas": "..."}.
"""
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def pool():
    """3x3 max pooling, stride 2, whose last windows reach over the edge at the bottom and right: TensorFlow's SAME for even sizes."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand1x1, expand3x3):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


def conv(inputs, filters, kernel):
    return [nn.Conv2d(inputs, filters, kernel, padding=kernel // 2), nn.ReLU()]


def dense(inputs, features):
    return [nn.Linear(inputs, features), nn.ReLU()]


def lrn():
    return nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0)


def build(model, size):
    last = size // 4
    heads = lambda filters: [nn.Flatten(), *dense(filters * last * last, 384), *dense(384, 192), nn.Linear(192, 10)]
    layers = {
        "tuto": lambda: [*conv(3, 64, 5), pool(), lrn(), *conv(64, 64, 5), lrn(), pool(), *heads(64)],
        "alex2": lambda: [*conv(3, 64, 5), pool(), *conv(64, 64, 5), pool(), *heads(64)],
        "alex4": lambda: [*conv(3, 96, 5), pool(), *conv(96, 96, 3), pool(), *heads(96)],
        "squeeze1": lambda: [
            *conv(3, 64, 3), pool(), Fire(64, 32, 64, 64), Fire(128, 32, 64, 64), pool(),
            Fire(128, 32, 128, 128), Fire(256, 32, 128, 128), *conv(256, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        ],
        "nin2": lambda: [
            *conv(3, 192, 5), *conv(192, 160, 1), *conv(160, 96, 1), pool(), nn.Dropout(),
            *conv(96, 192, 5), *conv(192, 192, 1), *conv(192, 192, 1), pool(), nn.Dropout(),
            *conv(192, 192, 3), *conv(192, 192, 1), *conv(192, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        ],
        "air94": lambda: [airbench()],
    }
    return nn.Sequential(*layers[model]())


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def airbench():
    """The network of airbench94: its first convolution is frozen, its norms have no scale."""

    def norm(channels):
        layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
        layer.weight.requires_grad = False
        return [layer, nn.GELU()]

    def group(inputs, filters):
        conv3 = lambda channels: nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        return [conv3(inputs), nn.MaxPool2d(2), *norm(filters), conv3(filters), *norm(filters)]

    whitening = nn.Conv2d(3, 24, 2)
    whitening.weight.requires_grad = False
    groups = [*group(24, 64), *group(64, 256), *group(256, 256)]
    return nn.Sequential(
        whitening, nn.GELU(), *groups, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), Scale(1 / 9)
    )


def loaded_blas():
    """The BLAS that dense layers use: Debian's PyTorch takes whichever is installed, and the reference one is many times slower."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line}
    return ", ".join(sorted(os.path.basename(path) for path in paths))


def main(model, memory_format, precision, threads, batch, size, warmup, steps, device="cpu"):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
    network = build(model, size).to(device, memory_format=layout)
    images = torch.randn(batch, 3, size, size).to(device, memory_format=layout)
    labels = torch.randint(0, 10, (batch,)).to(device)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.01)
    times = []
    # A step of a GPU is only enqueued: ten at a time are waited for.
    together = 10 if device == "cuda" else 1
    for step in range(0, warmup + steps, together):
        start = time.perf_counter()
        for _ in range(together):
            optimizer.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        if step >= warmup:
            times.append(1e3 * (time.perf_counter() - start) / together)
    print(json.dumps({"ms": times, "torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "blas": loaded_blas()}))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:9]), *sys.argv[9:])
