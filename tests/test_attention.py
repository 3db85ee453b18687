"""Attention: masks hide what they say, heads and sequences meet as they should."""

import math
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import ops
from tests.rows.attention import attention_by_hand, weights_by_hand
from tests.rows.products import linear_by_hand

RNG = np.random.default_rng(0)
QUERY, KEY, VALUE = (RNG.standard_normal((2, n, 4)) for n in (3, 5, 5))
HIDDEN = np.triu(np.ones((3, 3), bool), 1)


def make(**options: Any) -> Any:
    """Make a layer of two heads with weights that let scores differ."""
    layer = mg.MultiHeadAttention(4, 2, batch_first=True, rng=np.random.default_rng(1), **options)
    rng = np.random.default_rng(2)
    for parameter in layer.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    return layer


def projected(layer: Any, *sequences: Any) -> list[Any]:
    """Project query, key and value each with its third of the weights."""
    weight, bias = layer.in_proj_weight.data, layer.in_proj_bias.data
    return [
        linear_by_hand(x, weight[4 * i : 4 * i + 4].T, bias[4 * i : 4 * i + 4])
        for i, x in enumerate(sequences)
    ]


def expected(layer: Any, sequences: Any, mask: Any = None) -> tuple[Any, Any]:
    """Return output and weights of each head, by hand."""
    q, k, v = projected(layer, *sequences)
    y = attention_by_hand(q, k, v, 2, mask)
    y = linear_by_hand(y, layer.out_proj.weight.data, layer.out_proj.bias.data)
    return y, weights_by_hand(q, k, 2, mask)


def array(x: Any) -> Any:
    return x.data if isinstance(x, mg.Tensor) else np.asarray(x)


def alike(first: Any, second: Any) -> bool:
    return np.allclose(array(first), array(second), rtol=1e-11)


def close(first: Any, second: Any) -> None:
    assert first.shape == second.shape
    np.testing.assert_allclose(array(first), array(second), rtol=1e-11, atol=1e-13)


def test_query_key_and_value_may_be_three_sequences() -> None:
    layer = make()
    for given in ((QUERY, KEY, VALUE), (QUERY, KEY, KEY), (QUERY, QUERY, QUERY)):
        y, weights = layer(*given)
        wanted, heads = expected(layer, given)
        close(y, wanted)
        close(weights, heads.mean(1))
    close(layer(QUERY, KEY)[0], layer(QUERY, KEY, KEY)[0])
    close(layer(QUERY)[0], layer(QUERY, QUERY, QUERY.copy())[0])
    close(layer(QUERY, value=QUERY * 2)[0], layer(QUERY, QUERY, QUERY * 2)[0])
    close(layer(query=QUERY, key=KEY.tolist())[0], layer(QUERY, KEY)[0])
    assert mg.gradcheck(lambda *x: layer(*x)[0], QUERY, KEY, VALUE)


@pytest.mark.parametrize("batch_first", [False, True])
def test_without_a_batch_shapes_lack_the_axis(batch_first: bool) -> None:
    layer = make()
    layer.batch_first = batch_first
    y, weights = layer(QUERY[0], KEY[0], VALUE[0], average_attn_weights=False)
    wanted, heads = expected(layer, (QUERY[:1], KEY[:1], VALUE[:1]))
    close(y, wanted[0])
    close(weights, heads[0])
    padding = np.array([False, True, False, False, True])
    hidden, _ = layer(QUERY[0], KEY[0], key_padding_mask=padding)
    close(hidden, layer(QUERY[0], KEY[0][~padding])[0])


def test_steps_come_first_unless_batch_first() -> None:
    layer = make()
    y, weights = layer(QUERY, KEY, VALUE)
    layer.batch_first = False
    turned, same = layer(*(x.swapaxes(0, 1) for x in (QUERY, KEY, VALUE)))
    close(turned.swapaxes(0, 1), y)
    close(same, weights)


