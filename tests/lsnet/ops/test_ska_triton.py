"""The Triton kernels against the reference. Without a GPU they run under Triton's interpreter (see conftest.py), and a
process of its own checks that the real compiler takes them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lsnet.ops import ska_triton as kernels
from lsnet.ops.ska_reference import ska_reference
from lsnet.ops.ska_triton import ska_triton, ska_triton_backward, triton_refusal

ROOT = Path(__file__).parents[3]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {  # relative and absolute, against float64
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1.6e-2,
}
OFFSET = getattr(kernels, "_offset", None)  # a kernel sees only what is global, and it is not there without Triton
REFUSAL = triton_refusal(torch.empty(1, 1, 1, 1, device=DEVICE), torch.empty(1, 1, 1, 1, 1, device=DEVICE))
needs_kernels = pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))


def make_inputs(
    channels: int, groups: int, size: tuple[int, int], kernel_size: int = 3, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Random x, w and gradient of the output for a batch of 2."""
    generator = torch.Generator().manual_seed(channels + groups + kernel_size)
    shapes = ((2, channels, *size), (2, groups, kernel_size**2, *size), (2, channels, *size))
    x, w, grad = (torch.randn(shape, generator=generator).to(DEVICE, dtype) for shape in shapes)
    return x, w, grad


def assert_matches_reference(x: Tensor, w: Tensor, grad: Tensor) -> None:
    """Compare the output and both gradients with the reference in float64."""
    x64, w64 = x.double().requires_grad_(), w.double().requires_grad_()
    expected = ska_reference(x64, w64)
    expected.backward(grad.double())
    y = ska_triton(x, w)
    grad_x, grad_w = ska_triton_backward(grad, x, w)
    for name, actual, wanted, like in (
        ("y", y, expected.detach(), x),
        ("grad_x", grad_x, x64.grad, x),
        ("grad_w", grad_w, w64.grad, w),
    ):
        assert actual.dtype == like.dtype, name
        tolerance = TOLERANCE[like.dtype]
        torch.testing.assert_close(
            actual.double(), wanted, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@needs_kernels
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    assert_matches_reference(*make_inputs(16, 2, (5, 9), dtype=dtype))


@needs_kernels
def test_mixed_dtypes() -> None:
    x, w, grad = make_inputs(4, 2, (5, 9), dtype=torch.bfloat16)
    assert_matches_reference(x, w.float(), grad)


@needs_kernels
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize(("channels", "groups"), [(2, 2), (6, 2), (8, 1)])
def test_groups(channels: int, groups: int, kernel_size: int) -> None:
    assert_matches_reference(*make_inputs(channels, groups, (5, 9), kernel_size))


@needs_kernels
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (7, 7)], ids=str)
def test_sizes(size: tuple[int, int], kernel_size: int) -> None:
    assert_matches_reference(*make_inputs(3, 1, size, kernel_size))


@needs_kernels
@pytest.mark.parametrize(("channels", "size"), [(2, (15, 19)), (20, (7, 9)), (130, (4, 5))], ids=str)
def test_several_tiles_to_an_image(channels: int, size: tuple[int, int]) -> None:
    # Tiles of 128, 32 and 8 pixels. In float64, for the kernels' gradients sum over up to 130 channels.
    assert_matches_reference(*make_inputs(channels, 1, size, dtype=torch.float64))


@needs_kernels
def test_each_channel_uses_the_kernel_set_of_its_number_modulo_groups() -> None:
    x = torch.ones(1, 6, 2, 2, device=DEVICE)
    w = torch.zeros(1, 3, 9, 2, 2, device=DEVICE)
    w[:, :, 4] = torch.tensor([10.0, 20.0, 30.0], device=DEVICE).reshape(3, 1, 1)  # the tap in the middle
    assert ska_triton(x, w)[0, :, 0, 0].tolist() == [10, 20, 30, 10, 20, 30]


@needs_kernels
def test_tap_2_reads_the_pixel_above_on_the_right() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], device=DEVICE).reshape(1, 1, 2, 3)
    w = torch.zeros(1, 1, 9, 2, 3, device=DEVICE)
    w[:, :, 2] = 1.0
    assert ska_triton(x, w).tolist() == [[[[0, 0, 0], [2, 3, 0]]]]
    grad_x, grad_w = ska_triton_backward(x, x, w)
    assert grad_x.tolist() == [[[[0, 4, 5], [0, 0, 0]]]]
    assert grad_w[0, 0, 2].tolist() == [[0, 0, 0], [4 * 2, 5 * 3, 0]]


@needs_kernels
@pytest.mark.parametrize("groups", [3, 18])  # fewer and more than a channels_last tile takes
def test_channels_last_stays_channels_last(groups: int) -> None:
    x, w, grad = make_inputs(2 * groups, groups, (3, 4))
    x = x.to(memory_format=torch.channels_last)
    assert_matches_reference(x, w, grad)  # group norm, before SKA in LSNet, makes w contiguous whatever x is
    w = w.flatten(1, 2).to(memory_format=torch.channels_last).unflatten(1, (groups, 9))
    assert_matches_reference(x, w, grad.to(memory_format=torch.channels_last))
    grad_x, grad_w = ska_triton_backward(grad, x, w)
    assert ska_triton(x, w).stride() == x.stride()
    assert grad_x.stride() == x.stride()
    assert grad_w.stride() == w.stride()


@needs_kernels
def test_slices_crops_and_transposes() -> None:
    x, w, grad = make_inputs(6, 2, (8, 9))
    assert_matches_reference(x[:, ::3], w, grad[:, 4:])
    assert_matches_reference(x[:, :, 1:6, 2:], w[..., 1:6, 2:], grad[:, :, 3:, :7])
    assert_matches_reference(x.mT.contiguous().mT, w.mT.contiguous().mT, grad)
    assert_matches_reference(x, w[:1].expand_as(w), torch.ones((), device=DEVICE).expand_as(grad))


