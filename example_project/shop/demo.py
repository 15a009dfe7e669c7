"""The demo's twelve merchants: who they are, and how far each has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

Story = Literal[
    "draft", "ready", "expired", "declined", "rejected", "needs-data", "in-review", "completed", "lost", "cancelled",
    "disconnected", "taken",
]  # fmt: skip


@dataclass(frozen=True)
class Merchant:
    username: str
    story: Story
    age: timedelta
    columns: dict[str, Any]


def _merchant(
    username: str,
    story: Story,
    days: int,
    organization: str,
    country: str,
    address: str,
    owner: str,
    **more: Any,
) -> Merchant:
    street, postal_code, city = address.split(", ")
    given_name, family_name = owner.split(" ", 1)
    columns = {
        "organization_name": organization,
        "country": country,
        "street_and_number": street,
        "postal_code": postal_code,
        "city": city,
        "owner_given_name": given_name,
        "owner_family_name": family_name,
        "owner_email": f"hello@{username}.example",
        **more,
    }
    return Merchant(username, story, timedelta(days=days), columns)


MERCHANTS = (
    _merchant(
        "fietsenmakerij-de-ketting", "draft", 0, "Fietsenmakerij De Ketting", "NL",
        "Oudegracht 187, 3511 NE, Utrecht", "Femke van Dijk",
        owner_locale="nl_NL", legal_entity="nl-eenmanszaak",
    ),
    _merchant(
        "weingut-sonnenhang", "ready", 2, "Weingut Sonnenhang GmbH", "DE",
        "Rheinstraße 14, 65343, Eltville am Rhein", "Lukas Brandt",
        owner_locale="de_DE", legal_entity="de-gmbh", registration_number="HRB 20417",
        registration_office="Wiesbaden",
    ),
    # Went to Mollie five weeks ago and never came back.
    _merchant(
        "fromagerie-du-lac", "expired", 36, "Fromagerie du Lac", "FR",
        "12 Quai Perrière, 74000, Annecy", "Camille Mercier",
        owner_locale="fr_FR", legal_entity="fr-sarl",
    ),
    _merchant(
        "chocolaterie-praline", "declined", 5, "Chocolaterie Praline", "BE",
        "Korenmarkt 9, 9000, Gent", "Elise Peeters",
        owner_locale="nl_BE", legal_entity="be-bv",
    ),
    _merchant(
        "ceramiche-bellini", "rejected", 1, "Ceramiche Bellini Srl", "IT",
        "Via Garibaldi 22, 48018, Faenza", "Giulia Bellini",
        owner_locale="it_IT", legal_entity="it-srl", vat_number="IT01234567890",
    ),
    _merchant(
        "olivar-del-sur", "needs-data", 3, "Olivar del Sur S.L.", "ES",
        "Calle Real 41, 23400, Úbeda", "Javier Moreno",
        owner_locale="es_ES",
    ),
    _merchant(
        "azulejos-do-porto", "in-review", 8, "Azulejos do Porto Lda", "PT",
        "Rua das Flores 63, 4050-265, Porto", "Inês Carvalho",
        owner_locale="pt_PT", legal_entity="pt-sociedade-quotas",
    ),
    _merchant(
        "boekhandel-van-houten", "completed", 21, "Boekhandel Van Houten B.V.", "NL",
        "Grote Markt 30, 2011 RD, Haarlem", "Pieter van Houten",
        owner_locale="nl_NL", legal_entity="nl-bv",
    ),
    # Was completed too, until the merchant took our access away in Mollie's dashboard.
    _merchant(
        "kaffeehaus-morgenrot", "lost", 60, "Kaffeehaus Morgenrot GmbH", "AT",
        "Josefstädter Straße 5, 1080, Wien", "Katharina Huber",
        owner_locale="de_AT", legal_entity="at-gmbh",
    ),
    _merchant(
        "pracownia-bursztynu", "cancelled", 12, "Pracownia Bursztynu", "PL",
        "ul. Mariacka 18, 80-833, Gdańsk", "Agnieszka Nowak",
        owner_locale="pl_PL",
    ),
    # Left the platform, which ended the connection.
    _merchant(
        "atelier-du-cuir", "disconnected", 90, "Atelier du Cuir SARL", "LU",
        "Rue du Fort Neipperg 20, 2230, Luxembourg", "Marc Weber",
        owner_locale="fr_LU", legal_entity="lu-sarl",
    ),
    # A second shop of the bookseller's, who chose the Mollie account of the first.
    _merchant(
        "antiquariaat-van-houten", "taken", 1, "Antiquariaat Van Houten", "NL",
        "Koningstraat 12, 2011 TB, Haarlem", "Pieter van Houten",
        owner_locale="nl_NL", legal_entity="nl-bv",
    ),
)  # fmt: skip
