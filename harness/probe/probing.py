"""Endpoint -> Probe: asks who answers, what it runs, how it speaks, and checks the entry that comes of it."""

from dataclasses import dataclass, replace

from harness.errors import InputError, Mistake
from harness.load.client import Client
from harness.load.preflight import preflight
from harness.probe.asking import Answer, Asker
from harness.probe.cards import Guess, described, guess_card
from harness.probe.entry import Draft, Hardware, write_entry
from harness.probe.findings import Finding, Probe, Server
from harness.probe.servers import identify, model_entry, model_names
from harness.probe.wire import Wire, ask_all
from harness.providers import Catalog, Endpoint

#: What a probe can use at most, where caps are kept: said before anything is sent.
MOST_CALLS = 14
MOST_OUTPUT_TOKENS = 130
ABOUT_INPUT_TOKENS = 3200


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What to probe. A model of "" is found by asking."""

    endpoint: Endpoint
    key: str | None
    catalog: Catalog
    hardware: Hardware | None = None


def probe(subject: Subject, client: Client | None = None) -> Probe:
    """Ask everything. Raises InputError and PreflightError."""
    if client is not None:
        return _probe(subject, client)
    with Client() as own:
        return _probe(subject, own)


def _probe(subject: Subject, client: Client) -> Probe:
    asker = Asker(client, subject.endpoint, subject.key)
    models = asker.models()
    asker.endpoint = _with_model(subject.endpoint, model_names(models))
    server = identify(asker, models)
    guess = guess_card(server.serving, subject.catalog.models)
    findings = [*_of_server(asker, server, models), *_of_model(server, guess)]
    if server.dialect == "ollama":
        findings.append(_cold_start(asker))
    wire = ask_all(asker, server.serving.context)
    if wire.deepseek_usage and server.dialect == "openai":
        server.dialect, server.how = "deepseek", "prompt_cache_hit_tokens in usage"
    request = wire.options(subject.endpoint.request)
    asked = replace(asker.endpoint, dialect=server.dialect, request=request)
    findings += [*wire.findings, _checked(asked, subject, client, asker, wire)]
    draft = Draft(endpoint=asked, server=server, request=request, guess=guess, hardware=subject.hardware)
    return Probe(
        base_url=asked.base_url,
        model=asked.model,
        server=server,
        request=request,
        findings=tuple(findings),
        spent=asker.spent,
        entry=write_entry(draft),
    )


def _with_model(endpoint: Endpoint, names: list[str]) -> Endpoint:
    """The only model that is served, where none was named."""
    if endpoint.model:
        return endpoint
    if len(names) == 1:
        return replace(endpoint, model=names[0])
    expected = f"one of {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "the model's name"
    raise InputError([Mistake("command line", "--model", "nothing", expected)])


def _of_server(asker: Asker, server: Server, models: Answer) -> list[Finding]:
    version = f" {server.version}" if server.version else ""
    names = model_names(models)
    listed = f"{len(names)}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else None
    found = [
        Finding(name="server", value=f"{server.name}{version}", how=server.how),
        Finding(name="models", value=listed, how=f"GET /models: HTTP {models.status}"),
    ]
    root = model_entry(models, asker.endpoint.model).get("root")
    if root and root != asker.endpoint.model:
        found.append(Finding(name="really", value=str(root), how="root in GET /models"))
    return found


def _of_model(server: Server, guess: Guess) -> list[Finding]:
    serving = server.serving
    found = []
    if words := described(serving):
        found.append(Finding(name="what it is", value=words, how=server.how))
    card = guess.card.name if guess.card else None
    found.append(Finding(name="model card", value=card, how=guess.how if card else f"no match: {guess.near}"))
    for name, field in (("context", "context"), ("sequences at once", "max_batch"), ("accelerators", "accelerators")):
        if value := getattr(serving, field):
            found.append(Finding(name=name, value=f"{value:,}", how=serving.how.get(field, server.how)))
    how = serving.how.get("precision", "no open path tells it")
    found.append(Finding(name="precision", value=serving.precision, how=how))
    return found


def _cold_start(asker: Asker) -> Finding:
    """Ollama's own account of one tiny answer: loading apart from reading and writing."""
    loaded = any(
        isinstance(each, dict) and asker.endpoint.model in (each.get("name"), each.get("model"))
        for each in asker.get("/api/ps").fields.get("models") or []
    )
    body = {"model": asker.endpoint.model, "prompt": "ready", "stream": False, "options": {"num_predict": 1}}
    times = asker.post("/api/generate", body).fields
    asker.spent.calls += 1
    asker.spent.cap_tokens += 1
    for total, name in (("input_tokens", "prompt_eval_count"), ("output_tokens", "eval_count")):
        count = times.get(name)
        setattr(asker.spent, total, getattr(asker.spent, total) + (count if isinstance(count, int) else 0))
    parts = [
        f"{words} {times[name] / 1e9:.3g} s"
        for words, name in (("load", "load_duration"), ("read", "prompt_eval_duration"), ("write", "eval_duration"))
        if isinstance(times.get(name), int | float)
    ]
    state = "it was loaded already" if loaded else "it was not loaded: a cold start"
    return Finding(name="cold start", value=", ".join(parts) or None, how=f"/api/generate, 1 token; {state}")


def _checked(endpoint: Endpoint, subject: Subject, client: Client, asker: Asker, wire: Wire) -> Finding:
    """The entry is tried as a run will use it."""
    facts = preflight(endpoint, subject.key, client)
    asker.spent.calls += 1
    asker.spent.cap_tokens += 8
    asker.spent.input_tokens += facts["input_tokens"] or 0
    asker.spent.output_tokens += facts["output_tokens"] or 0
    ttft = facts["ttft_s"]
    first = "no visible token" if ttft is None else f"first token after {ttft * 1e3:.1f} ms"
    counted = facts["token_source"] or "no count"
    return Finding(name="the entry below", value=f"{facts['outcome']}, {first}, tokens: {counted}",
                   how="one call, as a run makes it")  # fmt: skip
