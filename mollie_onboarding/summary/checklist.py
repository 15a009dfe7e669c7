"""What a merchant should have at hand before going to Mollie, by country and legal form.

Mollie decides what it asks for, and publishes no list by legal form; so this names what every wizard of its kind needs, and
says of nothing that it will be asked for.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mollie_onboarding.registers import (
    LEGAL_ENTITIES_WITHOUT_REGISTRATION_NUMBER,
    NationalNumber,
    find_registration_number,
    find_vat_number,
)


class ChecklistItem(NamedTuple):
    text: str | Promise
    hint: str | Promise = ""
    # What the country calls it in its own language, where that is not what the text says already.
    national_name: str = ""
    language: str = ""


class Kind(Enum):
    """What of a legal form decides who must show what."""

    SOLE_TRADER = "sole trader"
    PARTNERSHIP = "partnership"
    COMPANY = "company"
    ASSOCIATION = "association or foundation"
    PUBLIC_BODY = "public body"
    UNKNOWN = "unknown"


# Each code of Mollie's list is in one of them. Cooperatives, and all that is owned by shares, count as companies.
CODES_BY_KIND = {
    Kind.SOLE_TRADER: (
        "nl-eenmanszaak be-eenmanszaak de-einzelunternehmen de-freiberufler at-einzelunternehmen at-freie-berufe "
        "fr-entreprise-individuelle fr-auto-entrepreneur lu-ei es-autonomo es-comerciante-individual pt-eirl "
        "pt-empresario-nome-individual ch-einzelunternehmen fi-toiminimi dk-enkeltmandsvirksomhed se-enskild-firma "
        "no-enk it-ditta-individuale gb-sole-trader"
    ),
    Kind.PARTNERSHIP: (
        "nl-cv nl-eesv nl-maatschap nl-vof be-comm-v be-economisch-samenwerkingsverband be-landbouwvennootschap "
        "be-maatschap be-stille-handelsvennootschap be-tijdelijke-handelsvennootschap be-vof "
        "de-gesellschaft-burgerlichen-rechts de-interessen-verienigung de-kg de-ohg de-partnergesellschaft at-gesbr "
        "at-interessen-verienigung at-keg at-kommanditgesellschaft at-oeg at-offene-gesellschaft fr-gie fr-sc fr-snc "
        "lu-scsp lu-secs lu-senc es-cb es-sr-src es-sociedad-civil es-sociedad-comanditaria pt-sociedade-comandita "
        "pt-sociedade-nome-colectivo ch-eg ch-kg ch-kig fi-avoin-yhtio fi-kommandiittiyhtio dk-interessentskab "
        "dk-kommanditselskab se-enkla-bolag se-hb se-kb no-ans-da no-da no-ks it-sas it-snc it-ss gb-llp gb-lp "
        "gb-general-partnership"
    ),
    Kind.COMPANY: (
        "nl-bv nl-cooperatie nl-nv nl-sce nl-se nl-waarborgmaatschappij be-bv be-bvba be-comm-va be-cv be-cvoa "
        "be-cvoha be-cvba be-eenmans-bvba be-europese-cooperatieve-vennootschap be-europese-vennootschap be-nv "
        "be-s-bvba de-aktiengesellschaft de-eingetragene-genossenschaft de-gmbh de-se de-unternehmergesellschaft "
        "at-aktiengesellschaft at-gmbh at-se fr-eurl fr-sarl fr-sa fr-sca fr-sccp fr-sdm fr-civile fr-se fr-sas "
        "fr-sasu lu-sa lu-sarl lu-sarl-s lu-sas lu-sc lu-sca lu-sci es-sa es-se es-sociedad-cooperativa es-srl-sl "
        "es-srlu pt-cooperativa pt-sociedade-anonima pt-sociedade-quotas pt-sociedade-unipessoal-quotas ch-ag "
        "ch-genossenschaft ch-gmbh ch-kmag fi-julkinen-osakeyhtio fi-osakeythio fi-osuuskunta dk-aktieselskab "
        "dk-anpartsselskab dk-ivaerksaetterselskab se-ab se-ab-publ se-ekonomisk-forening "
        "se-fillial-utlandskt-bolag no-as no-asa no-nuf no-samvirkeforetak it-sapa it-societa-cooperativa it-spa "
        "it-srl gb-ltd gb-plc gb-charitable-company"
    ),
    Kind.ASSOCIATION: (
        "nl-kerkgenootschap nl-stichting nl-vereniging be-ivzw be-kerkgenootschap be-stichting "
        "be-vereniging-zonder-winstoogmerk de-kirchliche-stiftung de-nev de-stiftung-des-privaten-rechts "
        "de-treuhandstiftung de-verein at-stiftung at-verein fr-association fr-fondation lu-lpf es-asociacion "
        "es-fundacion pt-fundacao ch-stiftung ch-verein fi-rekisteroity-yhdistys fi-saatio dk-stiftelse "
        "se-ideel-forening se-stiftelse no-stiftelse it-associazione-non-riconosciuta "
        "it-associazione-riconosciuta it-fondazione"
    ),
    Kind.PUBLIC_BODY: (
        "nl-kroondomein nl-overheid be-autonoom-gemeentebedrijf be-belgische-staat "
        "be-politiek-publiek-rechtspersoon de-korperschaft-offentlichen-rechts de-offentliches-unternehmen "
        "at-korperschaft-offentlichen-rechts at-offentliches-unternehmen fr-adl fr-ct fr-epa no-statesforetak"
    ),
    # Trusts, and a joint venture: who must show what depends on how they were set up.
    Kind.UNKNOWN: (
        "nl-trust be-trust at-trust fr-fiducie lu-trust es-fiducia pt-fondo-fiduciario ch-trust dk-trust "
        "se-samriskforetag se-trust it-fondo-fiduciario gb-trust"
    ),
}
KINDS = {code: kind for kind, codes in CODES_BY_KIND.items() for code in codes.split()}

STATUTES = ChecklistItem(
    _("Your statutes"),
    _(
        "Mollie may ask for a company certificate. An association or a foundation often has none, and shows its statutes."
    ),
)
IDENTITY_PAPERS = {
    Kind.SOLE_TRADER: _("Your own passport or identity card."),
    Kind.PARTNERSHIP: _("The passport or identity card of every partner."),
    Kind.COMPANY: _("The passport or identity card of everyone who may sign for the company."),
    Kind.ASSOCIATION: _("The passport or identity card of the members of the board who may sign."),
}
IDENTITY_PAPERS_OF_ANYONE = _("The passport or identity card of everyone who may sign for the organization.")
OWNERS = ChecklistItem(
    _("Owners"), _("The names of all people who own or control more than a quarter of the company.")
)
OWN_BANK_ACCOUNT = _("It may be in your own name. Have a recent statement that shows name and number.")
BANK_ACCOUNT = _("It must be in the organization's name. Have a recent statement that shows name and number.")
WEBSITE = ChecklistItem(_("Your website"), _("If you have none: a description of what you sell."))


def kind_of(legal_entity: str) -> Kind:
    return KINDS.get(legal_entity, Kind.UNKNOWN)


def checklist(country: str, legal_entity: str) -> tuple[ChecklistItem, ...]:
    """What to have at hand, most looked-for first; the general list where country or legal form are '' or unknown."""
    kind = kind_of(legal_entity)
    items = [
        _vat_number(country),
        ChecklistItem(_("Identity papers"), IDENTITY_PAPERS.get(kind, IDENTITY_PAPERS_OF_ANYONE)),
        ChecklistItem(_("Bank account"), OWN_BANK_ACCOUNT if kind is Kind.SOLE_TRADER else BANK_ACCOUNT),
        WEBSITE,
    ]
    if kind is Kind.COMPANY:
        items.insert(2, OWNERS)
    if kind is Kind.ASSOCIATION:
        items.insert(0, STATUTES)
    if legal_entity not in LEGAL_ENTITIES_WITHOUT_REGISTRATION_NUMBER:
        items.insert(0, _registration_number(country, legal_entity, kind))
    return tuple(items)


def _registration_number(country: str, legal_entity: str, kind: Kind) -> ChecklistItem:
    hint = "" if kind is Kind.COMPANY else _("If your organization is in a register.")
    return _named(_("Registration number"), hint, find_registration_number(country, legal_entity))


def _vat_number(country: str) -> ChecklistItem:
    return _named(_("VAT number"), _("If you have one."), find_vat_number(country))


def _named(text: str | Promise, hint: str | Promise, number: NationalNumber | None) -> ChecklistItem:
    if number is not None and number.is_in_the_language_of_the_page():
        return ChecklistItem(number.name, hint)
    if number is None or number.says_the_same_as(text):
        return ChecklistItem(text, hint)
    return ChecklistItem(text, hint, number.name, number.language)
