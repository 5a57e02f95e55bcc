#!/usr/bin/env python3
"""The training step of train_step.cpp in PyTorch: the same model, the same sizes, the same batch of 64.

A step samples the prompts, runs forward and backward, clips by global norm 1 and applies Adam. PyTorch's products on a
CPU depend much on how they are asked for, so the step is written in several ways, and the fastest one is timed:

  linear:     `addmm` goes to the BLAS, `convolution` (1x1, channels last) to oneDNN
  attention:  `bmm`, or `convolution` with one group for each head of each sequence
  bf16:       `autocast`, or `pure`: weights, activations and gradients in bf16, with master weights in fp32; products
              of either kind go to oneDNN, so the linear layers are written by `addmm` only

Parameters and gradients are views of two flat buffers, so that clipping and Adam are a few operations whatever the
number of layers. Prints one JSON object.
"""

import argparse
import ctypes
import glob
import itertools
import json
import math
import os
import sys
import time

BATCH = 64
SIZES = {  # as in train_step.cpp
    "micro": dict(dimension=20, points=20, layers=2, heads=2, width=32),
    "tiny": dict(dimension=20, points=41, layers=3, heads=2, width=64),
    "small": dict(dimension=20, points=41, layers=6, heads=4, width=128),
    "standard": dict(dimension=20, points=41, layers=12, heads=8, width=256),
}


def parameter_count(dimension, points, layers, heads, width):
    """The parameters of Transformer<float, Gpt2>: positions, read-in, blocks, final norm, read-out."""
    block = 12 * width * width + 13 * width
    return (2 * points - 1) * width + (dimension + 1) * width + layers * block + 2 * width + width + 1


def formulations(precision):
    """Names such as 'addmm+bmm' or 'autocast+addmm+bmm'."""
    ways = [("addmm", "convolution"), ("bmm", "convolution")]
    if precision == "bf16":
        ways = [("autocast", "pure"), ("addmm",), ("bmm", "convolution")]
    return ["+".join(parts) for parts in itertools.product(*ways)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="micro")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="steps to time; 0, the default, means --seconds' worth")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to time when --steps is 0")
    parser.add_argument("--formulation", default="auto",
                        help="auto tries all: " + ", ".join(formulations("fp32") + formulations("bf16")))
    chosen = parser.parse_args()
    if chosen.threads < 1:
        parser.error(f"--threads is {chosen.threads}, expected at least 1")
    if chosen.formulation not in ["auto", *formulations(chosen.precision)]:
        parser.error(f"--formulation is {chosen.formulation}, expected auto or one of "
                     + ", ".join(formulations(chosen.precision)))
    return chosen


