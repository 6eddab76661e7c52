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


def orthogonalized(G, steps=3, eps=1e-7):
    """zeropower_via_newtonschulz5 of airbench94_muon.py, but for bfloat16: in float32"""
    a, b, c = (3.4445, -4.7750, 2.0315)
    X = G / (G.norm() + eps)
    if G.size(0) > G.size(1):
        X = X.T
    for _ in range(steps):
        A = X @ X.T
        B = b * A + c * A @ A
        X = a * X + B @ X
    if G.size(0) > G.size(1):
        X = X.T
    return X


def muon_step(p, g, buf, lr, momentum):
    """One step of the class Muon of airbench94_muon.py, with Nesterov momentum"""
    buf.mul_(momentum).add_(g)
    g = g.add(buf, alpha=momentum)
    p.mul_(len(p) ** 0.5 / p.norm())
    p.add_(orthogonalized(g.reshape(len(g), -1)).view(g.shape), alpha=-lr)


def muon():
    """
    Filters of more columns than rows and the other way round, by Muon; a shift and a dense weight by SGD, as in airbench94_muon.py: gradients
    there are of the summed loss, here of the mean over batches of 4.
    """
    batch, bias_lr, head_lr, wd = 4, 0.053, 0.67, 0.02
    wide = series(4 * 2 * 3 * 3, 0.5).reshape(4, 2, 3, 3)
    tall = series(6 * 1 * 2 * 2, 1.5).reshape(6, 1, 2, 2)
    shift = torch.nn.Parameter(series(6, 2.5))
    head = torch.nn.Parameter(series(12, 3.5).reshape(2, 6))
    buffers = [torch.zeros_like(wide), torch.zeros_like(tall)]
    groups = [
        dict(params=[shift], lr=bias_lr, weight_decay=wd / bias_lr),
        dict(params=[head], lr=head_lr, weight_decay=wd / head_lr),
    ]
    optimizer = torch.optim.SGD(groups, lr=1, momentum=0.85, nesterov=True)
    steps = []
    for step in range(8):
        left = 1 - step / 8
        optimizer.param_groups[0]["lr"] = bias_lr * left
        optimizer.param_groups[1]["lr"] = head_lr * left
        shift.grad = 0.01 * batch * series(6, 6 + step)
        head.grad = 0.01 * batch * series(12, 7 + step).reshape(2, 6)
        muon_step(wide, batch * series(72, 4 + step).reshape(wide.shape), buffers[0], 0.24 * left, 0.6)
        muon_step(tall, batch * series(24, 5 + step).reshape(tall.shape), buffers[1], 0.24 * left, 0.6)
        optimizer.step()
        values = dict(wide=wide, tall=tall, shift=shift.detach(), head=head.detach())
        steps.append({name: value.flatten().tolist() for name, value in values.items()})
    rates = dict(filters=0.24, shift=bias_lr * batch, head=head_lr * batch)
    return dict(rates=rates, decay=wd, momentum=0.6, otherMomentum=0.85, steps=steps)


def main():
    torch.set_num_threads(1)
    record = dict(pytorch=torch.__version__, command="python3 test/pytorch/optimizers.py", adamw=adamw(), muon=muon())
    path = pathlib.Path(__file__).with_name("optimizers.json")
    path.write_text(json.dumps(record) + "\n")


main()
