"""What an encoder beside the towers is made into, a frozen one once per home: an eight-bit ONNX graph and a tokeniser.

torch and transformers make it; neither is needed to use it.
"""

import copy
import errno
import json
import logging
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Literal

import torch
from torch import Tensor, nn

from schemas.errors import PipelineError, SettingsError
from schemas.manifest import hash_file, hash_json
from schemas.settings import Model
from tasks.retrieval.extras import require_extra
from tasks.retrieval.pretrained import Encoder, Tokeniser, load_transformers
from tasks.retrieval.text_encoder import BY_TOKEN, GRAPH, TOKENISER
from tasks.train.towers.pretrained import identify, pin

_FORM = "onnx-int8-3"  # a change below that changes vectors is a new name
_HASHES = "sha256.json"  # of the files of a folder, written with them
_SCRATCH, _FORGOTTEN = ".making-", 86_400  # seconds after which what a killed process was making is deleted
_OPSET = 17
_FLOAT = "float.onnx"
_E5 = re.compile(r"(^|[-_./])e5([-_.@]|$)", re.IGNORECASE)
_KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}


def settle_encoder(model: Model) -> Model:
    """Return the settings with the encoder pinned, and pooling and prefix as its own files have them, unless set.

    With a share of 0 there is no encoder.

    Raises:
        SettingsError: it cannot be found, its files ask for what this project does not compute, or the extra is not
            installed.
    """
    if model.encoder_share == 0:
        return model.without_encoder()
    if model.tower == "pretrained":
        load_transformers()
    else:
        require_extra("model.encoder")
    encoder = pin(str(model.encoder))
    pooling = model.pooling or _pooling_of(encoder)
    prefix = model.encoder_prefix
    if prefix is None:
        prefix = _prefix_of(encoder)
    return model.model_copy(update={"encoder": encoder, "pooling": pooling, "encoder_prefix": prefix})


def make_encoder(model: Model, cache: Path) -> Path:
    """Return the folder of encoder.onnx and tokenizer.json of a settled encoder, below `cache`; made where need be.

    Raises:
        SettingsError: the encoder cannot be used.
    """
    key = hash_json({"encoder": identify(str(model.encoder)), "max_tokens": model.max_tokens, "form": _FORM})
    folder = cache / "encoders" / key[:32]
    if is_whole(folder):
        return folder
    tokeniser = Tokeniser(model)
    write_graph(Encoder(model, tokeniser.size).module, tokeniser, model, folder)
    return folder


def write_graph(module: Any, tokeniser: Tokeniser, model: Model, folder: Path) -> None:  # noqa: ANN401 - untyped
    """Write encoder.onnx and tokenizer.json of an encoder into a new folder, at once or not at all.

    Raises:
        SettingsError: the encoder cannot be made into a graph.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with making(folder.parent) as scratch:
        made = scratch / "made"
        made.mkdir()
        _export(module, tokeniser, model, scratch, made)
        write_hashes(made)
        try:
            os.replace(made, folder)
        except OSError:  # another run was faster, or what is there is damaged
            if is_whole(folder):
                return
            with suppress(FileNotFoundError):  # another run was faster to take it away
                os.replace(folder, scratch / "damaged")
            try:
                os.replace(made, folder)
            except OSError:
                if not is_whole(folder):
                    raise


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """Yield a folder to make something in that becomes part of `folder` by one rename; what is left of it is deleted.

    So is what a killed process left there more than a day ago.
    """
    for left in folder.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _FORGOTTEN:
                shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
        yield Path(scratch)


def write_hashes(folder: Path) -> None:
    """Write the hashes of the files in a folder beside them."""
    hashes = {file.name: hash_file(file) for file in folder.iterdir() if file.is_file()}
    (folder / _HASHES).write_text(json.dumps(hashes), "utf-8")


def is_whole(folder: Path) -> bool:
    """Return whether the files that `write_hashes` saw are there, as they were."""
    try:
        hashes = json.loads((folder / _HASHES).read_bytes())
        return bool(hashes) and all(hash_file(folder / name) == hashed for name, hashed in hashes.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def copy_encoder(source: Path, target: Path) -> None:
    """Give `target` the files of an encoder: links where the file system has them, since they never change."""
    target.mkdir()
    for file in source.iterdir():
        if file.name == _HASHES:  # a version's manifest has them
            continue
        try:
            os.link(file, target / file.name)
        except OSError:
            shutil.copyfile(file, target / file.name)


def _refuse_full_disk(scratch: Path) -> None:
    """Raise OSError where a graph may be broken for want of room: onnxruntime writes half a file without a word."""
    written = scratch / _FLOAT
    needed = written.stat().st_size if written.exists() else 0
    for place in (scratch, Path(gettempdir())):
        if shutil.disk_usage(place).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


class _States(nn.Module):
    """The last states alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return (n, tokens, d)."""
        states: Tensor = self.module(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Drop what is logged by the root logger itself, as onnxruntime does; what other loggers say passes."""
    root = logging.getLogger()
    root.addFilter(_drop)
    try:
        yield
    finally:
        root.removeFilter(_drop)