def prepare_libraries(threads):
    """What has to be settled before PyTorch is loaded."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        flags = []
    # OpenBLAS runs its kernels for the oldest processors on one that is newer than itself, several times slower; and some
    # machines come with variables that ask for older kernels, which would not be PyTorch's best.
    os.environ.pop("OPENBLAS_L2_SIZE", None)
    for flag, core in (("avx512_bf16", "Cooperlake"), ("avx512bw", "SkylakeX"), ("avx2", "Haswell")):
        if flag in flags:
            os.environ["OPENBLAS_CORETYPE"] = core
            break
    # PyTorch's own kernels use AVX-512 only when asked to.
    if "avx512bw" in flags:
        os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512")
    # The OpenBLAS that shares its threads with PyTorch (Debian: libopenblas0-openmp), where it is installed. Loaded
    # first, it is the one that PyTorch finds.
    for name in ("libblas.so.3", "liblapack.so.3"):
        for path in glob.glob("/usr/lib/*/openblas-openmp/" + name):
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)


def blas_in_use():
    """The BLAS libraries that this process has mapped, and the kernels that OpenBLAS chose."""
    with open("/proc/self/maps") as file:
        paths = {line.split()[-1] for line in file if "r-xp" in line and "/" in line}
    found = sorted(path for path in paths if any(name in os.path.basename(path) for name in ("blas", "mkl_")))
    names = []
    for path in found:
        if os.path.basename(path).startswith("libopenblas"):
            library = ctypes.CDLL(path)
            library.openblas_get_config.restype = ctypes.c_char_p
            library.openblas_get_corename.restype = ctypes.c_char_p
            config = library.openblas_get_config().decode().split()
            parallel = {0: "serial", 1: "pthreads", 2: "OpenMP"}.get(library.openblas_get_parallel(), "unknown")
            return f"OpenBLAS {config[1]}, {parallel}, kernels for {library.openblas_get_corename().decode()}"
        names.append(os.path.basename(path))
    return ", ".join(names) or "built into PyTorch"


chosen = arguments()
prepare_libraries(chosen.threads)
try:
    import torch
except ImportError:
    sys.exit("PyTorch is not installed for this interpreter (Debian: python3-torch, for /usr/bin/python3)")
from torch.nn import functional  # noqa: E402


class Model:
    """GPT-2 on interleaved prompts: pre-norm, causal softmax attention, GELU by tanh, learned positions."""

    def __init__(self, size, dtype):
        self.__dict__.update(size)
        self.tokens = 2 * self.points - 1
        shapes = {"positions": (self.tokens, self.width), "read_in.weight": (self.width, self.dimension),
                  "read_in.bias": (self.width,), "norm.weight": (self.width,), "norm.bias": (self.width,),
                  "read_out.weight": (1, self.width), "read_out.bias": (1,)}
        for layer in range(self.layers):
            for name, inputs, outputs in (("joint", 1, 3), ("projection", 1, 1), ("expand", 1, 4), ("contract", 4, 1)):
                shapes[f"{layer}.{name}.weight"] = (outputs * self.width, inputs * self.width)
                shapes[f"{layer}.{name}.bias"] = (outputs * self.width,)
            for name in ("norm_1", "norm_2"):
                shapes[f"{layer}.{name}.weight"] = shapes[f"{layer}.{name}.bias"] = (self.width,)
        self.count = sum(math.prod(shape) for shape in shapes.values())
        assert self.count == parameter_count(**size), "not the parameters of the library's model"
        self.master = torch.nn.Parameter(torch.empty(self.count))
        self.master.grad = torch.zeros(self.count)
        same = dtype == torch.float32
        self.weights = self.master.detach() if same else torch.empty(self.count, dtype=dtype)
        self.gradients = self.master.grad if same else torch.zeros(self.count, dtype=dtype)
        self.parameters = {}
        offset = 0
        generator = torch.Generator().manual_seed(0)
        for name, shape in shapes.items():
            end = offset + math.prod(shape)
            initial = self.master.detach()[offset:end]
            if name.endswith("bias"):
                initial.zero_()
            elif "norm" in name:
                initial.fill_(1.0)
            else:
                initial.normal_(0.0, 1.0 / math.sqrt(self.dimension) if name == "read_in.weight" else 0.02,
                                generator=generator)
            leaf = self.weights[offset:end].view(shape).detach().requires_grad_()
            leaf.grad = self.gradients[offset:end].view(shape)
            self.parameters[name] = leaf
            offset = end
        self.weights.copy_(self.master.detach())
        self.mask = torch.full((self.tokens, self.tokens), -math.inf, dtype=dtype).triu(1)


def linear_by_addmm(x, weight, bias):
    return functional.linear(x, weight, bias)


def linear_by_convolution(x, weight, bias):
    """[sequences, tokens, inputs] seen as an image in channels-last order, with one row of pixels a sequence."""
    image = x.permute(0, 2, 1).unsqueeze(2)
    return functional.conv2d(image, weight[:, :, None, None], bias).squeeze(2).permute(0, 2, 1)


def attention_by_bmm(qkv, mask, heads):
    sequences, tokens, columns = qkv.shape
    size = columns // (3 * heads)
    query, key, value = (qkv.view(sequences, tokens, 3, heads, size).permute(2, 0, 3, 1, 4)
                         .reshape(3, sequences * heads, tokens, size).unbind(0))
    scores = torch.baddbmm(mask.expand(sequences * heads, tokens, tokens), query, key.transpose(1, 2),
                           alpha=1.0 / math.sqrt(size))
    mixed = torch.bmm(torch.softmax(scores, -1), value)
    return mixed.view(sequences, heads, tokens, size).transpose(1, 2).reshape(sequences, tokens, heads * size)


def attention_by_convolution(qkv, mask, heads):
    """A head of a sequence is a group of channels. The stride along the only row changes nothing, but has PyTorch
    choose oneDNN with one thread as well."""
    sequences, tokens, columns = qkv.shape
    size = columns // (3 * heads)
    groups = sequences * heads
    query, key, value = qkv.view(sequences, tokens, 3, heads, size).unbind(2)
    keys = key.permute(0, 2, 3, 1).reshape(1, groups * size, 1, tokens)
    queries = (query * (1.0 / math.sqrt(size))).transpose(1, 2).reshape(groups * tokens, size, 1, 1)
    scores = functional.conv2d(keys, queries, stride=(2, 1), groups=groups).view(groups, tokens, tokens)
    weights = torch.softmax(scores + mask, -1).view(groups * tokens, tokens, 1, 1)
    values = value.transpose(1, 2).reshape(1, groups * tokens, 1, size)
    mixed = functional.conv2d(values, weights, stride=(2, 1), groups=groups)
    return mixed.view(sequences, heads, tokens, size).transpose(1, 2).reshape(sequences, tokens, heads * size)


def forward(model, features, linear, attention):
    """Predictions at the tokens of the inputs, [sequences, points]."""
    parameters = model.parameters
    width = (model.width,)

    def affine(x, name, how=linear):
        return how(x, parameters[name + ".weight"], parameters[name + ".bias"])

    def norm(x, name):
        return functional.layer_norm(x, width, parameters[name + ".weight"], parameters[name + ".bias"], 1e-5)

    stream = affine(features, "read_in") + parameters["positions"]
    for layer in range(model.layers):
        qkv = affine(norm(stream, f"{layer}.norm_1"), f"{layer}.joint")
        stream = stream + affine(attention(qkv, model.mask, model.heads), f"{layer}.projection")
        hidden = functional.gelu(affine(norm(stream, f"{layer}.norm_2"), f"{layer}.expand"), approximate="tanh")
        stream = stream + affine(hidden, f"{layer}.contract")
    return affine(norm(stream, "norm"), "read_out", linear_by_addmm)[:, ::2, 0]


def sample(model):
    """Linear regression with noise 1: features [sequences, tokens, dimension] and labels [sequences, points]."""
    inputs = torch.randn(BATCH, model.points, model.dimension)
    labels = torch.baddbmm(torch.randn(BATCH, model.points, 1), inputs, torch.randn(BATCH, model.dimension, 1))[:, :, 0]
    features = torch.zeros(BATCH, model.tokens, model.dimension)
    features[:, 0::2] = inputs
    features[:, 1::2, 0] = labels[:, :-1]
    return features, labels


class Step:
    """One way to write the training step."""

    def __init__(self, size, formulation):
        *precision, linear, attention = formulation.split("+")
        self.autocast = precision == ["autocast"]
        self.dtype = torch.bfloat16 if precision == ["pure"] else torch.float32
        self.linear = {"addmm": linear_by_addmm, "convolution": linear_by_convolution}[linear]
        self.attention = {"bmm": attention_by_bmm, "convolution": attention_by_convolution}[attention]
        self.model = Model(size, self.dtype)
        self.adam = torch.optim.Adam([self.model.master], lr=1e-4)

    def loss(self, features, labels):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            predictions = forward(self.model, features.to(self.dtype), self.linear, self.attention)
        return functional.mse_loss(predictions.float(), labels)

    def gradient(self, features, labels):
        model = self.model
        model.gradients.zero_()
        loss = self.loss(features, labels)
        loss.backward()
        if model.gradients is not model.master.grad:
            model.master.grad.copy_(model.gradients)
        return loss

    def __call__(self):
        model = self.model
        loss = self.gradient(*sample(model))
        torch.nn.utils.clip_grad_norm_(model.master, 1.0)
        self.adam.step()
        if model.gradients is not model.master.grad:
            model.weights.copy_(model.master.detach())
        return loss

    def time(self):
        start = time.perf_counter()
        self()
        return time.perf_counter() - start


def gradient_of_first_batch(step):
    """The gradient, and the seconds that it took."""
    torch.manual_seed(0)
    batch = sample(step.model)
    start = time.perf_counter()
    step.gradient(*batch)
    return step.model.master.grad.clone(), time.perf_counter() - start


def fastest(size, names):
    """The step by the fastest formulation, and the best times of those that were tried, in seconds. All must agree on
    the gradient of one batch."""
    if len(names) == 1:
        step = Step(size, names[0])
        return names[0], step, {names[0]: min(step.time() for _ in range(2))}
    reference = Step(size, "addmm+bmm")
    expected, seconds = gradient_of_first_batch(reference)
    allowed = 1e-3 if chosen.precision == "fp32" else 0.1  # bf16 has 8 bits
    steps = {}
    trials = {}
    for name in names:
        steps[name] = Step(size, name)
        gradient, trials[name] = gradient_of_first_batch(steps[name])
        difference = ((gradient - expected).norm() / expected.norm()).item()
        if not difference < allowed:
            sys.exit(f"{name}: the gradient is {difference:.2g} away from fp32 by addmm and bmm, "
                     f"expected less than {allowed:.2g}")
    # The first steps of a small model say little, and those of a large one all.
    if seconds < 0.5:
        for name in names:
            trials[name] = min(steps[name].time() for _ in range(2))
        for name in [name for name in names if trials[name] < 1.25 * min(trials.values())]:
            until = time.perf_counter() + 0.3
            while time.perf_counter() < until:
                trials[name] = min(trials[name], steps[name].time())
    best = min(trials, key=trials.get)
    return best, steps[best], trials


def main():
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    names = formulations(chosen.precision) if chosen.formulation == "auto" else [chosen.formulation]
    best, step, trials = fastest(SIZES[chosen.size], names)
    number = chosen.steps or max(2, math.ceil(chosen.seconds / trials[best]))
    times = [step.time() for _ in range(number)]
    print(json.dumps({
        "size": chosen.size, "precision": chosen.precision, "threads": torch.get_num_threads(),
        "parameters": step.model.count, "tokens": step.model.tokens, "batch": BATCH,
        "formulation": best, "trials_ms": {name: 1e3 * value for name, value in trials.items()},
        "torch": torch.__version__, "blas": blas_in_use(), "vectors": os.environ.get("ATEN_CPU_CAPABILITY", "default"),
        "step_ms": [1e3 * value for value in times],
    }))


main()
