#!/usr/bin/env python3
"""Makes the golden files that the C++ transformer is compared with.

Plain PyTorch computes what a small GPT-2 says of a fixed batch: logits, loss, every gradient, and the parameters after
ten steps of Adam and of AdamW. Everything is computed in float32 and again in float64 from the same float32 weights and
data; how far the two are apart says what a float32 implementation can be held to, and is written to the metadata.

    /usr/bin/python3 make_golden.py [folder]
"""

import json
import math
import struct
import sys
from pathlib import Path

import torch
from torch.nn import functional

WIDTH, LAYERS, HEADS = 16, 2, 2
VOCABULARY, POSITIONS = 7, 16
BATCH, POINTS, DIMENSION, PREFIX = 4, 6, 5, 2
TOKENS = 9  # length of the sequences of the token model
STEPS, LEARNING_RATE, WEIGHT_DECAY = 10, 1e-3, 0.1
EPSILON = 1e-5  # of layer normalisation


def backbone_shapes():
    """Names and shapes as GPT-2 has them: a Conv1D weight is [inputs, outputs]."""
    shapes = {"transformer.wte.weight": (VOCABULARY, WIDTH), "transformer.wpe.weight": (POSITIONS, WIDTH)}
    for layer in range(LAYERS):
        block = f"transformer.h.{layer}."
        shapes[block + "ln_1.weight"] = (WIDTH,)
        shapes[block + "ln_1.bias"] = (WIDTH,)
        shapes[block + "attn.c_attn.weight"] = (WIDTH, 3 * WIDTH)
        shapes[block + "attn.c_attn.bias"] = (3 * WIDTH,)
        shapes[block + "attn.c_proj.weight"] = (WIDTH, WIDTH)
        shapes[block + "attn.c_proj.bias"] = (WIDTH,)
        shapes[block + "ln_2.weight"] = (WIDTH,)
        shapes[block + "ln_2.bias"] = (WIDTH,)
        shapes[block + "mlp.c_fc.weight"] = (WIDTH, 4 * WIDTH)
        shapes[block + "mlp.c_fc.bias"] = (4 * WIDTH,)
        shapes[block + "mlp.c_proj.weight"] = (4 * WIDTH, WIDTH)
        shapes[block + "mlp.c_proj.bias"] = (WIDTH,)
    shapes["transformer.ln_f.weight"] = (WIDTH,)
    shapes["transformer.ln_f.bias"] = (WIDTH,)
    return shapes


def random_weights(shapes, generator):
    """Scales far above a usual initialisation, so that no gradient is lost in rounding and no two look alike."""
    weights = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if ".ln_" in name and name.endswith(".weight"):
            values = 1.0 + 0.3 * values
        elif name.endswith(".bias"):
            values = 0.3 * values
        elif ".wte." in name or ".wpe." in name:
            values = 0.5 * values
        else:
            fan_in = shape[-1] if name.startswith("read_") else shape[0]
            values = 1.2 * values / math.sqrt(fan_in)
        weights[name] = values.to(torch.float32)
    return weights


def layer_norm(hidden, weights, name):
    return functional.layer_norm(hidden, (WIDTH,), weights[name + ".weight"], weights[name + ".bias"], EPSILON)


def conv1d(hidden, weights, name):
    return hidden @ weights[name + ".weight"] + weights[name + ".bias"]


def attention(hidden, weights, name):
    batch, length, _ = hidden.shape
    heads = lambda tensor: tensor.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
    query, key, value = map(heads, conv1d(hidden, weights, name + ".c_attn").split(WIDTH, dim=-1))
    scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, -math.inf).softmax(dim=-1) @ value
    return conv1d(mixed.transpose(1, 2).reshape(batch, length, WIDTH), weights, name + ".c_proj")


