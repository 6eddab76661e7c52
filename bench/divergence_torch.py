"""Steps of plain SGD in PyTorch from given weights on given batches: the peer of bench/divergence.ts.

Usage: divergence_torch.py STEPS.safetensors '{"model": ..., "size": ..., "learningRate": ..., "decays": [one per parameter]}'
Prints JSON: {"torch": "...", "steps": [{"loss": ..., "gradientNorm": ...}]}, the gradient without weight decay, null for what is not finite.
"""
import json
import os
import struct
import sys

import numpy
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare"))
from pytorch_step import build  # noqa: E402


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = torch.from_numpy(numpy.frombuffer(data[start:end], "<f4").reshape(entry["shape"]).copy())
    return tensors


def finite(value):
    return float(f"{value:.4g}") if value < 1e6 else None


def main(path, question):
    tensors = read(path)
    inputs, labels = tensors.pop("inputs"), tensors.pop("labels").long()
    network = build(question["model"], question["size"])
    parameters = list(network.parameters())
    groups = []
    for parameter, weights, decay in zip(parameters, tensors.values(), question["decays"], strict=True):
        parameter.data.copy_(weights)
        groups.append({"params": [parameter], "weight_decay": decay})
    optimizer = torch.optim.SGD(groups, lr=question["learningRate"])
    steps = []
    for images, classes in zip(inputs, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), classes)
        loss.backward()
        norm = sum(float(p.grad.double().square().sum()) for p in parameters) ** 0.5
        optimizer.step()
        steps.append({"loss": finite(loss.item()), "gradientNorm": finite(norm)})
    print(json.dumps({"torch": torch.__version__, "steps": steps}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
