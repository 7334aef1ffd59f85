"""Use glossrank where sentence-transformers' CrossEncoder stands: the import is all that changes.

Needs: pip install glossrank
"""

from glossrank import CrossEncoder  # was: from sentence_transformers import CrossEncoder

# A packaged model. A folder, or a hub id such as "cross-encoder/ms-marco-MiniLM-L6-v2", works
# as well; a hub id needs a network the first time.
model = CrossEncoder("finance-terms")

QUESTION = "Who still owes us money?"
DEFINITIONS = [
    "Duties charged on imported goods.",
    "Sums that customers still owe for goods or services invoiced.",
    "Amounts owed to suppliers for goods bought on credit.",
]

scores = model.predict([(QUESTION, definition) for definition in DEFINITIONS])
print(f"predict: {scores.shape[0]} scores of type {scores.dtype}")
for score, definition in sorted(zip(scores, DEFINITIONS, strict=True), reverse=True):
    print(f"  {score:+.1f} {definition}")

print("rank:")
for result in model.rank(QUESTION, DEFINITIONS, top_k=2, return_documents=True):
    print(f"  document {result['corpus_id']}: {result['text']}")

# What sentence-transformers does not have: how likely each document is the answer.
best = model.rank(QUESTION, DEFINITIONS, top_k=1, return_probabilities=True)[0]
print(f"probability of the first: {best['probability']:.0%}")
