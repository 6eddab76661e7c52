"""Latency of tensorsandbox's models in PyTorch, for inference-latency.ts: answers each line of JSON on stdin with one on stdout.

The networks are those of `ablate info`, with random weights, in evaluation mode; cropping and standardization are part of a run, as they
are of the frozen files.

    torch_latency.py <model> <threads> <eager|optimized>

`optimized` traces the network, freezes it and lets PyTorch prepare it for inference: its convolutions then go to oneDNN, which eager PyTorch
1.13 does not use for batches of one image.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Sequential):
    """Convolution with SAME padding, then a ReLU."""

    def __init__(self, inputs, filters, kernel):
        super().__init__(nn.Conv2d(inputs, filters, kernel, padding=kernel // 2), nn.ReLU(inplace=True))


class Pool(nn.Module):
    """3x3 windows every second pixel; even sizes are padded at the bottom and right, as TensorFlow's SAME does."""

    def forward(self, x):
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2)


def lrn():
    # PyTorch divides alpha by the window, tensorsandbox does not.
    return nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0)


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze = Conv(inputs, squeeze, 1)
        self.expand1x1 = Conv(squeeze, expand, 1)
        self.expand3x3 = Conv(squeeze, expand, 3)

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1)


def dense_head(inputs):
    hidden = [nn.Linear(inputs, 384), nn.ReLU(inplace=True), nn.Linear(384, 192), nn.ReLU(inplace=True)]
    return [nn.Flatten(), *hidden, nn.Linear(192, 10)]


def average_head():
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def build(model):
    if model == "tuto":
        return nn.Sequential(Conv(3, 64, 5), Pool(), lrn(), Conv(64, 64, 5), lrn(), Pool(), *dense_head(64 * 6 * 6))
    if model == "alex4":
        return nn.Sequential(Conv(3, 96, 5), Pool(), Conv(96, 96, 3), Pool(), *dense_head(96 * 6 * 6))
    if model == "nin2":
        return nn.Sequential(
            *[Conv(3, 192, 5), Conv(192, 160, 1), Conv(160, 96, 1), Pool()],
            *[Conv(96, 192, 5), Conv(192, 192, 1), Conv(192, 192, 1), Pool()],
            *[Conv(192, 192, 3), Conv(192, 192, 1), Conv(192, 10, 1)],
            *average_head(),
        )
    if model == "squeeze1":
        return nn.Sequential(
            *[Conv(3, 64, 3), Pool(), Fire(64, 32, 64), Fire(128, 32, 64), Pool()],
            *[Fire(128, 32, 128), Fire(256, 32, 128), Conv(256, 10, 1)],
            *average_head(),
        )
    raise SystemExit(f"there is no model {model}")


def run(network, images):
    """uint8 [N, 32, 32, 3] to probabilities [N, 10]."""
    crop = images[:, 4:28, 4:28, :].permute(0, 3, 1, 2).float()
    mean = crop.mean((1, 2, 3), keepdim=True)
    deviation = crop.var((1, 2, 3), unbiased=False, keepdim=True).sqrt()
    return network((crop - mean) / deviation.clamp(min=(3 * 24 * 24) ** -0.5)).softmax(1)


def repeat(network, images, milliseconds, minimum):
    times = []
    begin = time.perf_counter()
    while len(times) < minimum or 1000 * (time.perf_counter() - begin) < milliseconds:
        start = time.perf_counter()
        run(network, images)
        times.append(1000 * (time.perf_counter() - start))
    return times


def main():
    model, threads, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    network = build(model).eval()
    with torch.no_grad():
        if mode == "optimized":
            traced = torch.jit.trace(network, torch.randn(1, 3, 24, 24))
            network = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        for line in sys.stdin:
            request = json.loads(line)
            images = torch.randint(0, 256, (request["batchSize"], 32, 32, 3), dtype=torch.uint8)
            repeat(network, images, 200, 10)
            times = repeat(network, images, request["milliseconds"], request["minimumRuns"])
            peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(json.dumps({"timesMs": times, "peakMemoryBytes": peak}), flush=True)


main()