def test_weights_are_shares_of_each_head_or_their_mean_and_come_at_will() -> None:
    layer = make()
    y, mean = layer(QUERY, KEY, VALUE)
    _, each = layer(QUERY, KEY, VALUE, average_attn_weights=False)
    alone, none = layer(QUERY, KEY, VALUE, need_weights=False)
    assert none is None
    assert np.array_equal(alone.data, y.data)
    assert each.shape == (2, 2, 3, 5)
    close(each.sum(axis=-1), np.ones((2, 2, 3)))
    close(mean, each.data.mean(1))
    assert mg.gradcheck(lambda q, k: layer(q, k)[1], QUERY, KEY)
    assert mg.gradcheck(lambda q: layer(q, average_attn_weights=False)[1], QUERY)


@pytest.mark.parametrize(
    "options", [{"is_causal": True}, {"attn_mask": HIDDEN}, {"attn_mask": HIDDEN.tolist()},
                {"attn_mask": mg.Tensor(HIDDEN)}, {"attn_mask": np.where(HIDDEN, -math.inf, 0)}]
)  # fmt: skip
def test_a_causal_mask_hides_later_steps(options: Any) -> None:
    layer = make()
    y, weights = layer(QUERY, **options)
    close(y, expected(layer, [QUERY] * 3, np.where(HIDDEN, -math.inf, 0))[0])
    assert np.all(weights.data[:, HIDDEN] == 0)
    for step in range(3):
        x = mg.Tensor(QUERY, requires_grad=True)
        layer(x, **options)[0][:, step].sum().backward()
        assert x.grad is not None
        assert np.all(x.grad[:, step + 1 :] == 0)
        assert np.all(x.grad[:, : step + 1] != 0)
        changed = QUERY.copy()
        changed[:, step + 1 :] += 5
        after, _ = layer(changed, **options)
        close(after[:, : step + 1], y[:, : step + 1])
        assert step == 2 or not alike(after[:, step + 1 :], y[:, step + 1 :])


def test_padded_keys_are_as_if_they_were_not_there() -> None:
    layer = make()
    padding = np.zeros((2, 5), bool)
    padding[1, 3:] = True
    for mask in (padding, np.where(padding, -math.inf, 0), mg.Tensor(padding), padding.tolist()):
        y, weights = layer(QUERY, KEY, VALUE, key_padding_mask=mask)
        close(y[:1], layer(QUERY[:1], KEY[:1], VALUE[:1])[0])
        close(y[1:], layer(QUERY[1:], KEY[1:, :3], VALUE[1:, :3])[0])
        assert np.all(weights.data[1, :, 3:] == 0)


def test_masks_of_all_kinds_add_up() -> None:
    layer = make()
    by_head = np.random.default_rng(3).random((4, 3, 3)) < 0.3
    added = np.random.default_rng(4).standard_normal((3, 3))
    padding = np.array([[False, False, False], [False, True, False]])
    mask = np.where(HIDDEN, -math.inf, 0) + np.where(padding, -math.inf, 0)[:, None, None]
    for attn_mask, more in (
        (by_head, np.where(by_head, -math.inf, 0).reshape(2, 2, 3, 3)),
        (added, added),
    ):
        y, weights = layer(
            QUERY, key_padding_mask=padding, attn_mask=attn_mask, is_causal=True,
            average_attn_weights=False,
        )  # fmt: skip
        wanted, heads = expected(layer, [QUERY] * 3, mask + more)
        close(y, wanted)
        close(weights, heads)


def test_a_query_that_may_see_nothing_gets_weights_of_zero() -> None:
    layer = make()
    mask = np.zeros((3, 5), bool)
    mask[1] = True
    x = mg.Tensor(QUERY, requires_grad=True)
    y, weights = layer(x, KEY, attn_mask=mask)
    assert np.all(weights.data[:, 1] == 0)
    close(y[:, 1], np.broadcast_to(layer.out_proj.bias.data, (2, 4)))
    (y.sum() + weights.sum()).backward()
    assert x.grad is not None
    assert np.all(x.grad[:, 1] == 0)
    assert np.all(np.isfinite(x.grad))
    assert mg.gradcheck(lambda q, k: layer(q, k, attn_mask=mask)[0], QUERY, KEY)


def test_the_least_float64_hides_in_float32_too() -> None:
    layer = mg.MultiHeadAttention(4, 2, dtype=np.float32, rng=np.random.default_rng(0))
    x = QUERY.swapaxes(0, 1).astype(np.float32)
    y, _ = layer(x, attn_mask=np.where(HIDDEN, np.finfo(np.float64).min, 0))
    assert y.dtype == np.float32
    assert np.array_equal(y.data, layer(x, is_causal=True)[0].data)


