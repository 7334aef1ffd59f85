"""Rank with LlamaIndex: by a glossrank server, and in the same process.

Needs: pip install llama-index-postprocessor-tei-rerank, and a server: glossrank serve
In process: pip install glossrank sentence-transformers llama-index-postprocessor-sbert-rerank
"""

import sys
from unittest.mock import patch

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.sbert_rerank import SentenceTransformerRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

from glossrank import CrossEncoder

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
QUESTION = "Who still owes us money?"
NODES = [
    NodeWithScore(node=TextNode(text="Duties charged on imported goods.")),
    NodeWithScore(node=TextNode(text="Sums that customers still owe for goods or services.")),
    NodeWithScore(node=TextNode(text="Amounts owed to suppliers for goods bought on credit.")),
]

# Of a server with tokens: auth_token="Bearer TOKEN".
served = TextEmbeddingInference(base_url=URL, top_n=2)
for found in served.postprocess_nodes(NODES, query_str=QUESTION):
    print(f"served: {found.score:.2f} {found.text}")

# LlamaIndex makes its model itself, from the class of this name, and only here.
with patch("sentence_transformers.CrossEncoder", CrossEncoder):
    own = SentenceTransformerRerank(model="finance-terms", device="cpu", top_n=2)
for found in own.postprocess_nodes(NODES, query_str=QUESTION):
    print(f"in process: {found.score:+.1f} {found.text}")