def _drop(_record: logging.LogRecord) -> bool:
    return False


def _export(module: Any, tokeniser: Tokeniser, model: Model, scratch: Path, folder: Path) -> None:  # noqa: ANN401
    import onnx
    from onnx import helper
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from tasks.train.quantise import quantise_products

    module = copy.deepcopy(module).eval()
    if hasattr(module, "set_attn_implementation"):
        module.set_attn_implementation("eager")  # whose operations ONNX knows
    # Two texts of several tokens: an axis of length one would be taken for a constant.
    ids, mask = torch.full((2, 5), tokeniser.size - 1), torch.ones(2, 5, dtype=torch.long)
    axes = {0: "texts", 1: "tokens"}
    try:
        with _quiet_root_logger(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _States(module),
                (ids, mask),
                str(scratch / _FLOAT),
                input_names=["input_ids", "attention_mask"],
                output_names=["states"],
                dynamic_axes={"input_ids": axes, "attention_mask": axes, "states": axes},
                opset_version=_OPSET,
                dynamo=False,
            )
            quant_pre_process(scratch / _FLOAT, scratch / "ready.onnx", skip_symbolic_shape=True)
            graph = onnx.load(scratch / "ready.onnx")
            quantise_products(graph)
            helper.set_model_props(graph, dict([BY_TOKEN]))
            onnx.save(graph, scratch / "whole.onnx")
            words = {"op_types_to_quantize": ["Gather"], "per_channel": True, "weight_type": QuantType.QInt8}
            quantize_dynamic(scratch / "whole.onnx", folder / GRAPH, **words)
    except (OSError, MemoryError, PipelineError):  # of the machine, or a time limit
        raise
    except Exception as error:  # torch and onnxruntime each have their own
        _refuse_full_disk(scratch)
        raise SettingsError(
            f"model.encoder = {model.encoder!r} cannot be made into an ONNX graph ({type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else ''}); name an encoder such as BERT or "
            "XLM-RoBERTa, or set model.tower = 'pretrained' to fine-tune it instead"
        ) from error
    tokeniser.save(folder / TOKENISER)


def _files_of(encoder: str, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON file of the encoder holds, None where there is none."""
    file = Path(encoder) / name
    if not Path(encoder).is_dir():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        repository, _, revision = encoder.partition("@")
        try:
            file = Path(hf_hub_download(repository, name, revision=revision or None))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
            return None
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(f"model.encoder = {encoder!r}: {name} cannot be read ({error})") from error


def _pooling_of(encoder: str) -> Literal["mean", "cls"]:
    """Return the pooling that sentence-transformers' files name; the mean where there are none.

    Raises:
        SettingsError: they name another pooling, or a module that is not computed here.
    """
    modules = _files_of(encoder, "modules.json") or []
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if strange := [kind for kind in kinds if kind not in _KNOWN_MODULES]:
        raise SettingsError(
            f"model.encoder = {encoder!r}: its modules.json asks for {strange[0]}, and only Transformer, Pooling "
            "(mean, cls) and Normalize are computed here; name another encoder, or set model.pooling to use it without"
        )
    folder = next(
        (module.get("path", "") for module, kind in zip(modules, kinds, strict=True) if kind == "Pooling"), ""
    )
    pooling = _files_of(encoder, f"{folder}/config.json") if folder else None
    if not pooling:
        return "mean"
    modes = [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True]
    named = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls"}
    mode = modes[0] if len(modes) == 1 else pooling.get("pooling_mode", "pooling_mode_mean_tokens" if not modes else "")
    if (found := named.get(str(mode))) is None:
        raise SettingsError(
            f"model.encoder = {encoder!r}: its pooling is {modes or mode}, and mean and cls alone are computed here; "
            "set model.pooling = 'mean' or 'cls', or name another encoder"
        )
    return "cls" if found == "cls" else "mean"


def _prefix_of(encoder: str) -> str:
    """Return the prompt of queries that sentence-transformers' files name; that of e5 where the name says so."""
    configuration = _files_of(encoder, "config_sentence_transformers.json") or {}
    prompts = configuration.get("prompts") or {}
    for name in ("query", configuration.get("default_prompt_name")):
        if isinstance(prompts.get(name), str):
            return str(prompts[name])
    return "query: " if _E5.search(encoder.rstrip("/")) else ""
