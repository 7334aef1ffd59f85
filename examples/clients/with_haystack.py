"""Rank with Haystack: by a glossrank server, and in the same process.

Needs: pip install huggingface-api-haystack, and a server: glossrank serve
In process: pip install glossrank sentence-transformers-haystack
"""

import sys

from haystack import Document
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from haystack_integrations.components.rankers.sentence_transformers import (
    SentenceTransformersSimilarityRanker,
    sentence_transformers_similarity,
)

from glossrank import CrossEncoder

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
QUESTION = "Who still owes us money?"
DOCUMENTS = [
    Document(content="Duties charged on imported goods."),
    Document(content="Sums that customers still owe for goods or services invoiced."),
    Document(content="Amounts owed to suppliers for goods bought on credit."),
]

# Of a server with tokens: token=Secret.from_token("TOKEN").
served = HuggingFaceTEIRanker(url=URL, top_k=2)
for found in served.run(query=QUESTION, documents=DOCUMENTS)["documents"]:
    print(f"served: {found.score:.2f} {found.content}")

# Haystack makes its model itself, from the class of this name, when the ranker first runs.
sentence_transformers_similarity.CrossEncoder = CrossEncoder
# Its default backend, "torch", is glossrank's with torch; this one is the fast one.
own = SentenceTransformersSimilarityRanker(model="finance-terms", backend="openvino", top_k=2)
for found in own.run(query=QUESTION, documents=DOCUMENTS)["documents"]:
    print(f"in process: {found.score:.2f} {found.content}")