@needs_kernels
@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 0, 5)], ids=str)
def test_empty(shape: tuple[int, ...]) -> None:
    x = torch.empty(shape, device=DEVICE)
    w = torch.empty(shape[0], 2, 9, *shape[2:], device=DEVICE)
    assert ska_triton(x, w).shape == x.shape
    assert [gradient.shape for gradient in ska_triton_backward(x, x, w)] == [x.shape, w.shape]


@needs_kernels
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NumPy's, inside the interpreter
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("place", [(2, 5), (3, 0), (4, 5)], ids=str)  # a row's end, a row's start, a corner
def test_what_is_not_finite_reaches_neighbours_only(place: tuple[int, int], value: float) -> None:
    x, w, grad = make_inputs(2, 1, (5, 6))
    row, col = place
    near = torch.zeros(5, 6, dtype=torch.bool, device=DEVICE)
    near[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2] = True
    here = torch.zeros_like(near)
    here[place] = True
    y, (grad_x, grad_w) = ska_triton(x, w), ska_triton_backward(grad, x, w)

    def assert_touched(after: Tensor, before: Tensor, touched: Tensor) -> None:
        assert not after[..., touched].isfinite().any()
        assert torch.equal(after[..., ~touched], before[..., ~touched])

    def spoil(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor[..., row, col] = value
        return tensor

    assert_touched(ska_triton(spoil(x), w), y, near)
    assert_touched(ska_triton(x, spoil(w)), y, here)
    spoilt_grad_x, spoilt_grad_w = ska_triton_backward(spoil(grad), x, w)
    assert_touched(spoilt_grad_x, grad_x, near)
    assert torch.equal(spoilt_grad_w[..., ~here], grad_w[..., ~here])
    assert torch.equal(ska_triton_backward(grad, spoil(x), w)[1][..., ~near], grad_w[..., ~near])


@needs_kernels
def test_offsets_pass_2_to_the_31() -> None:
    import triton
    import triton.language as tl

    @triton.jit
    def store_offset(out_ptr, strides, batch, group, pixel):
        tl.store(out_ptr, OFFSET(strides, batch, group, pixel))

    out = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    store_offset[(1,)](out, (2**30, 7, 2**29, 2**28), 3, 5, 9)
    assert out.item() == 3 * 2**30 + 5 * 2**29 + 9 * 2**28


def test_refuses_other_dtypes() -> None:
    x, w, _ = make_inputs(4, 2, (5, 9))
    assert "torch.int64" in triton_refusal(x.long(), w)
    assert "torch.complex64" in triton_refusal(x, w.to(torch.complex64))


def test_refuses_cpu_tensors_outside_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("triton")

    def kernel():
        pass

    monkeypatch.setattr(kernels, "_forward_kernel", triton.JITFunction(kernel))
    x = torch.ones(1, 1, 1, 1)
    assert triton_refusal(x, x[None]) == "Triton needs both tensors on one CUDA device, got x on cpu and w on cpu."


@pytest.mark.skipif(torch.cuda.is_available(), reason="Triton's driver starts here")
def test_refuses_where_the_driver_does_not_start() -> None:
    pytest.importorskip("triton")
    assert kernels._device_refusal(torch.device("cuda")).startswith("Triton cannot start: ")


def test_imports_and_refuses_where_triton_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)  # makes importing it an ImportError
    spec = importlib.util.spec_from_file_location("ska_triton_without_triton", kernels.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = torch.ones(1, 1, 1, 1)
    assert module.triton_refusal(x, x[None]) == "Triton is not installed."


def test_real_compiler_takes_the_kernels(tmp_path: Path) -> None:
    triton = pytest.importorskip("triton")
    if not (Path(triton.__file__).parent / "backends/nvidia/bin/ptxas").is_file():
        pytest.skip("this Triton comes without ptxas, so nothing can be compiled for an NVIDIA GPU")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("_forward_kernel") == done.stdout.count("_backward_kernel") == 8


def compile_for_h100() -> None:
    """Compile what ``ska_triton`` and its backward would launch, as they would launch it, for a GPU that is not here.

    The kernels must come out as designed: one thread layout throughout, so no shared memory and no barrier.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class AbsentH100:
        get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
        get_current_device = staticmethod(lambda: 0)
        get_current_stream = staticmethod(lambda device: 0)

    launch = triton.JITFunction.run

    def compile_only(kernel, *args, warmup, **kwargs):
        compiled = launch(kernel, *args, warmup=True, **kwargs)
        assert compiled.asm["cubin"]
        assert compiled.metadata.shared == 0
        assert "bar.sync" not in compiled.asm["ptx"]
        assert ".local" not in compiled.asm["ptx"]
        print(compiled.name)
        return compiled

    driver.set_active(AbsentH100())
    triton.JITFunction.run = compile_only
    cases = [(dtype, 16, 2, 3) for dtype in TOLERANCE]  # 8 channels a group, as LSNet has
    cases += [(dtype, 2, 1, 5) for dtype in (torch.float32, torch.bfloat16, torch.float16)]
    for dtype, channels, groups, kernel_size in cases:
        x, w, grad = make_inputs(channels, groups, (14, 14), kernel_size, dtype)
        ska_triton(x, w)
        ska_triton_backward(grad, x, w)
    x, w, grad = make_inputs(128, 16, (14, 14))
    x = x.to(memory_format=torch.channels_last)
    ska_triton(x, w)
    ska_triton_backward(grad, x, w)


if __name__ == "__main__":
    compile_for_h100()
