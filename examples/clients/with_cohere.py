"""Rank with the Cohere SDK, by a glossrank server.

Needs: pip install cohere, and a server: glossrank serve
"""

import sys

import cohere

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
QUESTION = "Who still owes us money?"
DEFINITIONS = [
    "Duties charged on imported goods.",
    "Sums that customers still owe for goods or services invoiced.",
    "Amounts owed to suppliers for goods bought on credit.",
]

# The key is the server's token. A server without tokens takes any, but the SDK wants one.
with cohere.ClientV2(base_url=URL, api_key="none") as client:
    found = client.rerank(model="finance-terms", query=QUESTION, documents=DEFINITIONS, top_n=2)
    for result in found.results:
        print(f"{result.relevance_score:.2f} {DEFINITIONS[result.index]}")

    try:
        client.rerank(model="finance-terms", query=QUESTION, documents=[])
    except cohere.BadRequestError as error:
        print(f"refused: {error.body['message']}")
