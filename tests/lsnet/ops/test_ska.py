"""The SKA operator: every backend against loops, against each other, and by its gradients."""

import importlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from lsnet.ops import backend_refusal, ska, ska_reference

CPU_BACKENDS = ("reference", "torch", "numba")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def pair(
    batch: int = 2,
    channels: int = 8,
    groups: int = 4,
    kernel_size: int = 3,
    height: int = 5,
    width: int = 7,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels * 100 + height * 10 + width)
    x = torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)
    w = torch.randn(batch, groups, kernel_size**2, height, width, generator=generator, dtype=torch.float64)
    return x.to(dtype), w.to(dtype)


def by_loops(x: Tensor, w: Tensor) -> Tensor:
    """The definition, one output at a time, in Python floats."""
    batch, channels, height, width = x.shape
    groups, taps = w.shape[1:3]
    size = int(taps**0.5)
    y = torch.zeros_like(x, dtype=torch.float64)
    for b, c, i, j in itertools.product(range(batch), range(channels), range(height), range(width)):
        for u, v in itertools.product(range(size), range(size)):
            row, column = i + u - size // 2, j + v - size // 2
            if 0 <= row < height and 0 <= column < width:
                y[b, c, i, j] += w[b, c % groups, u * size + v, i, j].item() * x[b, c, row, column].item()
    return y


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_case_worked_by_hand(backend: str) -> None:
    """Two channels share one picture; set 0 copies the pixel to the left, set 1 adds up the column."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 2, 2, 2)
    w = torch.zeros(1, 2, 9, 2, 2)
    w[:, 0, 3] = 1  # row 1, column 0 of the window: the left neighbour
    w[:, 1, [1, 4, 7]] = 1
    y = ska(x, w, backend=backend)
    assert y.tolist() == [[[[0, 1], [0, 3]], [[4, 6], [4, 6]]]]


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (4, 3), (2, 9)])
def test_agrees_with_loops(backend: str, kernel_size: int, height: int, width: int) -> None:
    x, w = pair(kernel_size=kernel_size, height=height, width=width, dtype=torch.float64)
    torch.testing.assert_close(ska(x, w, backend=backend), by_loops(x, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_channels_use_interleaved_kernel_sets(backend: str) -> None:
    """Channel c uses set c % G; contiguous blocks of channels would give another result."""
    x, w = torch.ones(1, 6, 1, 1), torch.zeros(1, 3, 9, 1, 1)
    w[0, :, 4, 0, 0] = torch.tensor([1.0, 2.0, 3.0])
    assert ska(x, w, backend=backend).flatten().tolist() == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_dtypes_accumulate_in_float32_or_better(backend: str, dtype: torch.dtype) -> None:
    x, w = pair(dtype=dtype)
    y = ska(x, w, backend=backend)
    assert y.dtype == dtype
    exact = by_loops(x, w)
    torch.testing.assert_close(y.double(), exact, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    if dtype in (torch.float16, torch.bfloat16):  # one rounding at the end, none on the way
        assert torch.equal(y, ska_reference(x.float(), w.float()).to(dtype))


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_gradients_against_finite_differences(backend: str, kernel_size: int) -> None:
    x, w = pair(1, 4, 2, kernel_size, 3, 4, torch.float64)
    assert torch.autograd.gradcheck(lambda x, w: ska(x, w, backend), (x.requires_grad_(), w.requires_grad_()))


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients_agree_with_autograd_of_the_reference(backend: str, dtype: torch.dtype) -> None:
    x, w = (tensor.requires_grad_() for tensor in pair(3, 24, 3, dtype=dtype))
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    grads = torch.autograd.grad(ska(x, w, backend), (x, w), direction)
    inputs = [tensor.detach().double().requires_grad_() for tensor in (x, w)]
    expected = torch.autograd.grad(ska_reference(*inputs), inputs, direction.double())
    for grad, exact in zip(grads, expected, strict=True):
        assert grad.dtype == dtype
        torch.testing.assert_close(grad.double(), exact, rtol=2 * TOLERANCE[dtype], atol=2 * TOLERANCE[dtype])


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_gradient_of_one_argument_alone(backend: str) -> None:
    x, w = pair()
    (grad,) = torch.autograd.grad(ska(x, w.requires_grad_(), backend).sum(), w)
    assert grad.shape == w.shape


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("layout", ["channels_last", "transposed", "expanded", "sliced"])
def test_layouts(backend: str, layout: str) -> None:
    x, w = pair(2, 8, 4, height=6, width=6)
    if layout == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    elif layout == "transposed":
        x, w = x.transpose(2, 3), w.transpose(3, 4)
    elif layout == "expanded":
        x, w = x[:1].expand(2, -1, -1, -1), w[:1].expand(2, -1, -1, -1, -1)
    else:
        x, w = x[..., ::2], w[..., ::2]
    y = ska(x, w, backend=backend)
    torch.testing.assert_close(y, ska_reference(x.contiguous(), w.contiguous()))
    assert y.stride() == torch.empty_like(x).stride()


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_an_empty_batch_has_an_empty_answer_and_gradients(backend: str) -> None:
    x, w = torch.zeros(0, 8, 4, 4, requires_grad=True), torch.zeros(0, 2, 9, 4, 4, requires_grad=True)
    y = ska(x, w, backend=backend)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_infinity_stays_in_its_neighbourhood(backend: str) -> None:
    """A border case handled by multiplying with zero would spread it to the next row."""
    x, w = pair(1, 1, 1, 3, 4, 4)
    x[0, 0, 1, 3] = torch.inf  # the last column of row 1
    finite = torch.isfinite(ska(x, w, backend=backend))[0, 0]
    assert not finite[0:3, 2:4].any()
    assert finite[3].all()
    assert finite[:, :2].all()


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_inputs_are_left_alone(backend: str) -> None:
    x, w = pair()
    before = x.clone(), w.clone()
    ska(x, w, backend=backend)
    assert torch.equal(x, before[0])
    assert torch.equal(w, before[1])


def test_numba_answers_many_threads_at_once() -> None:
    """A server calls the operator from several threads, each of which may itself use several."""
    torch.set_num_threads(2)
    try:
        x, w = pair(8, 64, 8, 3, 14, 14)
        expected = ska_reference(x, w)
        with ThreadPoolExecutor(4) as pool:
            for y in pool.map(lambda _: ska(x, w, "numba"), range(16)):
                torch.testing.assert_close(y, expected)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_is_a_well_behaved_torch_operator(layout: torch.memory_format) -> None:
    """Schema, fake tensors, autograd registration and tracing, as torch itself checks them."""
    x, w = pair()
    x = x.to(memory_format=layout).requires_grad_()
    torch.library.opcheck(torch.ops.lsnet.ska.default, (x, w.requires_grad_(), "auto"))


def test_is_one_node_in_an_exported_graph() -> None:
    class Wrapper(torch.nn.Module):
        def forward(self, x: Tensor, w: Tensor) -> Tensor:
            return ska(x, w)

    graph = torch.export.export(Wrapper(), pair()).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [torch.ops.lsnet.ska.default]


X, W = torch.zeros(2, 8, 4, 4), torch.zeros(2, 4, 9, 4, 4)


@pytest.mark.parametrize(
    ("x", "w", "error", "says"),
    [
        (X[0], W, ValueError, r"expected x of shape \(B, C, H, W\), got \(8, 4, 4\)"),
        (X, W[0], ValueError, r"expected w of shape \(B, G, K\*K, H, W\), got \(4, 9, 4, 4\)"),
        (X[:1], W, ValueError, "batch and size like x"),
        (X[..., :3], W, ValueError, "batch and size like x"),
        (X[:, :7], W, ValueError, "7 channels of x to be divisible by the 4 kernel sets"),
        (X, W[:, :0], ValueError, "divisible by the 0 kernel sets"),
        (X, W[:, :, :8], ValueError, r"K\*K taps with K odd \(1, 9, 25, …\), got 8"),
        (X, W[:, :, :4], ValueError, "got 4"),
        (X.double(), W, TypeError, "one dtype, got torch.float64 and torch.float32"),
        (X.long(), W.long(), TypeError, "expected x of dtype float16, .* got torch.int64"),
        (X.numpy(), W, TypeError, "expected x to be a tensor, got ndarray"),
        (X, W.to("meta"), ValueError, "one device, got cpu and meta"),
    ],
)
def test_bad_arguments_are_told(x: Tensor, w: Tensor, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ska(x, w)


def test_an_unknown_backend_is_told() -> None:
    with pytest.raises(ValueError, match=r"expected backend None or one of .*'numba'.*, got 'cuda'"):
        ska(X, W, backend="cuda")  # type: ignore[arg-type]


def test_a_backend_asked_for_by_name_says_why_it_cannot_run() -> None:
    x, w = X.to("meta"), W.to("meta")
    assert backend_refusal("numba", x, w) == "the numba backend runs on CPU tensors, got tensors on meta"
    with pytest.raises(ValueError, match="numba backend runs on CPU tensors"):
        ska(x, w, backend="numba")


def test_without_numba_the_plain_path_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch = importlib.import_module("lsnet.ops.ska")  # the attribute of that name is the function
    monkeypatch.setattr(dispatch, "_numba_refusal", lambda device: "not installed")
    monkeypatch.setattr("lsnet.ops.ska_numba.ska_numba", lambda x, w: pytest.fail("numba was asked"))
    x, w = pair()
    torch.testing.assert_close(ska(x, w), ska_reference(x, w))
