"""What teams write themselves: FastAPI around sentence-transformers' CrossEncoder, TEI's /rerank.

python benchmarks/peers/serve_sentence_transformers.py MODEL_FOLDER PORT [bfloat16]
"""

from __future__ import annotations

import sys
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import CrossEncoder


class Request(BaseModel):
    query: str
    texts: list[str]


def main() -> None:
    # torch.float32 unless another is named.
    options = {"dtype": sys.argv[3]} if len(sys.argv) > 3 else {}
    model = CrossEncoder(sys.argv[1], device="cpu", model_kwargs=options)
    one_at_a_time = threading.Lock()
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {}

    @app.post("/rerank")
    def rerank(body: Request) -> list[dict[str, float]]:
        # Torch uses all cores for one call; two at once would share them.
        with one_at_a_time:
            scores = model.predict(
                [(body.query, text) for text in body.texts], show_progress_bar=False
            )
        order = sorted(range(len(scores)), key=lambda at: -scores[at])
        return [{"index": at, "score": float(scores[at])} for at in order]

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
