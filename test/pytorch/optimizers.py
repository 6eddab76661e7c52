"""
What PyTorch's optimizers do, for src/train/optimizers/*.test.ts: writes optimizers.json beside this file.

    python3 test/pytorch/optimizers.py

It needs PyTorch (1.12.1 wrote the record). Gradients and first values are made from sines, here and in the tests alike.
"""

import json
import math
import pathlib

import torch

STEPS = 20


def series(count, phase):
    """Numbers that repeat nothing and need no generator: sin(k * k + phase) for k = 1, 2 ..."""
    return torch.tensor([math.sin(k * k + phase) for k in range(1, count + 1)], dtype=torch.float64).float()


def adamw():
    """Two groups, of which the first decays, at a learning rate that falls."""
    weight = torch.nn.Parameter(series(12, 0.5).reshape(4, 3))
    bias = torch.nn.Parameter(series(4, 1.5))
    groups = [dict(params=[weight], weight_decay=0.05), dict(params=[bias], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=1, betas=(0.9, 0.99), eps=1e-8)
    steps = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / STEPS)
        weight.grad = series(12, 2 + step).reshape(4, 3)
        bias.grad = 0.001 * series(4, 3 + step)
        optimizer.step()
        steps.append(dict(weight=weight.detach().flatten().tolist(), bias=bias.detach().tolist()))
    return dict(betas=[0.9, 0.99], epsilon=1e-8, decay=0.05, learningRate=0.02, steps=steps)


def main():
    torch.set_num_threads(1)
    record = dict(pytorch=torch.__version__, command="python3 test/pytorch/optimizers.py", adamw=adamw())
    path = pathlib.Path(__file__).with_name("optimizers.json")
    path.write_text(json.dumps(record) + "\n")


main()
