"""Exchange the layers of loaded networks for faster ones: modules and a `Choice` come in; the same modules, changed, go out."""

from torch import nn

from emotts.acceleration.bf16 import Bf16Linear
from emotts.acceleration.choice import Choice
from emotts.acceleration.fast_linear import FastLinear
from emotts.acceleration.int8 import Int8Linear
from emotts.acceleration.warn import warn_once
from emotts.layers import BlockStack
from emotts.vocoder.generator import CorrectionBlock

LINEAR: dict[str, type[FastLinear]] = {"int8": Int8Linear, "bf16": Bf16Linear}


def accelerate(modules: list[nn.Module], choice: Choice) -> None:
    """Exchange linear layers, and for "onnx" stacks of blocks, for those of the backend; "plain" changes nothing.

    Found are modules of exactly the known types: subclasses have a reason to be. What is exchanged keeps its weights and their
    names. A backend that was asked for by name and cannot run here is warned of once, and "plain" runs.
    """
    if choice.refused:
        warn_once(f"backend {choice.refused} cannot run here, plain takes its place: {choice.reason}.")
    kind = LINEAR.get(choice.linear)
    for module in modules:
        if kind is not None:
            _exchange_linears(module, kind, {})
        if choice.backend == "onnx":
            _exchange_blocks(module)


def _exchange_linears(module: nn.Module, kind: type[FastLinear], made: dict[int, FastLinear]) -> None:
    for name, child in list(module.named_children()):
        if type(child) is not nn.Linear:
            _exchange_linears(child, kind, made)
            continue
        if id(child) not in made:  # one that stands at two places stays one
            made[id(child)] = kind.of(child)
        setattr(module, name, made[id(child)])


def _exchange_blocks(module: nn.Module) -> None:
    from emotts.acceleration.onnx_blocks import OnnxBlockStack, OnnxCorrectionBlock

    for name, child in list(module.named_children()):
        if type(child) is BlockStack:
            setattr(module, name, OnnxBlockStack.of(child))
        elif type(child) is CorrectionBlock:
            setattr(module, name, OnnxCorrectionBlock.of(child))
        else:
            _exchange_blocks(child)
