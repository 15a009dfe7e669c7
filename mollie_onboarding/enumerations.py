"""Mollie's enumerations, as compact copies.

None of these lists is closed at Mollie: a value that is not here is doubted, never refused.
"""

from __future__ import annotations

# owner.locale: the 28 values of mollie/openapi specs.yaml, 2026-08-21. docs.mollie.com/reference/create-client-link
LOCALES = (
    "ca_ES",
    "cs_CZ",
    "da_DK",
    "de_AT",
    "de_CH",
    "de_DE",
    "de_LU",
    "en_BE",
    "en_GB",
    "en_NL",
    "en_US",
    "es_ES",
    "fi_FI",
    "fr_BE",
    "fr_FR",
    "fr_LU",
    "hu_HU",
    "is_IS",
    "it_IT",
    "lt_LT",
    "lv_LV",
    "nb_NO",
    "nl_BE",
    "nl_NL",
    "pl_PL",
    "pt_PT",
    "sk_SK",
    "sv_SE",
)

# Countries where Mollie lets the postal code of an address be left out.
# docs.mollie.com/reference/common-data-types (address object)
COUNTRIES_WITHOUT_POSTAL_CODE = frozenset(
    (
        "AE AN AO AW BF BI BJ BO BS BV BW BZ CD CF CG CI CK CM DJ DM ER FJ "
        "GA GD GH GM GN GQ GY HK JM KE KI KM KN KP LC ML MO MR MS MU MW NA "
        "NR NU PA QA RW SB SC SL SO SR ST SY TF TK TL TO TT TV UG VU YE ZM "
        "ZW"
    ).split()
)

# Scopes that Mollie names anywhere: authorization server metadata of 2026-08-01, docs.mollie.com/docs/permissions,
# and specs.yaml of 2026-08-21. The list grows at Mollie.
SCOPES = frozenset(
    (
        "balance-reports.read balance-transfers.read balance-transfers.write balances.read "
        "business-account-draft-transfers.read business-account-draft-transfers.write "
        "business-account-payee-verifications.write business-account-transfers.read "
        "business-account-transfers.write business-accounts.read clients.read clients.write "
        "customers.read customers.write disputes.read disputes.write events.read "
        "external-accounts.read external-accounts.write files.read files.write invoices.read "
        "mandates.read mandates.write onboarding.read onboarding.write orders.read "
        "orders.write organizations.read organizations.write payment-links.read "
        "payment-links.write payments.read payments.write payouts.read payouts.write "
        "persons.read persons.write pricing-rates.read pricing-rates.write "
        "pricing-segments.read pricing-segments.write profiles.read profiles.write "
        "refunds.read refunds.write sales-invoices.read sales-invoices.write sessions.read "
        "sessions.write settlements.read shipments.read shipments.write subscriptions.read "
        "subscriptions.write terminals.read terminals.write unmatched-credit-transfers.read "
        "unmatched-credit-transfers.write webhooks.read webhooks.write"
    ).split()
)

