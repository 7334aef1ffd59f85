#!/bin/sh
# Rank with curl, by a glossrank server, in each of its three dialects.
# Needs: curl, and a server: glossrank serve
set -eu
url=${1:-http://127.0.0.1:8080}
texts='["Duties charged on imported goods.", "Sums that customers still owe."]'

# With --fail-with-body an error's message is printed and the exit code is 22.
# Of a server with tokens: --header 'Authorization: Bearer TOKEN'.
rank() {
	curl --silent --show-error --fail-with-body "$url$1" --header 'Content-Type: application/json' \
		--data "{\"query\": \"Who owes us money?\", \"$2\": $texts}"
	echo
}

rank /rerank texts         # text-embeddings-inference
rank /v2/rerank documents  # Cohere
rank /v1/rerank documents  # Jina
