"""LSNet, exact on CPU and GPU. Importing this package registers its models with timm."""

from lsnet import registry as registry
from lsnet import transplant as transplant
from lsnet.config import VARIANTS, LSNetConfig
from lsnet.errors import InputError
from lsnet.model import LSNet
from lsnet.predictor import Predictor, load_predictor

__all__ = ["VARIANTS", "InputError", "LSNet", "LSNetConfig", "Predictor", "load_predictor"]