# legalEntity codes by country, with the names they have there. mollie/openapi specs.yaml, 2026-02-02, the last
# revision that listed them; since then docs.mollie.com/reference/common-data-types#legal-entity.
# Odd spellings are the codes of Mollie and must be sent as they stand.
LEGAL_ENTITIES: dict[str, dict[str, str]] = {
    "NL": {
        "nl-bv": "Besloten Vennootschap (BV)",
        "nl-cooperatie": "Coöperatie",
        "nl-cv": "Commanditaire Vennootschap (CV)",
        "nl-eenmanszaak": "Eenmanszaak",
        "nl-eesv": "Europees Economisch Samenwerkingsverband (EESV)",
        "nl-kerkgenootschap": "Kerkgenootschap",
        "nl-kroondomein": "Kroondomein",
        "nl-maatschap": "Maatschap",
        "nl-nv": "Naamloze Vennootschap (NV)",
        "nl-overheid": "Overheidsinstantie",
        "nl-sce": "Europese Coöperatieve Vennootschap (SCE)",
        "nl-se": "Europese Naamloze Vennootschap (SE)",
        "nl-stichting": "Stichting",
        "nl-trust": "Trust",
        "nl-vereniging": "Vereniging",
        "nl-vof": "Vennootschap Onder Firma (VOF)",
        "nl-waarborgmaatschappij": "Onderlinge Waarborgmaatschappij",
    },
    "BE": {
        "be-autonoom-gemeentebedrijf": "Autonoom gemeentebedrijf",
        "be-belgische-staat": "Belgische Staat",
        "be-bv": "Besloten Vennootschap",
        "be-bvba": "Besloten Vennootschap met Beperkte Aansprakelijkheid (BVBA)",
        "be-comm-v": "Gewone Commanditaire Vennootschap (GCV / Comm. V)",
        "be-comm-va": "Commanditaire Vennootschap op Aandelen (CVA / Comm. VA)",
        "be-cv": "Coöperatieve Vennootschap",
        "be-cvoa": "Coöperatieve Vennootschap met Onbeperkte Aansprakelijkheid (CVOA)",
        "be-cvoha": "Coöperatieve Vennootschap met Onbeperkte en Hoofdelijke Aansprakelijkheid (CVOHA)",
        "be-cvba": "Coöperatieve Vennootschap met Beperkte Aansprakelijkheid (CVBA)",
        "be-economisch-samenwerkingsverband": "Europees Economisch Samenwerkingsverband (EESV)",
        "be-eenmanszaak": "Eenmanszaak",
        "be-eenmans-bvba": "Eénpersoons-BVBA (EBVBA)",
        "be-europese-cooperatieve-vennootschap": "Europese Coöperatieve Vennootschap (SCE)",
        "be-europese-vennootschap": "Europese Naamloze Vennootschap (SE)",
        "be-ivzw": "Internationale Vereniging Zonder Winstoogmerk (IVZW)",
        "be-kerkgenootschap": "Kerkgenootschap",
        "be-landbouwvennootschap": "Landbouwvennootschap (LV)",
        "be-maatschap": "Maatschap",
        "be-nv": "Naamloze Vennootschap (NV)",
        "be-politiek-publiek-rechtspersoon": "Politieke Publiekrechtelijke Rechtspersonen",
        "be-s-bvba": "Starters-BVBA (S-BVBA)",
        "be-stichting": "Stichting",
        "be-stille-handelsvennootschap": "Stille Handelsvennootschap",
        "be-tijdelijke-handelsvennootschap": "Tijdelijke Handelsvennootschap",
        "be-trust": "Trust",
        "be-vereniging-zonder-winstoogmerk": "Vereniging Zonder Winstoogmerk (VZW)",
        "be-vof": "Vennootschap Onder Firma (VOF)",
    },
    "DE": {
        "de-aktiengesellschaft": "Aktiengesellschaft (AG)",
        "de-eingetragene-genossenschaft": "Eingetragene Genossenschaft (e.G.)",
        "de-einzelunternehmen": "Einzelunternehmen",
        "de-freiberufler": "Freiberufler",
        "de-gesellschaft-burgerlichen-rechts": "Gesellschaft bürgerlichen Rechts (GbR)",
        "de-gmbh": "Gesellschaft mit beschränkter Haftung (GmbH)",
        "de-interessen-verienigung": "Europäische Wirtschaftliche Interessenvereinigung",
        "de-kg": "Kommanditgesellschaft (KG)",
        "de-kirchliche-stiftung": "Kirchliche Stiftung",
        "de-korperschaft-offentlichen-rechts": "Körperschaft öffentlichen Rechts",
        "de-nev": "Nicht eingetragener Verein (n.e.V.)",
        "de-offentliches-unternehmen": "Öffentliches Unternehmen",
        "de-ohg": "Offene Handelsgesellschaft (OHG)",
        "de-partnergesellschaft": "Partnergesellschaft",
        "de-se": "Europäische Gesellschaft (SE)",
        "de-stiftung-des-privaten-rechts": "Stiftung des privaten Rechts",
        "de-treuhandstiftung": "Treuhandstiftung",
        "de-unternehmergesellschaft": "Unternehmergesellschaft (UG)",
        "de-verein": "Verein (e.V.)",
    },
    "AT": {
        "at-aktiengesellschaft": "Aktiengesellschaft (AG)",
        "at-einzelunternehmen": "Einzelunternehmen",
        "at-freie-berufe": "Freie Berufe",
        "at-gesbr": "Gesellschaft bürgerlichen Rechts (GesbR)",
        "at-gmbh": "Gesellschaft mit beschränkter Haftung (GmbH)",
        "at-interessen-verienigung": "Europäische Wirtschaftliche Interessenvereinigung",
        "at-keg": "Kommandit - Erwerbsgesellschaft (KEG)",
        "at-kommanditgesellschaft": "Kommanditgesellschaft (KG)",
        "at-korperschaft-offentlichen-rechts": "Körperschaft öffentlichen Rechts",
        "at-oeg": "Offene Erwerbsgesellschaft (OEG)",
        "at-offene-gesellschaft": "Offene Gesellschaft (OG)",
        "at-offentliches-unternehmen": "Öffentliches Unternehmen",
        "at-se": "Europäische Gesellschaft (SE)",
        "at-stiftung": "Stiftung",
        "at-trust": "Trust",
        "at-verein": "Verein",
    },
    "FR": {
        "fr-adl": "Administration de l'état",
        "fr-association": "Association",
        "fr-ct": "Collectivité territoriale",
        "fr-entreprise-individuelle": "Entreprise individuelle",
        "fr-auto-entrepreneur": "Auto-entrepreneur",
        "fr-epa": "Etablissement public administratif",
        "fr-fiducie": "Fiducie",
        "fr-fondation": "Fondation",
        "fr-gie": "Groupement d'intérêt économique (GIE)",
        "fr-eurl": "SARL unipersonnelle (ou EURL)",
        "fr-sarl": "Société à responsabilité limitée (SARL)",
        "fr-sa": "Société anonyme (SA)",
        "fr-sc": "Société en commandite",
        "fr-sca": "Société coopérative agricole (SCA)",
        "fr-sccp": "Société coopérative commerciale particulière",
        "fr-sdm": "Société d'assurance mutuelle",
        "fr-civile": "Société civile",
        "fr-snc": "Société en nom collectif (SNC)",
        "fr-se": "Société européenne",
        "fr-sas": "Société par actions simplifiée (SAS)",
        "fr-sasu": "Société par actions simplifiée unipersonnelle (SASU)",
    },
    "LU": {
        "lu-ei": "Entreprise individuelle (EI)",
        "lu-lpf": "Luxembourg Private Foundation (LPF)",
        "lu-sa": "Société anonyme (S.A.)",
        "lu-sarl": "Société à responsabilité limitée (SARL)",
        "lu-sarl-s": "Société à responsabilité limitée simplifée (SARL-S)",
        "lu-sas": "Société par actions simplifiée (SAS)",
        "lu-sc": "Société civile (SC)",
        "lu-sca": "Société en commandite par actions (SCA)",
        "lu-sci": "Société civile immobilières (SCI)",
        "lu-scsp": "Société en commandite special (SCSp)",
        "lu-secs": "Société en commandite simple (SECS)",
        "lu-senc": "Société en nom collectif (SENC)",
        "lu-trust": "Trust",
    },
    "ES": {
        "es-autonomo": "Autonomo",
        "es-asociacion": "Asociación",
        "es-cb": "Comunidad de Bienes (C.B.)",
        "es-comerciante-individual": "Comerciante individual",
        "es-fiducia": "Fiducia",
        "es-fundacion": "Fundacion",
        "es-sa": "Sociedad Anónima (S.A.)",
        "es-sr-src": "Sociedad Regular Colectiva (S.R/S.R.C)",
        "es-se": "Sociedad Anónima Europea (SE)",
        "es-sociedad-civil": "Sociedad Civil",
        "es-sociedad-cooperativa": "Sociedad Cooperativa",
        "es-sociedad-comanditaria": "Sociedad en Comanditaria",
        "es-srl-sl": "Sociedad de Responsabilidad Limitada (SRL/SL)",
        "es-srlu": "Sociedad de Responsabilidad Limitada Unipersonal (SRLU)",
    },
    "PT": {
        "pt-cooperativa": "Cooperativa",
        "pt-eirl": "Estabelecimento Individual de Responsabilidade Limitada (EIRL)",
        "pt-empresario-nome-individual": "Empresário em Nome individual",
        "pt-fondo-fiduciario": "Fondo Fiduciario",
        "pt-fundacao": "Fundação",
        "pt-sociedade-anonima": "Sociedade Anónima",
        "pt-sociedade-comandita": "Sociedade em Comandita",
        "pt-sociedade-nome-colectivo": "Sociedade em Nome Colectivo",
        "pt-sociedade-quotas": "Sociedade por Quotas",
        "pt-sociedade-unipessoal-quotas": "Sociedade Unipessoal por Quotas",
    },
    "CH": {
        "ch-ag": "Aktiengesellschaft (AG)",
        "ch-eg": "Einfache Gesellschaft (eG)",
        "ch-einzelunternehmen": "Einzelunternehmen",
        "ch-genossenschaft": "Genossenschaft",
        "ch-gmbh": "Gesellschaft mit beschränkter Haftung (GmbH)",
        "ch-kg": "Kommanditgesellschaft (KG)",
        "ch-kig": "Kollektivgesellschaft (KIG)",
        "ch-kmag": "Kommanditaktiengesellschaft (KmAG)",
        "ch-stiftung": "Stiftung",
        "ch-trust": "Trust",
        "ch-verein": "Verein",
    },
    "FI": {
        "fi-avoin-yhtio": "Avoin yhtiö",
        "fi-julkinen-osakeyhtio": "Julkinen Osakeyhtiö",
        "fi-kommandiittiyhtio": "Kommandiittiyhtiö",
        "fi-osakeythio": "Osakeythiö",
        "fi-osuuskunta": "Osuuskunta",
        "fi-rekisteroity-yhdistys": "Rekisteroity Yhdistys",
        "fi-saatio": "Säätiö",
        "fi-toiminimi": "Toiminimi",
    },
    "DK": {
        "dk-aktieselskab": "Aktieselskab",
        "dk-anpartsselskab": "Anpartsselskab",
        "dk-enkeltmandsvirksomhed": "Enkeltmandsvirksomhed",
        "dk-interessentskab": "Interessentskab",
        "dk-ivaerksaetterselskab": "Iværksætterselskab",
        "dk-kommanditselskab": "Kommanditselskab",
        "dk-stiftelse": "Stiftelse",
        "dk-trust": "Trust",
    },
    "SE": {
        "se-ab": "Aktiebolag (AB)",
        "se-ab-publ": "AB (publ)",
        "se-ekonomisk-forening": "Ekonomisk förening",
        "se-enkla-bolag": "Enkla bolag",
        "se-enskild-firma": "Enskild firma",
        "se-fillial-utlandskt-bolag": "Fillial till utländskt bolag",
        "se-hb": "Handelsbolag (HB)",
        "se-ideel-forening": "Ideel förening",
        "se-kb": "Kommanditbolag (KB)",
        "se-samriskforetag": "Samriskföretag",
        "se-stiftelse": "Stiftelse",
        "se-trust": "Trust",
    },
    "NO": {
        "no-ans-da": "Ansvarlig selskap (ANS/DA)",
        "no-as": "Aksjeselskap (AS)",
        "no-asa": "Allmennaksjeselskap (ASA)",
        "no-da": "Selskap med delt ansvar (DA)",
        "no-enk": "Enkeltpersonsforetak (ENK)",
        "no-ks": "Kommandittselskap (KS)",
        "no-nuf": "Norskregistrert utenlandsk foretak (NUF)",
        "no-samvirkeforetak": "Samvirkeforetak",
        "no-statesforetak": "Statesforetak",
        "no-stiftelse": "Stiftelse",
    },
    "IT": {
        "it-associazione-non-riconosciuta": "Associazione non riconosciuta",
        "it-associazione-riconosciuta": "Associazione riconosciuta",
        "it-ditta-individuale": "Ditta Individuale",
        "it-fondazione": "Fondazione",
        "it-fondo-fiduciario": "Fondo Fiduciario",
        "it-sapa": "Società in accomandita per azioni (S.a.p.a.)",
        "it-sas": "Società in accomandita semplice (S.a.s.)",
        "it-snc": "Società in nome collettivo (S.n.c)",
        "it-societa-cooperativa": "Società cooperativa",
        "it-spa": "Società per azioni (S.p.A.)",
        "it-srl": "Società a responsabilità limitata (S.r.l.)",
        "it-ss": "Società semplice (S.s.)",
    },
    "GB": {
        "gb-llp": "Limited Liability Partnership (LLP)",
        "gb-lp": "Limited Partnership (LP)",
        "gb-ltd": "Private Limited Company (Ltd.)",
        "gb-plc": "Public Limited Company (PLC)",
        "gb-charitable-company": "Charitable Company",
        "gb-general-partnership": "General Partnership (GP)",
        "gb-sole-trader": "Sole trader",
        "gb-trust": "Trust",
    },
}
OTHER_LEGAL_ENTITY = "other"

# registrationOffice is free text: the list is only at docs.mollie.com/reference/common-data-types#registration-office.
REGISTRATION_OFFICE_EXAMPLE = "aachen"
REGISTRATION_OFFICE_COUNTRIES = frozenset({"DE"})  # inferred from the example, a German register court
