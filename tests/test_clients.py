"""Clients that others wrote, unchanged: by a server, and with glossrank's CrossEncoder in process.

They are in the extra [clients]. What is not installed is left out, unless GLOSSRANK_NEEDS_CLIENTS=1.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from glossrank import CrossEncoder
from glossrank.errors import ModelNotFoundError
from tests.live_server import Server, running

# No test may call the network; Haystack would send what it is used for.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "clients"
QUESTION = "Who still owes us money?"
TEXTS = (
    "Duties charged on imported goods.",
    "Amounts owed to suppliers for goods bought on credit.",
    "Sums that customers still owe for goods or services invoiced.",
    "A contract to use an asset for a time.",
)
TOKEN = "a-token-of-the-tests"
MODEL = "finance-terms"
Ranked = list[tuple[int, float]]

# The clients of LangChain and LlamaIndex have no way to close their connections.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    """Objects of a test end with it, so that their warnings do not come up in another module."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder(MODEL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Asks for a token, so that a client that ranks has sent it."""
    folder = tmp_path_factory.mktemp("clients")
    tokens = folder / "tokens"
    tokens.write_text(f"{TOKEN}\n", encoding="utf-8")
    tokens.chmod(0o600)
    with running(folder / "data", "--token-file", str(tokens)) as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def open_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server without tokens, the default."""
    with running(tmp_path_factory.mktemp("clients-open") / "data") as found:
        yield f"http://127.0.0.1:{found.port}"


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def expected(model: CrossEncoder, **options: Any) -> Ranked:
    ranks = model.rank(QUESTION, TEXTS, **options)
    return [(rank["corpus_id"], rank["score"]) for rank in ranks]


def assert_same(found: Ranked, right: Ranked) -> None:
    assert [at for at, _ in found] == [at for at, _ in right]
    # What a joined batch may move a logit by, in bf16 (docs/server.md).
    assert [score for _, score in found] == pytest.approx([s for _, s in right], abs=0.02)


def installed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        if os.environ.get("GLOSSRANK_NEEDS_CLIENTS") == "1":
            raise
        pytest.skip(f"{module} is not installed (pip install '.[clients]')")


# ---- by a server


@dataclass(frozen=True)
class Asked:
    url: str
    token: str = TOKEN
    question: str = QUESTION
    texts: Sequence[str] = TEXTS
    most: int = len(TEXTS)


def cohere_v2(asked: Asked) -> Ranked:
    with installed("cohere").ClientV2(base_url=asked.url, api_key=asked.token) as client:
        found = client.rerank(
            model=MODEL, query=asked.question, documents=asked.texts, top_n=asked.most
        )
    return [(result.index, result.relevance_score) for result in found.results]


def cohere_v2_async(asked: Asked) -> Ranked:
    cohere = installed("cohere")

    async def rerank() -> Any:
        async with cohere.AsyncClientV2(base_url=asked.url, api_key=asked.token) as client:
            return await client.rerank(
                model=MODEL, query=asked.question, documents=asked.texts, top_n=asked.most
            )

    found = asyncio.run(rerank())
    return [(result.index, result.relevance_score) for result in found.results]


def cohere_v1(asked: Asked) -> Ranked:
    with installed("cohere").Client(base_url=asked.url, api_key=asked.token) as client:
        found = client.rerank(query=asked.question, documents=asked.texts, top_n=asked.most)
    assert all(r.document.text == asked.texts[r.index] for r in found.results)
    return [(result.index, result.relevance_score) for result in found.results]


def langchain_cohere(asked: Asked) -> Ranked:
    client = installed("langchain_cohere").CohereRerank(
        base_url=asked.url, cohere_api_key=asked.token, model=MODEL, top_n=asked.most
    )
    documents = client.compress_documents(langchain_documents(asked.texts), asked.question)
    return [(d.metadata["at"], d.metadata["relevance_score"]) for d in documents]


def llama_index_cohere(asked: Asked) -> Ranked:
    client = installed("llama_index.postprocessor.cohere_rerank").CohereRerank(
        base_url=asked.url, api_key=asked.token, model=MODEL, top_n=asked.most
    )
    return of_llama_index(client, asked.question, asked.texts)


def llama_index_tei(asked: Asked) -> Ranked:
    client = installed("llama_index.postprocessor.tei_rerank").TextEmbeddingInference(
        base_url=asked.url, auth_token=f"Bearer {asked.token}", top_n=asked.most
    )
    return of_llama_index(client, asked.question, asked.texts)


def llama_index_jina(asked: Asked) -> Ranked:
    client = installed("llama_index.postprocessor.jinaai_rerank").JinaRerank(
        base_url=f"{asked.url}/v1", api_key=asked.token, top_n=asked.most
    )
    return of_llama_index(client, asked.question, asked.texts)


def haystack_tei(asked: Asked) -> Ranked:
    module = installed("haystack_integrations.components.rankers.huggingface_api")
    ranker = module.HuggingFaceTEIRanker(url=asked.url, token=secret(asked.token), top_k=asked.most)
    return of_haystack(ranker, asked.question, asked.texts)


def haystack_cohere(asked: Asked) -> Ranked:
    module = installed("haystack_integrations.components.rankers.cohere")
    ranker = module.CohereRanker(
        api_base_url=asked.url, api_key=secret(asked.token), top_k=asked.most
    )
    return of_haystack(ranker, asked.question, asked.texts)


def haystack_jina(asked: Asked) -> Ranked:
    module = installed("haystack_integrations.components.rankers.jina")
    ranker = module.JinaRanker(
        base_url=f"{asked.url}/v1/rerank", api_key=secret(asked.token), top_k=asked.most
    )
    return of_haystack(ranker, asked.question, asked.texts)


def curl(asked: Asked) -> Ranked:
    command = [curl_program(), "--silent", "--fail-with-body", f"{asked.url}/rerank"]
    for header in (f"Authorization: Bearer {asked.token}", "Content-Type: application/json"):
        command += ["--header", header]
    body = json.dumps({"query": asked.question, "texts": asked.texts})
    done = subprocess.run([*command, "--data", body], capture_output=True, text=True, check=False)
    if done.returncode:
        assert done.returncode == 22, done.stderr
        raise RuntimeError(json.loads(done.stdout)["error"])
    return [(rank["index"], rank["score"]) for rank in json.loads(done.stdout)][: asked.most]


def curl_program() -> str:
    found = shutil.which("curl")
    if found is None:
        assert os.environ.get("GLOSSRANK_NEEDS_CLIENTS") != "1", "curl is not installed"
        pytest.skip("curl is not installed")
    return found


def langchain_documents(texts: Sequence[str]) -> list[Any]:
    make = installed("langchain_core.documents").Document
    return [make(page_content=text, metadata={"at": at}) for at, text in enumerate(texts)]


def of_llama_index(reranker: Any, question: str, texts: Sequence[str]) -> Ranked:
    schema = installed("llama_index.core.schema")
    nodes = [
        schema.NodeWithScore(node=schema.TextNode(text=text, id_=str(at)))
        for at, text in enumerate(texts)
    ]
    found = reranker.postprocess_nodes(nodes, query_str=question)
    return [(int(node.node.node_id), node.score) for node in found]


def secret(token: str) -> Any:
    return installed("haystack.utils").Secret.from_token(token)


def of_haystack(ranker: Any, question: str, texts: Sequence[str], **options: Any) -> Ranked:
    make = installed("haystack").Document
    documents = [make(id=str(at), content=text) for at, text in enumerate(texts)]
    found = ranker.run(query=question, documents=documents, **options)
    return [(int(document.id), document.score) for document in found["documents"]]


Client = Callable[[Asked], Ranked]
SDK: tuple[Client, ...] = (cohere_v2, cohere_v2_async, cohere_v1)
TEI: tuple[Client, ...] = (llama_index_tei, haystack_tei, curl)
OTHERS: tuple[Client, ...] = (
    langchain_cohere, llama_index_cohere, llama_index_jina, haystack_cohere, haystack_jina,
)  # fmt: skip


def each(*clients: Client) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", clients, ids=[c.__name__ for c in clients])


@each(*SDK, *OTHERS, *TEI)
def test_a_client_gets_what_the_model_ranks(client: Client, url: str, model: CrossEncoder) -> None:
    right = expected(model, activation_fn=logistic)
    assert_same(client(Asked(url)), right)
    assert_same(client(Asked(url, most=2)), right[:2])


@each(*SDK, *OTHERS, *TEI)
def test_a_client_needs_no_token_by_default(client: Client, open_url: str) -> None:
    [(at, _)] = client(Asked(open_url, token="none", most=1))
    assert at == 2


@each(*SDK, *OTHERS, *TEI)
def test_a_client_may_send_more_texts_than_tei_takes(client: Client, url: str) -> None:
    # text-embeddings-inference refuses more than 32 unless it is told otherwise.
    texts = [f"Import duty number {number}." for number in range(60)]
    texts[41] = TEXTS[2]
    [(at, _)] = client(Asked(url, texts=texts, most=1))
    assert at == 41


@each(*SDK, *OTHERS, haystack_tei, curl)
def test_a_client_shows_that_its_token_is_wrong(client: Client, url: str) -> None:
    by_sdk = "cohere" in client.__name__
    refusal = installed("cohere").UnauthorizedError if by_sdk else RuntimeError
    with pytest.raises(refusal) as caught:
        client(Asked(url, token="wrong"))
    message = "expected a known token in 'Authorization: Bearer ...', found another."
    assert message in str(caught.value)
    if by_sdk:
        assert list(caught.value.body.values()) == [message]


def test_llama_index_reads_an_error_of_tei_as_ranks(url: str) -> None:
    # docs/clients.md warns of it. If this fails, its client looks at the status by now.
    with pytest.raises((TypeError, AssertionError)):
        llama_index_tei(Asked(url, token="wrong"))
    with pytest.raises(TypeError):
        llama_index_tei(Asked(url, token="wrong", texts=TEXTS[:2]))


@each(*SDK, *OTHERS)
def test_a_client_shows_that_the_question_is_empty(client: Client, url: str) -> None:
    with pytest.raises(Exception, match="query: String should have at least 1 character"):
        client(Asked(url, question=""))


@each(cohere_v2, cohere_v2_async, haystack_cohere)
def test_cohere_shows_that_there_are_no_documents(client: Client, url: str) -> None:
    with pytest.raises(installed("cohere").BadRequestError) as caught:
        client(Asked(url, texts=()))
    message = "invalid request: list of documents must not be empty"
    assert caught.value.body == {"message": message}


def test_others_show_that_there_are_no_documents(url: str) -> None:
    with pytest.raises(RuntimeError, match="`texts` cannot be empty"):
        curl(Asked(url, texts=()))
    with pytest.raises(installed("cohere").UnprocessableEntityError) as caught:
        cohere_v1(Asked(url, texts=()))
    assert caught.value.body == {"detail": "expected at least one document, found none. Send some."}


@each(
    langchain_cohere,
    llama_index_cohere,
    llama_index_jina,
    llama_index_tei,
    haystack_jina,
    haystack_tei,
)
def test_frameworks_do_not_ask_about_no_documents(client: Client, url: str) -> None:
    assert client(Asked(url, texts=())) == []


def test_raw_scores_are_logits(url: str, model: CrossEncoder) -> None:
    module = installed("haystack_integrations.components.rankers.huggingface_api")
    ranker = module.HuggingFaceTEIRanker(url=url, token=secret(TOKEN), raw_scores=True)
    assert_same(of_haystack(ranker, QUESTION, TEXTS), expected(model))


# ---- in process


def test_langchain_in_process(model: CrossEncoder) -> None:
    compressors = installed("langchain_classic.retrievers.document_compressors")
    base = installed("langchain_core.cross_encoders").BaseCrossEncoder
    base.register(CrossEncoder)
    documents = langchain_documents(TEXTS)
    reranker = compressors.CrossEncoderReranker(model=model, top_n=3)
    found = [d.metadata["at"] for d in reranker.compress_documents(documents, QUESTION)]
    assert found == [at for at, _ in expected(model)][:3]
    assert list(reranker.compress_documents([], QUESTION)) == []
    assert all(type(score) is float for score in reranker.model.score([(QUESTION, TEXTS[0])]))


def llama_index_in_process(**options: Any) -> Any:
    module = installed("llama_index.postprocessor.sbert_rerank")
    with patch("sentence_transformers.CrossEncoder", CrossEncoder):
        return module.SentenceTransformerRerank(device="cpu", **options)


def test_llama_index_in_process(model: CrossEncoder) -> None:
    reranker = llama_index_in_process(model=MODEL, top_n=len(TEXTS))
    assert_same(of_llama_index(reranker, QUESTION, TEXTS), expected(model))
    assert isinstance(reranker._model, CrossEncoder)
    assert of_llama_index(reranker, QUESTION, ()) == []


def test_llama_index_shows_what_is_wrong() -> None:
    with pytest.raises(ModelNotFoundError, match="no-such-model"):
        llama_index_in_process(model="no-such-model")
    with pytest.raises(ValueError, match="tokenizer_kwargs must be empty"):
        llama_index_in_process(
            model=MODEL, cross_encoder_kwargs={"tokenizer_kwargs": {"use_fast": False}}
        )


@pytest.fixture
def haystack_ranker(monkeypatch: pytest.MonkeyPatch) -> Any:
    package = "haystack_integrations.components.rankers.sentence_transformers"
    module = installed(f"{package}.sentence_transformers_similarity")
    monkeypatch.setattr(module, "CrossEncoder", CrossEncoder)
    return module.SentenceTransformersSimilarityRanker


# "torch" is Haystack's default.
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_haystack_in_process(haystack_ranker: Any, backend: Any) -> None:
    right = CrossEncoder(MODEL, backend=backend)
    ranker = haystack_ranker(model=MODEL, backend=backend)
    found = of_haystack(ranker, QUESTION, TEXTS)
    assert_same(found, expected(right, activation_fn=logistic))
    assert_same(of_haystack(ranker, QUESTION, TEXTS, scale_score=False), expected(right))
    assert isinstance(ranker._cross_encoder, CrossEncoder)
    assert ranker._cross_encoder.backend == backend
    assert of_haystack(ranker, QUESTION, ()) == []


def test_haystack_shows_what_is_wrong(haystack_ranker: Any) -> None:
    with pytest.raises(ModelNotFoundError, match="no-such-model"):
        haystack_ranker(model="no-such-model", backend="openvino").warm_up()
    with pytest.raises(ValueError, match="config_kwargs must be empty"):
        haystack_ranker(model=MODEL, config_kwargs={"num_labels": 2}).warm_up()


# ---- examples and documentation


def output_of(command: list[str]) -> list[str]:
    done = subprocess.run(
        command, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "utf-8"}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


NEEDED = {
    "with_cohere.py": ("cohere",),
    "with_langchain.py": ("langchain_cohere", "langchain_classic"),
    "with_llama_index.py": (
        "llama_index.postprocessor.tei_rerank", "llama_index.postprocessor.sbert_rerank",
    ),
    "with_haystack.py": (
        "haystack_integrations.components.rankers.huggingface_api",
        "haystack_integrations.components.rankers.sentence_transformers",
    ),
    "with_curl.sh": (),
}  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
def test_an_example_runs(name: str, open_url: str) -> None:
    for module in NEEDED[name]:
        installed(module)
    if name == "with_curl.sh":
        curl_program()
        tei, cohere, jina = map(json.loads, output_of(["sh", str(EXAMPLES / name), open_url]))
        assert [rank["index"] for rank in tei] == [1, 0]
        for found in (cohere, jina):
            assert [result["index"] for result in found["results"]] == [1, 0]
        return
    lines = output_of([sys.executable, str(EXAMPLES / name), open_url])
    if name == "with_cohere.py":
        assert lines.pop() == "refused: invalid request: list of documents must not be empty"
        firsts, seconds = lines[::2], lines[1::2]
    else:
        assert [line.split(":")[0] for line in lines] == ["served"] * 2 + ["in process"] * 2
        firsts, seconds = lines[::2], lines[1::2]
    assert all("customers still owe" in line for line in firsts)
    assert all("owed to suppliers" in line for line in seconds)


def test_every_example_is_run_and_short() -> None:
    assert sorted(file.name for file in EXAMPLES.iterdir()) == sorted(NEEDED)
    for file in EXAMPLES.iterdir():
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 50, file.name


def test_the_documentation_runs(url: str, tmp_path: Path) -> None:
    for modules in NEEDED.values():
        for module in modules:
            installed(module)
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    page = page.replace("http://127.0.0.1:8080", url).replace("TOKEN", TOKEN)
    script = tmp_path / "snippets.py"
    script.write_text(
        "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)), encoding="utf-8"
    )
    lines = output_of([sys.executable, str(script)])
    assert lines == ["Sums that customers still owe us."] * 11
    curl_program()
    [shell] = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    [ranks] = map(json.loads, output_of(["sh", "-c", shell]))
    assert [rank["index"] for rank in ranks] == [1, 0]
