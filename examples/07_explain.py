"""Show which words of a question, and which part of a definition, carried an answer.

Needs: pip install glossrank
"""

from pathlib import Path

from glossrank import Glossary

glossary = Glossary.load(Path(__file__).parent / "data" / "treasury.yaml")
answers = glossary.search("How far below zero may our bank account go?", top_k=1, explain=True)
answer = answers[0]
print(f"{answer.term.term}: {answer.term.definition}")

# Each word is left out in turn, and the model is asked again. A weight is how far the logit
# falls without it; below 0 the term would score better without the word.
for word in sorted(answer.reasons.words, key=lambda word: -word.weight)[:3]:
    print(f"  word {word.text!r}: {word.weight:+.1f}")

# The same with each part of the definition. The heaviest is the one to show to a reader.
matched = answer.reasons.matched
print(f"  part {matched.text!r}: {matched.weight:+.1f}")
print(f"  it stands at characters {matched.start} to {matched.end}")