def backbone(embedded, weights):
    """[batch, length, width] -> [batch, length, width]: positions, pre-norm blocks, final norm."""
    hidden = embedded + weights["transformer.wpe.weight"][: embedded.shape[1]]
    for layer in range(LAYERS):
        block = f"transformer.h.{layer}."
        hidden = hidden + attention(layer_norm(hidden, weights, block + "ln_1"), weights, block + "attn")
        inner = conv1d(layer_norm(hidden, weights, block + "ln_2"), weights, block + "mlp.c_fc")
        hidden = hidden + conv1d(functional.gelu(inner, approximate="tanh"), weights, block + "mlp.c_proj")
    return layer_norm(hidden, weights, "transformer.ln_f")


def read_out(hidden, weights):
    return functional.linear(hidden, weights["read_out.weight"], weights["read_out.bias"])


def regression(weights, data):
    """Prefix tokens, then x_1, y_1, x_2, y_2, ...; the prediction of y_k is read at x_k."""
    labels = functional.pad(data["labels"].unsqueeze(-1), (0, DIMENSION - 1))  # y becomes (y, 0, ..., 0)
    interleaved = torch.stack([data["inputs"], labels], dim=2).reshape(BATCH, 2 * POINTS, DIMENSION)
    read_in = functional.linear(interleaved, weights["read_in.weight"], weights["read_in.bias"])
    instructions = weights["transformer.wte.weight"][data["prefix"].long()]
    logits = read_out(backbone(torch.cat([instructions, read_in], dim=1), weights), weights).squeeze(-1)
    predictions = logits[:, PREFIX::2]
    loss = (predictions - data["labels"]).square().mean()
    return loss, {"logits": logits, "predictions": predictions}


def language(weights, data):
    """Cross-entropy in nats, averaged over the positions whose mask is 1."""
    logits = read_out(backbone(weights["transformer.wte.weight"][data["tokens"].long()], weights), weights)
    losses = functional.cross_entropy(logits.reshape(-1, VOCABULARY), data["targets"].long().reshape(-1), reduction="none")
    mask = data["mask"].reshape(-1)
    return (losses * mask).sum() / mask.sum(), {"logits": logits}


def results(model, weights, data, dtype, optimisers):
    """Everything that PyTorch says of the model, computed in `dtype`."""
    data = {name: values.to(dtype) for name, values in data.items()}
    parameters = lambda: {name: values.to(dtype).clone().requires_grad_() for name, values in weights.items()}
    leaves = parameters()
    loss, outputs = model(leaves, data)
    loss.backward()
    found = {**outputs, "loss": loss.reshape(1)}
    found.update({"gradients/" + name: leaf.grad for name, leaf in leaves.items()})
    for prefix, make in optimisers.items():
        leaves = parameters()
        optimiser = make(list(leaves.values()))
        losses = []  # before each step
        for _ in range(STEPS):
            optimiser.zero_grad()
            loss, _ = model(leaves, data)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        found[prefix + "_losses"] = torch.stack(losses)
        found.update({f"{prefix}/{name}": leaf for name, leaf in leaves.items()})
    return {name: values.detach() for name, values in found.items()}


def differences(single, double):
    """The largest difference in each tensor, relative to the tensor's largest entry.

    The bias of the keys shifts all scores of a query alike, which softmax ignores: its gradient is zero, what float32
    finds is rounding, and Adam takes steps of its full length along that. So the keys' third of `c_attn.bias` has an
    absolute figure of its own, and is no part of the relative one.
    """
    found = {}
    for name in single:
        apart, scale = (single[name].double() - double[name]).abs(), double[name].abs()
        if name.endswith("c_attn.bias"):
            found[name + " (keys, absolute)"] = apart[WIDTH : 2 * WIDTH].max().item()
            others = torch.arange(3 * WIDTH).div(WIDTH, rounding_mode="floor") != 1
            apart, scale = apart[others], scale[others]
        found[name] = (apart.max() / scale.max()).item()
    return found


