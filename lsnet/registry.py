"""LSNet in timm's registry: ``timm.create_model("lsnet_t")`` once ``lsnet`` is imported."""

from typing import Any

import timm
from timm.models import build_model_with_cfg, register_model
from timm.models._registry import generate_default_cfgs

from lsnet.config import VARIANTS
from lsnet.model import LSNet
from lsnet.preprocess import IMAGENET_MEAN, IMAGENET_STD


def _pretrained_config(distilled: bool = False, **fields: Any) -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "pool_size": (4, 4),
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "first_conv": "patch_embed.0.c",
        "classifier": ("head.l", "head_dist.l") if distilled else "head.l",
        "paper_ids": "arXiv:2503.23135",
        "paper_name": "LSNet: See Large, Focus Small",
        "origin_url": "https://github.com/THU-MIG/lsnet",
        **fields,
    }


HUB_REPOSITORIES = {
    f"lsnet_{variant}{suffix}": f"jameslahm/lsnet_{variant}{suffix}"
    for variant in ("t", "s", "b")
    for suffix in ("", "_distill")
}

default_cfgs = generate_default_cfgs(
    {  # type: ignore[arg-type]
        f"{name}.in1k": _pretrained_config(name.endswith("_distill"), hf_hub_id=repository)
        for name, repository in HUB_REPOSITORIES.items()
    }
    | {"lsnet_n.untrained": _pretrained_config(origin_url="")}
)


def _register(variant: str, distilled: bool) -> None:
    name = f"lsnet_{variant}{'_distill' if distilled else ''}"

    def create(pretrained: bool = False, **kwargs: Any) -> LSNet:
        kwargs.setdefault("distilled", distilled)
        return build_model_with_cfg(
            LSNet,
            name,
            pretrained,
            model_cfg=VARIANTS[variant],
            feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
            **kwargs,
        )

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"LSNet-{variant.upper()}{', with a second, distilled classifier' if distilled else ''}."
    register_model(create)


for _variant in VARIANTS:
    _register(_variant, distilled=False)
    if _variant != "n":
        _register(_variant, distilled=True)


def create_lsnet(name: str, **options: Any) -> LSNet:
    """``timm.create_model`` for one of our names, typed."""
    model = timm.create_model(name, **options)
    assert isinstance(model, LSNet)
    return model
