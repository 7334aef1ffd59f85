"""Rank with LangChain: by a glossrank server, and in the same process.

Needs: pip install glossrank langchain-classic langchain-cohere, and a server: glossrank serve
"""

import sys

from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
from langchain_cohere import CohereRerank
from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.documents import Document

from glossrank import CrossEncoder

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
QUESTION = "Who still owes us money?"
DOCUMENTS = [
    Document("Duties charged on imported goods."),
    Document("Sums that customers still owe for goods or services invoiced."),
    Document("Amounts owed to suppliers for goods bought on credit."),
]

# The key is the server's token. A server without tokens takes any, but the SDK wants one.
served = CohereRerank(base_url=URL, cohere_api_key="none", model="finance-terms", top_n=2)
for document in served.compress_documents(DOCUMENTS, QUESTION):
    print(f"served: {document.metadata['relevance_score']:.2f} {document.page_content}")

# LangChain takes only what is a BaseCrossEncoder. Ours has what that asks for, so it may be
# called one; glossrank does not do so by itself, as it would have to import LangChain.
BaseCrossEncoder.register(CrossEncoder)
own = CrossEncoderReranker(model=CrossEncoder("finance-terms"), top_n=2)
for document in own.compress_documents(DOCUMENTS, QUESTION):
    print(f"in process: {document.page_content}")