def test_one_tensor_may_be_query_key_and_value() -> None:
    assert mg.gradcheck(lambda x: mg.apply(ops.attention, x, x, x, heads=2), QUERY)
    assert mg.gradcheck(lambda x: mg.apply(ops.attention_weights, x, x, heads=2), QUERY)


def test_integers_count_as_floats() -> None:
    query, key, value = (np.round(x * 3) for x in (QUERY, KEY, VALUE))
    for op, given in ((ops.attention, (query, key, value)), (ops.attention_weights, (query, key))):
        floats = mg.apply(op, *given, heads=2)
        for kinds in ((int,) * 3, (int, float, float), (float, int, float)):
            whole: list[Any] = [x.astype(kind) for x, kind in zip(given, kinds)]
            close(mg.apply(op, *whole, heads=2), floats)


def test_huge_scores_are_finite() -> None:
    layer = make()
    x = mg.Tensor(QUERY * 1e3, requires_grad=True)
    y, weights = layer(x)
    close(weights.sum(axis=-1), np.ones((2, 3)))
    y.sum().backward()
    assert x.grad is not None
    assert np.all(np.isfinite(x.grad))


def test_dropout_zeroes_weights_and_scales_the_others_in_training_only() -> None:
    layer = make(dropout=0.25)
    quiet, before = layer.eval()(QUERY, KEY, average_attn_weights=False)
    close(quiet, expected(layer, (QUERY, KEY, KEY))[0])
    layer.train().rng = np.random.default_rng(5)
    y, weights = layer(QUERY, KEY, average_attn_weights=False)
    kept = np.random.default_rng(5).random((2, 2, 3, 5)) >= 0.25
    close(weights, before.data * kept / 0.75)
    v = projected(layer, QUERY, KEY, KEY)[2].reshape(2, 5, 2, 2).swapaxes(1, 2)
    mixed = (weights.data @ v).swapaxes(1, 2).reshape(2, 3, 4)
    close(y, linear_by_hand(mixed, layer.out_proj.weight.data, layer.out_proj.bias.data))
    assert not alike(layer(QUERY, KEY)[0], y)  # drawn anew


ERRORS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((QUERY,), {"attn_mask": np.ones((3, 2))},
     r"attn_mask must have shape \(3, 3\) or \(4, 3, 3\); received \(3, 2\)"),
    ((QUERY, KEY), {"attn_mask": HIDDEN}, r"attn_mask must have shape \(3, 5\) or"),
    ((QUERY,), {"attn_mask": np.ones((2, 3, 3))}, r"received \(2, 3, 3\)"),
    ((QUERY, KEY), {"key_padding_mask": np.zeros((2, 3), bool)},
     r"key_padding_mask must have shape \(2, 5\); received \(2, 3\)"),
    ((QUERY,), {"key_padding_mask": np.zeros(3, bool)}, r"received \(3,\)"),
    ((QUERY,), {"key_padding_mask": True}, r"received \(\)"),
    ((QUERY, KEY[:1]), {}, r"query and key differ in batch: \(2, 3, 4\) and \(1, 5, 4\)"),
    ((QUERY, KEY[0]), {}, r"sequences of 4 features, .* received \(2, 3, 4\), \(5, 4\) and"),
    ((QUERY, KEY, VALUE[:, :3]), {}, r"key and value of the same shape; .* and \(2, 3, 4\)"),
    ((QUERY, KEY[..., :3]), {}, r"received \(2, 3, 4\), \(2, 5, 3\)"),
    ((QUERY[None],), {}, r"received \(1, 2, 3, 4\)"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "options", "message"), ERRORS)
def test_sequences_and_masks_that_do_not_fit_are_refused(
    given: Any, options: Any, message: str
) -> None:
    layer = make()
    with pytest.raises(ValueError, match=message) as caught:
        layer(*given, **options)
    assert str(caught.value).startswith("MultiHeadAttention(4, 2, batch_first=True): ")


