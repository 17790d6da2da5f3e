"""Asker + list of models -> Server: which program answers, and what it tells of the model that it runs."""

import re
from collections.abc import Callable
from typing import Any

from harness.probe.asking import Answer, Asker
from harness.probe.findings import Server, Serving

#: What a list of models says of its owner -> whose questions are asked first.
_OWNERS = {
    "vllm": "vllm",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "sglang": "sglang",
    "organization_owner": "lmstudio",
}
#: Quantization names of GGUF files -> the catalog's words for what a weight takes.
_GGUF = {"F16": "fp16", "BF16": "bf16", "Q8_0": "int8", "Q4_K_M": "q4_k_m", "MXFP4": "mxfp4"}
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "fp8": "fp8", "mxfp4": "mxfp4"}
_GGUF_NAME = re.compile(r"(?i)[-._](IQ\d_\w+|Q\d_K_[SML]|Q\d_[01K]|BF16|F16|MXFP4)(?=[-._]|$)")


def identify(asker: Asker, models: Answer) -> Server:
    """Ask each kind of server for what only it has, the likeliest first. Costs no tokens."""
    entry = model_entry(models, asker.endpoint.model)
    owner = str(entry.get("owned_by", ""))
    if owner == "deepseek":
        how = "owned_by deepseek in the list of models"
        return Server(name="DeepSeek", dialect="deepseek", version=None, how=how, serving=_named(asker, entry))
    order = sorted(_KINDS, key=lambda kind: kind != _OWNERS.get(owner))
    for kind in order:
        server = _KINDS[kind](asker, entry)
        if server is not None:
            return server
    return Server(
        name="OpenAI-compatible",
        dialect="openai",
        version=None,
        how="none of vLLM, SGLang, llama.cpp, Ollama and LM Studio answered under its own paths",
        serving=_named(asker, entry),
    )


def model_names(models: Answer) -> list[str]:
    """Names that the server lists."""
    value = models.json
    entries = value.get("data") if isinstance(value, dict) else value
    return [str(each["id"]) for each in entries or [] if isinstance(each, dict) and each.get("id")]


def model_entry(models: Answer, model: str) -> dict[str, Any]:
    """What the list of models says of this one; of the first where it is not listed."""
    value = models.json
    entries = value.get("data") if isinstance(value, dict) else value
    known = [each for each in entries or [] if isinstance(each, dict)]
    return next((each for each in known if each.get("id") == model), known[0] if known else {})


def _named(asker: Asker, entry: dict[str, Any]) -> Serving:
    context = entry.get("max_model_len") or entry.get("context_length") or entry.get("context_window")
    names = [str(name) for name in (entry.get("root"), asker.endpoint.model) if name]
    how = {"context": "GET /models"} if isinstance(context, int) else {}
    return Serving(names=list(dict.fromkeys(names)), context=_number(context), how=how)


# -- one function a kind


def _vllm(asker: Asker, entry: dict[str, Any]) -> Server | None:
    version = asker.get("/version").fields.get("version")
    page = asker.get("/metrics").body if version is not None else ""
    if version is None or not (entry.get("owned_by") == "vllm" or "vllm:" in page):
        return None
    serving = _named(asker, entry)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', _line(page, "vllm:cache_config_info{")))
    serving.kv_precision = {"fp8": "fp8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8"}.get(labels.get("cache_dtype", ""))
    serving.memory_share = _share(labels.get("gpu_memory_utilization"))
    info = asker.get("/server_info")  # open only in the server's development mode
    if info.ok:
        _read_vllm_config(serving, info.body)
    return Server(name="vLLM", dialect="vllm", version=str(version), how="/version and /metrics", serving=serving)


def _read_vllm_config(serving: Serving, text: str) -> None:
    quantization = re.search(r"quantization=(\w+)", text)
    dtype = re.search(r"dtype=torch\.(\w+)", text)
    told = quantization[1] if quantization and quantization[1] != "None" else dtype[1] if dtype else ""
    serving.precision = _DTYPES.get(told)
    serving.how |= dict.fromkeys(("precision", "accelerators", "max_batch"), "/server_info")
    parallel = re.search(r"tensor_parallel_size=(\d+)", text)
    serving.accelerators = int(parallel[1]) if parallel else None
    batch = re.search(r"max_num_seqs=(\d+)", text)
    serving.max_batch = int(batch[1]) if batch else None


