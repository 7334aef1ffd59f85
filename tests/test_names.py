"""Terms that a question calls by name are found, and others are not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossrank import Glossary, Term
from glossrank.names import LONGEST_NAME, MOST_TERMS, Named, NamedBy, NameIndex

ACRONYM, NAME, SYNONYM = NamedBy.ACRONYM, NamedBy.NAME, NamedBy.SYNONYM
INITIALS, WHOLE, COMMON_WORD = NamedBy.INITIALS, NamedBy.WHOLE, NamedBy.COMMON_WORD


def find(question: str, *names: str | Term) -> list[Named]:
    terms = [n if isinstance(n, Term) else Term(f"t{at}", n, "") for at, n in enumerate(names)]
    return NameIndex(terms).find(question)


def how(question: str, *names: str | Term) -> list[tuple[NamedBy, str]]:
    return [(named.by, named.words) for named in find(question, *names)]


def called(*synonyms: str, name: str = "Qwertol Zyx") -> Term:
    return Term("called", name, "", synonyms=synonyms)


DSO = "Days Sales Outstanding (DSO)"
COGS = "Cost of Goods Sold"
PAYBACK = "Payback on Advertising (ROAS)"


@pytest.mark.parametrize(
    ("question", "term", "by", "words"),
    [
        # An acronym in brackets.
        ("Why is our DSO so high?", DSO, ACRONYM, "DSO"),
        ("why is our dso so high?", DSO, ACRONYM, "dso"),
        ("Dso of May", DSO, ACRONYM, "Dso"),
        ("is (DSO) up", DSO, ACRONYM, "DSO"),
        ("is ROAS up", PAYBACK, ACRONYM, "ROAS"),
        ("what did saas cost", "Rented Software (SaaS)", ACRONYM, "saas"),
        # Among synonyms.
        ("is the FCF fine", called("money left over", "FCF"), ACRONYM, "FCF"),
        ("is the fcf fine", called("FCF"), ACRONYM, "fcf"),
        ("how much money left over is there", called("money left over"), SYNONYM, "money left over"),
        ("the qwertol zyx of May", called("FCF"), NAME, "qwertol zyx"),
        # Initials, with small words and without.
        ("are COGS up?", COGS, INITIALS, "COGS"),
        ("are CGS up?", COGS, INITIALS, "CGS"),
        ("are cogs up?", COGS, INITIALS, "cogs"),
        ("is GMROI fine", "Gross Margin Return on Inventory", INITIALS, "GMROI"),
        ("is GMRI fine", "Gross Margin Return on Inventory", INITIALS, "GMRI"),
        ("the YTM of it", "Yield to Maturity", INITIALS, "YTM"),
        ("our D2E then", "Debt 2 Equity", INITIALS, "D2E"),
        # Plurals and possessives.
        ("both DSOs are up", DSO, ACRONYM, "DSOs"),
        ("the DSO's rise", DSO, ACRONYM, "DSO's"),
        ("the DSO\u2019s rise", DSO, ACRONYM, "DSO\u2019s"),
        ("which KPIs count", "Key Measure (KPI)", ACRONYM, "KPIs"),
        ("all trade payables of May", "Trade Payable", NAME, "trade payables"),
        ("a trade payable of May", "Trade Payables", NAME, "trade payable"),
        ("two subsidiaries abroad", "Subsidiary Abroad", NAME, "subsidiaries abroad"),
        ("our shareholder's equity", "Shareholders' Equity", NAME, "shareholder's equity"),
        ("our shareholders equity", "Shareholders\u2019 Equity", NAME, "shareholders equity"),
        ("our shareholders' equity", "Shareholders Equity", NAME, "shareholders' equity"),
        # One word with a sign in it.
        ("is the P/E too high", "Price to Profit (P/E)", ACRONYM, "P/E"),
        ("is the p/e too high", "Price to Profit (P/E)", ACRONYM, "p/e"),
        ("what do we spend on R&D?", called("R&D"), ACRONYM, "R&D"),
        ("what do we spend on r&d?", called("R&D"), ACRONYM, "r&d"),
        ("our SG&A then", called("SG&A"), ACRONYM, "SG&A"),
        # Two letters are an acronym in capitals alone.
        ("is the PE too high", "Price to Profit (PE)", ACRONYM, "PE"),
        # Capitals, hyphens and signs make no other name.
        ("DEBT TO EQUITY RATIO?!", "Debt-to-Equity Ratio", WHOLE, "DEBT TO EQUITY RATIO"),
        ("so: debt to-equity, ratio", "Debt-to-Equity Ratio", NAME, "debt to-equity, ratio"),
        ("is debt/equity up", "Debt Equity", NAME, "debt/equity"),
        # What stands in brackets is no part of the name.
        ("our days sales outstanding", DSO, NAME, "days sales outstanding"),
        ("so net income then", "Net Income (Loss)", NAME, "net income"),
        ("is ebitda up", "EBITDA", ACRONYM, "ebitda"),
        # The whole question.
        ("dso", DSO, WHOLE, "dso"),
        ("  DSO? ", DSO, WHOLE, "DSO"),
        ("Days sales outstanding.", DSO, WHOLE, "Days sales outstanding"),
        ("COGS", COGS, WHOLE, "COGS"),
        ("FCF", called("FCF"), WHOLE, "FCF"),
        ("Qwertols", "Qwertol", WHOLE, "Qwertols"),
        # A word that everybody uses.
        ("how much cash is there", "Cash", COMMON_WORD, "cash"),
        ("how much qwertol is there", "Qwertol", NAME, "qwertol"),
        # Other scripts.
        ("wie hoch ist der \u00fcberschuss im jahr?", "\u00dcberschuss im Jahr", NAME, "\u00fcberschuss im jahr"),
        ("\u73fe\u91d1", "\u73fe\u91d1", WHOLE, "\u73fe\u91d1"),
        ("\u043a\u0430\u043a\u0430\u044f \u0447\u0438\u0441\u0442\u0430\u044f \u043f\u0440\u0438\u0431\u044b\u043b\u044c?", "\u0427\u0438\u0441\u0442\u0430\u044f \u043f\u0440\u0438\u0431\u044b\u043b\u044c", NAME, "\u0447\u0438\u0441\u0442\u0430\u044f \u043f\u0440\u0438\u0431\u044b\u043b\u044c"),
    ],
)  # fmt: skip
def test_a_term_is_found_by(question: str, term: str | Term, by: NamedBy, words: str) -> None:
    assert how(question, term) == [(by, words)]
    # Beside terms that are not meant too.
    assert how(question, "Wqx Vbn", term, "Jkl (WQX)") == [(by, words)]


@pytest.mark.parametrize(
    ("question", "term"),
    [
        # Everyday words.
        ("is there a cap on fees", "Highest Rate (CAP)"),
        ("Cap on fees?", "Highest Rate (CAP)"),
        ("does it cost an arm and a leg", "Adjustable Rate Mortgage (ARM)"),
        ("does it cost an arm and a leg", "Adjustable Rate Mortgage"),
        ("who can pay this", "Current Account Number"),
        ("is it so", "Information Technology (IT)"),
        ("does it pay", called("IT")),
        ("an is as of in", called("IS", "AN")),
        # Parts of longer words.
        ("does the dsort run", DSO),
        ("is our netincome up", "Net Income"),
        ("a supernet income", "Net Income"),
        ("the net incomegroup", "Net Income"),
        ("the cashier is out", "Cash"),
        ("an R&Dx test", called("R&D")),
        ("the taxi is late", "Tax"),
        ("nettes Einkommen", "Net"),
        ("der \u00fcbernet", "Net"),
        # In another order, or with something between.
        ("income, all of it net", "Net Income"),
        ("the net yearly income", "Net Income"),
        # Two words are not enough for initials.
        ("our NI", "Net Income"),
        ("our NI of May", "Net Income of"),
        ("", "Net Income"),
        (" ?! \n", "Net Income"),
    ],
)
def test_a_term_is_not_found_in(question: str, term: str | Term) -> None:
    assert how(question, term) == []


def test_in_capitals_an_everyday_word_is_an_acronym() -> None:
    assert how("Is the CAP or the ARM due?", "Highest Rate (CAP)", called("ARM")) == [
        (ACRONYM, "CAP"),
        (ACRONYM, "ARM"),
    ]


def test_the_longest_name_wins() -> None:
    names = ("Income", "Net Income", "Net Income Margin", "Margin", "Tax")
    found = find("is the net income margin after tax up", *names)
    assert [(named.row, named.words) for named in found] == [(2, "net income margin"), (4, "tax")]
    found = find("is net income up, or income at all", *names)
    assert [(named.row, named.words) for named in found] == [(0, "income"), (1, "net income")]


def test_the_surest_way_counts() -> None:
    both = called("FCF", name="Free Cash Flow")
    assert how("is free cash flow FCF", both) == [(ACRONYM, "FCF")]
    assert how("free cash flow", both) == [(WHOLE, "free cash flow")]
    assert how("is free cash flow money left over", called("money left over", name="Free Cash Flow")) == [
        (NAME, "free cash flow")
    ]  # fmt: skip


def test_a_name_that_several_terms_have_finds_them_all() -> None:
    found = find("what is a cash flow", "Cash Flow", "Cash Flow (group)", called("cash flow"))
    assert [(named.row, named.by) for named in found] == [(0, NAME), (1, NAME), (2, SYNONYM)]
    found = find("our EPS", "Profit per Share (EPS)", called("EPS"), "Equal Pay Scheme")
    assert [(named.row, named.by) for named in found] == [(0, ACRONYM), (1, ACRONYM), (2, INITIALS)]


def test_initials_of_many_terms_say_nothing() -> None:
    names = [f"Qw{letter} Er{letter} Ty{letter}" for letter in "abcdef"]
    assert len(find("is QET up", *names[:MOST_TERMS])) == MOST_TERMS
    assert find("is QET up", *names[: MOST_TERMS + 1]) == []
    assert len(find("is QET up", *names, "Sum (QET)")) == 1


def test_a_sentence_is_no_name() -> None:
    words = [f"w{chr(97 + at)}x" for at in range(LONGEST_NAME + 1)]
    assert how(" ".join(words), " ".join(words[:-1])) == [(NAME, " ".join(words[:-1]))]
    assert how(" ".join(words), " ".join(words)) == []


def test_no_terms() -> None:
    assert find("what is this") == []


def test_reasons_are_told_in_words() -> None:
    assert find("is our dso up", DSO)[0].reason == 'acronym "dso" in the question'
    assert find("is COGS up", COGS)[0].reason == 'initials "COGS" in the question'
    assert find("dso", DSO)[0].reason == "the question is its name"
    assert find("how much cash", "Cash")[0].reason.endswith('"cash" in the question')


def test_every_shipped_term_is_found_by_its_name(glossary: Glossary) -> None:
    index = NameIndex(glossary.terms)
    for row, term in enumerate(glossary.terms):
        for question in (term.term, f"What is {term.term.lower()} of ours?", term.term.upper()):
            assert row in {named.row for named in index.find(question)}, question


WORD = st.text(st.characters(categories=["Ll", "Lu", "Lo", "Nd"]), min_size=1, max_size=8)
PLAIN = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(WORD | PLAIN, min_size=2, max_size=5),
    st.lists(WORD | PLAIN, max_size=6),
    st.lists(WORD | PLAIN, max_size=6),
    st.sampled_from(["", "?", ".", ", ", " - "]),
)
def test_a_name_anywhere_in_a_question_is_found(
    name: list[str], before: list[str], after: list[str], sign: str
) -> None:
    text = " ".join(name)
    question = f"{' '.join(before)} {text}{sign} {' '.join(after)}"
    [named] = find(question, text)
    assert named.words in unicodedata.normalize("NFKC", question)
    # And so it is behind a bracket, or as a synonym.
    assert len(find(question, f"{text} (of May)")) == 1
    assert len(find(question, called(text))) == 1


@settings(deadline=None, max_examples=200)
@given(
    st.lists(PLAIN, min_size=2, max_size=5),
    st.lists(PLAIN, max_size=6),
    st.sampled_from([str.upper, str.title, str.lower, str.swapcase]),
)
def test_capitals_and_other_terms_hide_no_name(
    name: list[str], before: list[str], write: Callable[[str], str]
) -> None:
    text = " ".join(name)
    others = [f"1 {word} 2" for word in before]
    question = f"{' '.join(before)} {write(text)}"
    assert 0 in {named.row for named in find(question, text, *others)}


@settings(deadline=None, max_examples=200)
@given(PLAIN, st.lists(PLAIN, max_size=8))
def test_a_name_that_is_not_there_whole_is_not_found(word: str, question: list[str]) -> None:
    assert find(" ".join([*question, word]), f"{word} 123", f"123 {word}") == []


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_goes_through(question: str, names: list[str]) -> None:
    terms = [Term(f"t{at}", name, "", synonyms=(name[::-1],)) for at, name in enumerate(names)]
    found = NameIndex(terms).find(question)
    assert [named.row for named in found] == sorted({named.row for named in found})
    plain = unicodedata.normalize("NFKC", question)
    assert all(named.words in plain and named.reason for named in found)


# Names that are written otherwise.
@pytest.mark.parametrize(
    ("question", "term"),
    [
        # "&" is no word, so it is neither "and" nor left out.
        ("our research and development costs", "Research & Development"),
        ("our research & development costs", "Research and Development"),
        # Plurals in -es.
        ("our deferred taxes", "Deferred Tax"),
        ("our credit losses", "Credit Loss"),
        ("all bank branches", "Bank Branch"),
        # The singular of an acronym that is given in the plural.
        ("which KPI counts", "Key Measures (KPIs)"),
        # A bracket within a word.
        ("our 401(k) plan", "401(k) Plan"),
        # Acronyms with a sign that splits words.
        ("is EV/EBITDA high", "Enterprise Multiple (EV/EBITDA)"),
        ("is ev/ebitda high", called("EV/EBITDA")),
        ("are T-Bills safe", called("T-Bill")),
        ("what we sell in the U.S. now", called("U.S.")),
        # The same letters in another form of Unicode.
        ("der U\u0308berschuss im Jahr", "\u00dcberschuss im Jahr"),
        ("\uff32\uff2f\uff21\uff33 then", PAYBACK),
    ],
)
def test_missed_names(question: str, term: str | Term) -> None:
    assert len(find(question, term)) == 1


# With its bracket the name is whole too.
@pytest.mark.parametrize("name", ["Earnings per Share (EPS)", "Net Income (Loss)"])
def test_the_whole_name_with_its_bracket(name: str) -> None:
    assert [named.by for named in find(f"{name}?", name)] == [WHOLE]


# Everyday words that are initials.
@pytest.mark.parametrize(
    ("question", "term"),
    [
        # The plural of an everyday word.
        ("how many cars did we sell", "Capital Adequacy Ratio"),
        ("are there caps on fees", "Highest Rate (CAP)"),
        # Everyday words that the list does not have.
        ("where do we eat out", "Earnings After Tax"),
        ("who lends an ear", "Employee Attrition Rate"),
        ("is the meat fat", "Fixed Asset Turnover"),
        ("the lab is closed", "Land and Buildings"),
        # Letters beyond a to z are dropped, and others then make an acronym.
        ("who pays for the caf\u00e9", "Cost Factor (CAF)"),
        ("welche Gr\u00f6\u00dfe ist das", "Gross Rate (GRE)"),
        # A question all in capitals says nothing with capitals.
        ("HOW HIGH IS THE CAP ON FEES?", "Highest Rate (CAP)"),
    ],
)
def test_names_that_are_none(question: str, term: str) -> None:
    assert how(question, term) == []


def test_initials_of_a_name_with_an_ampersand() -> None:
    terms = "Selling & General Administration Expenses", "Profit & Loss Statement"
    index = NameIndex([Term(name, name, "x") for name in terms])
    assert [named.row for named in index.find("our SGAE and the P&LS")] == [0, 1]


def test_acronyms_that_are_given_stay_beside_initials() -> None:
    names = ["Even Pay Scale", "Early Payment Scheme", "Extra Plant Site"]
    terms = [Term(name, name, "x") for name in names]
    terms.append(Term("eps", "Earnings per Share", "x", synonyms=("EPS",)))
    assert 3 in {named.row for named in NameIndex(terms).find("what is the EPS")}


def test_the_kind_that_says_most_is_kept() -> None:
    index = NameIndex([Term("roas", "Return on Advertising Spend", "x")])
    [named] = index.find("What is ROAS, the return on advertising spend?")
    assert named.by is NamedBy.INITIALS