def test_heads_must_divide_the_features() -> None:
    for make_layer in (mg.MultiHeadAttention, mg.TransformerBlock):
        with pytest.raises(ValueError, match="num_heads must divide embed_dim; received 3, 4"):
            make_layer(4, 3)


def test_projections_start_with_the_spread_of_glorot_and_lecun() -> None:
    layer = mg.MultiHeadAttention(100, 2, rng=np.random.default_rng(0))
    assert layer.in_proj_weight.shape == (300, 100)
    limit = math.sqrt(6 / 400)
    assert 0.99 * limit < np.abs(layer.in_proj_weight.data).max() <= limit
    limit = math.sqrt(3 / 100)
    assert 0.99 * limit < np.abs(layer.out_proj.weight.data).max() <= limit
    assert layer.in_proj_bias is not None
    assert layer.out_proj.bias is not None
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()


def test_a_causal_block_hides_later_steps_and_another_does_not() -> None:
    changed = QUERY.copy()
    changed[:, 2:] *= -2
    for causal in (True, False):
        block = mg.TransformerBlock(4, 2, causal=causal, rng=np.random.default_rng(0))
        y, after = block(QUERY), block(changed)
        assert alike(y[:, :2], after[:, :2]) is causal
        assert not alike(y[:, 2:], after[:, 2:])
        close(block(QUERY[0]), y[0])


def test_a_block_passes_masks_on() -> None:
    block = mg.TransformerBlock(4, 2, rng=np.random.default_rng(0))
    causal = mg.TransformerBlock(4, 2, causal=True, rng=np.random.default_rng(0))
    close(block(QUERY, attn_mask=HIDDEN), causal(QUERY))
    padding = np.array([[False, False, True]] * 2)
    close(block(QUERY, key_padding_mask=padding)[:, :2], block(QUERY[:, :2]))


def test_a_block_drops_hidden_units_and_what_is_added() -> None:
    block = mg.TransformerBlock(4, 2, dropout=0.5, rng=np.random.default_rng(0))
    block.norm1.weight.data[...] = block.linear2.weight.data[...] = 0  # type: ignore[union-attr]
    added = np.array([1.0, 2, 3, 4])
    block.self_attn.out_proj.bias.data[...] = added  # type: ignore[union-attr]
    found = block(np.zeros((500, 3, 4))).data
    shares = [np.mean(found == value * added, (0, 1)) for value in (0, 2)]
    np.testing.assert_allclose(shares, 0.5, atol=0.05)
    assert np.all((found == 0) | (found == 2 * added))
    block.eval()
    assert np.array_equal(block(np.zeros((2, 3, 4))).data, np.broadcast_to(added, (2, 3, 4)))


@pytest.mark.parametrize("name", ["attn_mask", "key_padding_mask"])
def test_masks_are_booleans_or_constant_floats(name: str) -> None:
    layer, x = mg.MultiHeadAttention(4, 2, batch_first=True), np.ones((3, 3, 4))
    for mask in (np.zeros((3, 3), int), [[1, 0, 0]] * 3, "causal"):
        with pytest.raises(TypeError, match=f"{name} must be booleans, True for what is hidden"):
            layer(x, **{name: mask})
    with pytest.raises(TypeError, match="the gradient would be lost"):
        layer(x, **{name: mg.Tensor(np.zeros((3, 3)), requires_grad=True)})
    layer(x, **{name: mg.Tensor(np.zeros((3, 3)))})


def test_batch_first_sequences_may_differ_in_steps_but_not_in_batch() -> None:
    layer = mg.MultiHeadAttention(4, 2, batch_first=True)
    other = mg.MultiHeadAttention(4, 2)
    other.load_state_dict(layer.state_dict())
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((3, 2, 4)), rng.standard_normal((3, 5, 4))
    output, weights = layer(query, key, key)
    turned, _ = other(query.swapaxes(0, 1), key.swapaxes(0, 1))
    assert (output.shape, weights.shape) == ((3, 2, 4), (3, 2, 5))
    np.testing.assert_allclose(output.data, turned.data.swapaxes(0, 1), rtol=1e-12)
    for queries, keys in (((2, 2, 4), (3, 5, 4)), ((2, 2, 4), (3, 2, 4))):
        with pytest.raises(ValueError, match="query and key differ in batch"):
            layer(np.ones(queries), np.ones(keys))
