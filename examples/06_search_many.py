"""Answer a file of questions; a run that was stopped goes on where it was.

Needs: pip install glossrank
"""

import json
import tempfile
from pathlib import Path

from glossrank import Glossary
from glossrank.many import search_to_file

questions = (Path(__file__).parent / "data" / "questions.txt").read_text("utf-8").splitlines()
glossary = Glossary.load()

# In memory: an iterator, so that the first answers can be used while the last are computed.
for answers in glossary.search_many(questions[:2], top_k=1):
    print(f"{answers.read_as} {answers[0].term.term}")

with tempfile.TemporaryDirectory() as folder:
    output = Path(folder) / "answers.jsonl"
    searcher = glossary.searcher()
    done = search_to_file(searcher, questions[:3], output, top_k=1)
    print(f"first run: {done} answered")

    # As if the power had failed in the middle of the third line.
    output.write_bytes(output.read_bytes()[:-40])
    done = search_to_file(searcher, questions, output, top_k=1)
    print(f"second run: {done} answered, of {len(questions)}")

    # A third run finds nothing to do. Another glossary, model or top_k would be refused: its
    # answers do not belong into the same file.
    print(f"third run: {search_to_file(searcher, questions, output, top_k=1)} answered")
    for line in map(json.loads, output.read_text(encoding="utf-8").splitlines()):
        first = "none of these" if line["none_of_these"] else line["answers"][0]["term"]
        print(f"{line['number']}. {line['question']} {first}")