def _sglang(asker: Asker, entry: dict[str, Any]) -> Server | None:
    info = asker.get("/get_model_info").fields
    if "model_path" not in info:
        return None
    more = asker.get("/get_server_info").fields
    serving = _named(asker, entry)
    serving.names.insert(0, str(info["model_path"]))
    if serving.context is None:
        serving.context = _number(more.get("context_length"))
    serving.max_batch = _number(more.get("max_running_requests"))
    serving.memory_share = _share(more.get("mem_fraction_static"))
    tensor, data = _number(more.get("tp_size")), _number(more.get("dp_size"))
    serving.accelerators = tensor * (data or 1) if tensor else None
    told = str(more.get("quantization") or more.get("dtype") or "").removeprefix("torch.")
    serving.precision = _DTYPES.get(told)
    serving.how |= dict.fromkeys(("precision", "accelerators", "max_batch"), "/get_server_info")
    serving.kv_precision = "fp8" if str(more.get("kv_cache_dtype", "")).startswith("fp8") else None
    return Server(name="SGLang", dialect="openai", version=_text(more.get("version")),
                  how="/get_model_info and /get_server_info", serving=serving)  # fmt: skip


def _llamacpp(asker: Asker, entry: dict[str, Any]) -> Server | None:
    props = asker.get("/props").fields
    if "total_slots" not in props:
        return None
    serving = _named(asker, entry)
    path = str(props.get("model_path") or "")
    serving.names.insert(0, path.rsplit("/", 1)[-1].removesuffix(".gguf"))
    meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
    serving.parameters = _size(meta.get("n_params"))
    settings = (
        props["default_generation_settings"] if isinstance(props.get("default_generation_settings"), dict) else {}
    )
    serving.context = _number(settings.get("n_ctx"))
    serving.how["context"] = "/props"
    serving.max_batch = _number(props.get("total_slots"))
    in_name = _GGUF_NAME.search(path)
    _read_gguf(serving, _text(props.get("model_ftype")) or (in_name[1] if in_name else None), "/props")
    return Server(name="llama.cpp", dialect="llamacpp", version=_text(props.get("build_info")), how="/props",
                  serving=serving)  # fmt: skip


def _ollama(asker: Asker, entry: dict[str, Any]) -> Server | None:
    if not asker.get("/").body.startswith("Ollama is running"):
        return None
    model = asker.endpoint.model
    version = _text(asker.get("/api/version").fields.get("version"))
    shown = asker.post("/api/show", {"model": model}).fields
    details = shown["details"] if isinstance(shown.get("details"), dict) else _tagged(asker, model)
    serving = Serving(names=[model], family=_text(details.get("family")))
    serving.parameters = _text(details.get("parameter_size"))
    info = shown["model_info"] if isinstance(shown.get("model_info"), dict) else {}
    serving.names += [str(info[key]) for key in ("general.basename",) if info.get(key)]
    serving.context = next((_number(info[key]) for key in info if key.endswith(".context_length")), None)
    _read_gguf(serving, _text(details.get("quantization_level")), "/api/show")
    return Server(name="Ollama", dialect="ollama", version=version, how="/ and /api/show", serving=serving)


def _tagged(asker: Asker, model: str) -> dict[str, Any]:
    """Details of the model in /api/tags, for servers that do not show it."""
    for each in asker.get("/api/tags").fields.get("models") or []:
        if isinstance(each, dict) and model in (each.get("name"), each.get("model")):
            details = each.get("details")
            return details if isinstance(details, dict) else {}
    return {}


def _lmstudio(asker: Asker, entry: dict[str, Any]) -> Server | None:
    answer = asker.get("/api/v0/models")
    if not answer.ok or not any("compatibility_type" in each for each in answer.fields.get("data") or []):
        return None
    known = model_entry(answer, asker.endpoint.model)
    serving = Serving(names=[asker.endpoint.model], family=_text(known.get("arch")))
    serving.context = _number(known.get("loaded_context_length") or known.get("max_context_length"))
    _read_gguf(serving, _text(known.get("quantization")), "/api/v0/models")
    return Server(name="LM Studio", dialect="openai", version=None, how="/api/v0/models", serving=serving)


_KINDS: dict[str, Callable[[Asker, dict[str, Any]], Server | None]] = {
    "vllm": _vllm,
    "ollama": _ollama,
    "llamacpp": _llamacpp,
    "sglang": _sglang,
    "lmstudio": _lmstudio,
}


def _read_gguf(serving: Serving, quantization: str | None, how: str) -> None:
    serving.quantization = quantization
    serving.precision = _GGUF.get((quantization or "").upper())
    serving.how["precision"] = how


def _line(page: str, begin: str) -> str:
    return next((line for line in page.splitlines() if line.startswith(begin)), "")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _share(value: Any) -> float | None:
    try:
        share = float(value)
    except (TypeError, ValueError):
        return None
    return share if 0 < share <= 1 else None


def _size(parameters: Any) -> str | None:
    count = _number(parameters)
    if count is None:
        return None
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.1f}M"
