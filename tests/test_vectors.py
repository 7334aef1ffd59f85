from __future__ import annotations

import numpy as np

from glossrank.vectors import shipped_vectors


def test_texts_of_one_meaning_are_near_each_other() -> None:
    texts = [
        "How quick are we getting paid by customers?",
        "Average days customers take to pay invoices.",
        "Duties charged on imported goods.",
    ]
    vectors = shipped_vectors().encode(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2


def test_a_text_is_the_same_alone_and_among_others() -> None:
    texts = ["tax", "", "cash flow", "\N{PILE OF POO}"]
    together = shipped_vectors().encode(texts)
    for row, text in enumerate(texts):
        assert np.array_equal(shipped_vectors().encode([text])[0], together[row])
    assert not together[1].any()
    assert shipped_vectors().encode([]).shape == (0, together.shape[1])
