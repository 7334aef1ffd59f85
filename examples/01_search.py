"""Ask the shipped glossary of 256 finance terms a few questions.

Needs: pip install glossrank
"""

from glossrank import Glossary

QUESTIONS = [
    "How long do our customres take to pay?",  # slips are corrected before the model reads it
    "What is our DSO?",  # names the term, so it comes up whatever the model thinks
    "Is our debt fixed-rate or floating-rate?",  # two terms of one family fit about as well
    "Who won the football match on Sunday?",  # no term of finance answers this
]

# Without a source it is the shipped glossary. The model is loaded with the first question,
# and kept for the others.
glossary = Glossary.load()

for question in QUESTIONS:
    answers = glossary.search(question, top_k=2)
    print(question)
    if answers.read_as != question:
        print(f"  read as: {answers.read_as}")
    if answers.none_of_these:
        # The terms are there all the same: say that they are doubtful, do not hide them.
        print(f"  perhaps none of these: {answers.answered:.0%} likely that a term answers it")
    if answers.ambiguous:
        print(f"  close call: {' or '.join(term.term for term in answers.ambiguous)}?")
    for answer in answers:
        reason = f" ({answer.named})" if answer.named else ""
        print(f"  {answer.place}. {answer.term.term}, {answer.probability:.0%}{reason}")
