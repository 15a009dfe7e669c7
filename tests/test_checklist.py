from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from mollie_onboarding.enumerations import LEGAL_ENTITIES, OTHER_LEGAL_ENTITY
from mollie_onboarding.summary import checklist
from mollie_onboarding.summary.checklist import CODES_BY_KIND, KINDS, Kind, kind_of
from tests.pages import Page

CODES = {code: country for country, entities in LEGAL_ENTITIES.items() for code in entities}


def texts(country, legal_entity):
    return [str(item.text) for item in checklist(country, legal_entity)]


def hint(country, legal_entity, text):
    [item] = [item for item in checklist(country, legal_entity) if item.text == text]
    return str(item.hint)


# Kinds of legal forms


def test_every_legal_form_is_of_one_kind():
    listed = " ".join(CODES_BY_KIND.values()).split()

    assert len(listed) == len(set(listed)) == 207
    assert set(listed) == set(CODES)
    assert set(CODES_BY_KIND) == set(Kind)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("eenmanszaak", Kind.SOLE_TRADER),
        ("einzelunternehmen", Kind.SOLE_TRADER),
        ("individu", Kind.SOLE_TRADER),
        ("vof", Kind.PARTNERSHIP),
        ("maatschap", Kind.PARTNERSHIP),
        ("gmbh", Kind.COMPANY),
        ("aktie", Kind.COMPANY),
        ("stift", Kind.ASSOCIATION),
        ("stichting", Kind.ASSOCIATION),
        ("verein", Kind.ASSOCIATION),
        ("fonda", Kind.ASSOCIATION),
        ("offentlich", Kind.PUBLIC_BODY),
        ("trust", Kind.UNKNOWN),
        ("fiduci", Kind.UNKNOWN),
    ],
)
def test_legal_forms_of_one_name_are_of_one_kind(part, kind):
    """A slip of the pen in so long a list is found by the words that the codes share."""
    exceptions = {"be-vereniging-zonder-winstoogmerk", "be-tijdelijke-handelsvennootschap"}
    named = {code for code in KINDS if part in code.split("-", 1)[1]} - exceptions
    named -= {"nl-waarborgmaatschappij", "de-interessen-verienigung", "at-interessen-verienigung"}

    assert len(named) > 1
    assert {code: KINDS[code] for code in named} == dict.fromkeys(named, kind)


@pytest.mark.parametrize("code", ["", OTHER_LEGAL_ENTITY, "nl-new-at-mollie", "🙈"])
def test_other_legal_forms_are_of_no_known_kind(code):
    assert kind_of(code) is Kind.UNKNOWN


# The list


@pytest.mark.parametrize("code", [*CODES, "", OTHER_LEGAL_ENTITY])
def test_list_is_short_and_says_everything_once(code):
    items = checklist(CODES.get(code, "NL"), code)

    assert 4 <= len(items) <= 6
    assert len({item.text for item in items}) == len(items)
    assert {"VAT number", "Identity papers", "Bank account", "Your website"} <= {
        str(item.text) for item in items
    }


def test_list_of_nobody_in_particular():
    assert texts("", "") == [
        "Registration number",
        "VAT number",
        "Identity papers",
        "Bank account",
        "Your website",
    ]
    assert [item.national_name for item in checklist("", "")] == [""] * 5


def test_list_of_a_company():
    assert texts("NL", "nl-bv") == [
        "Registration number",
        "VAT number",
        "Identity papers",
        "Owners",
        "Bank account",
        "Your website",
    ]
    assert hint("NL", "nl-bv", "Registration number") == ""
    assert "more than a quarter" in hint("NL", "nl-bv", "Owners")
    assert "sign for the company" in hint("NL", "nl-bv", "Identity papers")
    assert "organization's name" in hint("NL", "nl-bv", "Bank account")


def test_list_of_a_sole_trader():
    assert "Owners" not in texts("NL", "nl-eenmanszaak")
    assert hint("NL", "nl-eenmanszaak", "Identity papers") == "Your own passport or identity card."
    assert "your own name" in hint("NL", "nl-eenmanszaak", "Bank account")
    assert hint("NL", "nl-eenmanszaak", "Registration number") == "If your organization is in a register."


def test_list_of_a_partnership():
    assert "every partner" in hint("NL", "nl-vof", "Identity papers")
    assert "Owners" not in texts("NL", "nl-vof")


@pytest.mark.parametrize("code", ["nl-stichting", "de-verein", "fr-association"])
def test_list_of_an_association_or_foundation(code):
    """Lessons 1.9: Mollie's wizard asks them for a company certificate that they cannot have."""
    country = CODES[code]

    assert texts(country, code)[:3] == ["Registration number", "Your statutes", "VAT number"]
    assert "company certificate" in hint(country, code, "Your statutes")
    assert "members of the board" in hint(country, code, "Identity papers")
    assert "Owners" not in texts(country, code)


@pytest.mark.parametrize("code", ["nl-overheid", "nl-trust", "other", ""])
def test_list_of_the_others(code):
    assert "sign for the organization" in hint("NL", code, "Identity papers")
    assert "Your statutes" not in texts("NL", code)
    assert "Owners" not in texts("NL", code)


@pytest.mark.parametrize("code", ["gb-sole-trader", "de-freiberufler", "at-gesbr"])
def test_list_without_a_registration_number_where_there_is_none(code):
    assert texts(CODES[code], code)[0] == "VAT number"


@pytest.mark.parametrize(
    ("country", "code", "names"),
    [
        ("NL", "nl-bv", [("KvK-nummer", "nl"), ("Btw-nummer", "nl")]),
        ("DE", "de-verein", [("Vereinsregisternummer", "de"), ("USt-IdNr.", "de")]),
        ("GB", "gb-ltd", []),  # the page speaks their language
        ("US", "", []),
    ],
)
def test_list_has_the_names_of_the_country(country, code, names):
    items = checklist(country, code)

    assert [(item.national_name, item.language) for item in items if item.national_name] == names


def test_items_are_what_they_are():
    with pytest.raises(AttributeError):
        checklist("NL", "nl-bv")[0].text = "Money"


# The page


def test_list_on_a_page():
    page = Page(
        render_to_string("mollie_onboarding/includes/checklist.html", {"checklist": checklist("NL", "nl-bv")})
    )

    items = page.find("ul", class_="checklist").find_all("li")
    assert page.find("h2").text == "Have this at hand"
    assert page.find("p").text == "Mollie may ask you for:"
    assert items[0].text == "Registration number (KvK-nummer)"
    assert items[0].find("span")["lang"] == "nl"
    assert items[1].text == "VAT number (Btw-nummer) If you have one."
    assert items[1].find("span", class_="detail").text == "If you have one."
    assert len(items) == 6


def test_list_on_a_page_that_has_its_own_heading():
    context = {"checklist": checklist("", ""), "without_heading": True}
    page = Page(render_to_string("mollie_onboarding/includes/checklist.html", context))

    assert page.find_all("h2") == []
    assert len(page.find_all("li")) == 5


def test_no_list_is_nothing():
    assert render_to_string("mollie_onboarding/includes/checklist.html", {"checklist": ()}).strip() == ""


def test_list_speaks_the_language_of_the_page():
    with translation.override("nl"):
        assert str(checklist("GB", "gb-ltd")[1].text) == "btw-nummer"
        assert checklist("NL", "nl-bv")[1].national_name == ""
        assert checklist("GB", "gb-ltd")[1].national_name == "VAT number"