def write_safetensors(path, tensors, metadata):
    """Length of the header, header in JSON, then the tensors one after the other, little-endian."""
    header, body = {"__metadata__": metadata}, bytearray()
    # The widest type first, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        kind, code = {torch.float32: ("F32", "f"), torch.float64: ("F64", "d")}[tensor.dtype]
        start = len(body)
        body += struct.pack(f"<{tensor.numel()}{code}", *tensor.flatten().tolist())
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def make(path, description, model, weights, data, optimisers, config):
    single = results(model, weights, data, torch.float32, optimisers)
    double = results(model, weights, data, torch.float64, optimisers)
    apart = differences(single, double)
    print(f"{path.name}: largest difference of float32 from float64, relative to the tensor's largest entry")
    for name, value in sorted(apart.items(), key=lambda item: -item[1]):
        print(f"  {value:9.2e}  {name}")

    tensors = {"weights/" + name: values for name, values in weights.items()}
    tensors.update(data)
    tensors.update(single)
    exact = ("logits", "predictions", "loss", "gradients/", "adam_losses")
    tensors.update({"float64/" + name: values for name, values in double.items() if name.startswith(exact)})
    metadata = {
        "description": description,
        "pytorch": torch.__version__,
        "config": json.dumps(config),
        "float32_against_float64": json.dumps({name: float(f"{value:.3g}") for name, value in apart.items()}),
    }
    write_safetensors(path, tensors, metadata)
    print(f"  {path.stat().st_size} bytes, {len(tensors)} tensors")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    generator = torch.Generator().manual_seed(2024)
    config = {
        "width": WIDTH,
        "layers": LAYERS,
        "heads": HEADS,
        "positions": POSITIONS,
        "vocabulary": VOCABULARY,
        "batch": BATCH,
        "layer_norm_epsilon": EPSILON,
        "activation": "gelu_new",
    }

    normal = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(torch.float32)
    uniform_tokens = lambda *shape: torch.randint(VOCABULARY, shape, generator=generator).to(torch.float32)

    shapes = backbone_shapes()
    shapes.update({"read_in.weight": (WIDTH, DIMENSION), "read_in.bias": (WIDTH,)})
    shapes.update({"read_out.weight": (1, WIDTH), "read_out.bias": (1,)})
    settings = {"lr": LEARNING_RATE, "betas": (0.9, 0.999), "eps": 1e-8, "foreach": False}
    optimisers = {
        "adam": lambda parameters: torch.optim.Adam(parameters, weight_decay=0.0, **settings),
        "adamw": lambda parameters: torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY, **settings),
    }
    make(
        folder / "gpt2.safetensors",
        "in-context regression: prefix tokens, then interleaved x and y; mean squared error at the x positions",
        regression,
        random_weights(shapes, generator),
        {"inputs": normal(BATCH, POINTS, DIMENSION), "labels": normal(BATCH, POINTS), "prefix": uniform_tokens(BATCH, PREFIX)},
        optimisers,
        {
            **config,
            "dimension": DIMENSION,
            "points": POINTS,
            "prefix": PREFIX,
            "steps": STEPS,
            "learning_rate": LEARNING_RATE,
            "betas": [0.9, 0.999],
            "epsilon": 1e-8,
            "weight_decay_of_adamw": WEIGHT_DECAY,
        },
    )

    shapes = backbone_shapes()
    shapes.update({"read_out.weight": (VOCABULARY, WIDTH), "read_out.bias": (VOCABULARY,)})
    mask = (torch.rand((BATCH, TOKENS), generator=generator) < 0.7).to(torch.float32)
    make(
        folder / "gpt2_tokens.safetensors",
        "a language model: cross-entropy in nats, averaged over the positions whose mask is 1",
        language,
        random_weights(shapes, generator),
        {"tokens": uniform_tokens(BATCH, TOKENS), "targets": uniform_tokens(BATCH, TOKENS), "mask": mask},
        {},
        {**config, "length": TOKENS},
    )


if __name__ == "__main__":
    main()
