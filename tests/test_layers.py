"""Masks, length regulation and blocks: brute force and invariance."""

import pytest
import torch

from emotts.depthwise import over_time
from emotts.layers import (
    HEAD_DIM,
    Attention,
    BlockStack,
    ConvNeXtBlock,
    expand_tokens,
    frame_to_token,
    hiding,
    lengths_to_mask,
    mean_over,
    part_of,
    rotary_tables,
    rotate,
)


def test_frames_follow_durations():
    durations = torch.tensor([[2, 0, 3, 1], [1, 1, 0, 0]])
    index = frame_to_token(durations)
    assert index[0].tolist() == [0, 0, 2, 2, 2, 3]
    assert index[1, :2].tolist() == [0, 1]
    x = torch.arange(8.0).reshape(2, 4, 1)
    assert expand_tokens(x, index)[0, :, 0].tolist() == [0, 0, 2, 2, 2, 3]


def test_mask_and_mean():
    mask = lengths_to_mask(torch.tensor([1, 3]), 4)
    assert mask.tolist() == [[True, False, False, False], [True, True, True, False]]
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(mean_over(x, mask)[1], x[1, :3].mean(dim=0))


@pytest.mark.parametrize("layout", ["cc", "aa", "cac"])
def test_padding_never_changes_real_frames(layout):
    torch.manual_seed(0)
    stack = BlockStack(layout, HEAD_DIM, 4).eval()
    x, condition = torch.randn(2, 9, HEAD_DIM), torch.randn(2, 1, 4)
    alone = stack(x[:, :6], torch.ones(2, 6, dtype=torch.bool), condition)
    mask = lengths_to_mask(torch.tensor([6, 6]), 9)
    padded = stack(x + 1e3 * (~mask)[:, :, None], mask, condition)
    torch.testing.assert_close(padded[:, :6], alone, atol=1e-5, rtol=1e-4)
    assert (padded[:, 6:] == 0).all()


def test_rotary_positions_depend_on_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(HEAD_DIM), torch.randn(HEAD_DIM)
    cosine, sine = rotary_tables(40, torch.device("cpu"), torch.float32)
    rotated_q = rotate(q.expand(1, 1, 40, -1), cosine, sine)[0, 0]
    rotated_k = rotate(k.expand(1, 1, 40, -1), cosine, sine)[0, 0]
    scores = rotated_q @ rotated_k.T
    torch.testing.assert_close(scores[3, 7], scores[30, 34], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(rotated_q.norm(dim=-1), q.norm().expand(40), atol=1e-4, rtol=1e-4)


def test_attention_equals_the_plain_formula():
    torch.manual_seed(0)
    attention = Attention(2 * HEAD_DIM).double()
    x = torch.randn(1, 5, 2 * HEAD_DIM, dtype=torch.float64)
    mask = torch.tensor([[True, True, True, True, False]])
    q, k, v = attention.qkv(x).reshape(1, 5, 3, 2, HEAD_DIM).permute(2, 0, 3, 1, 4)

    def normed(y, weight):
        return y / torch.sqrt((y**2).mean(-1, keepdim=True) + 1e-6) * weight

    angle = torch.arange(5.0)[:, None] * 10_000.0 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    q, k = (
        rotate(normed(y, w), angle.cos(), angle.sin())
        for y, w in ((q, attention.norm_q.weight), (k, attention.norm_k.weight))
    )
    scores = (q @ k.transpose(-1, -2) / HEAD_DIM**0.5).masked_fill(~mask[:, None, None, :], float("-inf"))
    expected = attention.out((scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(1, 5, -1))
    # The rotation runs in float32, hence 1e-5 in float64 arithmetic.
    torch.testing.assert_close(attention(x, mask), expected, atol=1e-5, rtol=1e-4)


def test_the_parts_of_a_layer_add_up_to_it():
    layer, x = torch.nn.Linear(9, 5), torch.randn(2, 3, 9)
    some, rest = [slice(1, 3), slice(6, 7)], [slice(0, 1), slice(3, 6), slice(7, None)]
    taken = lambda columns: torch.cat([x[..., c] for c in columns], dim=-1)  # noqa: E731
    both = part_of(layer, some, bias=True)(taken(some)) + part_of(layer, rest, bias=False)(taken(rest))
    torch.testing.assert_close(both, layer(x), atol=1e-6, rtol=1e-5)


def test_a_layer_in_the_place_of_a_linear_one_brings_its_own_parts():
    class Other(torch.nn.Module):
        def part_of(self, columns, bias):
            return lambda x: (columns, bias)

    assert part_of(Other(), [slice(2)], True)(None) == ([slice(2)], True)
    with pytest.raises(TypeError, match="method part_of.*ReLU has none"):
        part_of(torch.nn.ReLU(), [slice(2)], True)


def test_a_mask_is_left_out_only_where_it_hides_nothing_and_can_be_looked_at():
    full, some = torch.ones(2, 3, dtype=torch.bool), torch.tensor([[True, True], [True, False]])
    assert hiding(full) is None and hiding(some) is some
    meta = torch.ones(2, 3, dtype=torch.bool, device="meta")  # looking into it would raise
    assert hiding(meta) is meta


@pytest.mark.parametrize("layout", ["cac", "cc"])
@pytest.mark.parametrize("rows", [1, 7])
def test_split_modulations_give_what_the_joined_condition_gives(layout, rows):
    torch.manual_seed(0)
    stack = BlockStack(layout, HEAD_DIM, 10).eval()
    for parameter in stack.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x, staying, moving = torch.randn(2, 7, HEAD_DIM), torch.randn(2, rows, 6), torch.randn(3, 4)
    mask = lengths_to_mask(torch.tensor([7, 4]))
    with torch.no_grad():
        split = stack.split_modulations(staying, moving)
        for call in range(3):
            joined = torch.cat([staying, moving[call].expand(2, rows, -1)], dim=-1)
            got = stack.run(x, mask, split.at(call), stack.rope(7, x.device))
            torch.testing.assert_close(got, stack(x, mask, joined), atol=1e-5, rtol=1e-5)


def test_convolution_without_gradients_is_that_of_training():
    torch.manual_seed(0)
    block = ConvNeXtBlock(24, 4).eval()
    x, modulation = torch.randn(2, 11, 24), [torch.randn(2, 1, 48)]
    with torch.no_grad():
        fast = block(x, None, modulation, None)
    torch.testing.assert_close(fast, block(x, None, modulation, None).detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_taps", [1, 5, 7])
@pytest.mark.parametrize("n_frames", [2, 11])
def test_the_depthwise_convolution_and_its_gradients_are_those_of_torch(n_taps, n_frames):
    torch.manual_seed(0)
    wanted = torch.nn.Conv1d(6, 6, n_taps, padding=n_taps // 2, groups=6).double()
    x = torch.randn(3, n_frames, 6, dtype=torch.double, requires_grad=True)
    leaves = (x, wanted.weight, wanted.bias)
    out = over_time(wanted, x)
    torch.testing.assert_close(out, wanted(x.transpose(1, 2)).transpose(1, 2))
    gradient = torch.randn_like(out)
    got = torch.autograd.grad(out, leaves, gradient)
    of_torch = torch.autograd.grad(wanted(x.transpose(1, 2)).transpose(1, 2), leaves, gradient)
    torch.testing.assert_close(got, of_torch)


def test_the_depthwise_convolution_follows_autocast_and_derives_only_what_is_asked():
    torch.manual_seed(0)
    conv, x = torch.nn.Conv1d(4, 4, 5, padding=2, groups=4), torch.randn(2, 9, 4)
    weight = conv.weight
    torch.nn.init.normal_(weight)
    torch.nn.init.normal_(conv.bias.requires_grad_(False))
    exact = over_time(conv, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = over_time(conv, x)
    assert (exact.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(half.float(), exact, atol=0.1, rtol=0.02)
    half.float().square().sum().backward()
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    (of_exact,) = torch.autograd.grad(exact.square().sum(), weight)
    torch.testing.assert_close(weight.grad, of_exact, atol=0.5, rtol=0.05)


def test_bad_layouts_are_refused():
    with pytest.raises(ValueError, match="layout"):
        BlockStack("cxa", HEAD_DIM, 4)
    with pytest.raises(ValueError, match="multiple"):
        Attention(100)
