"""Lists of a million rows: nothing is counted to the end, and a search reads an index or few rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.paginator import Page, Paginator
from django.db import connections
from django.db.models import F, OrderBy, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest
from django.utils.functional import cached_property

from mollie_onboarding.models import distinct_values, having_words

from .confirming import ConfirmingAdmin

if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
else:
    AnyPaginator = Paginator

MOST_COUNTED = 2_000  # rows of a list; so many can be paged through, and filters find the rest
MOST_VALUES = 60  # of a column that a filter offers
NEWEST = 10_000  # rows that a search for a frequent word looks at before it asks for all of its rows
MOST_PAGES = 10  # of such a search: another word finds more than an eleventh page


class MoreThan(int):
    """The number of a list that is longer. As text it says so, wherever Django's templates show it."""

    def __str__(self) -> str:
        return f">{int(self)}"


def bounded(count: int) -> int:
    """A count of rows up to `MOST_COUNTED` + 1, as it is shown."""
    return count if count <= MOST_COUNTED else MoreThan(MOST_COUNTED)


class BoundedPaginator(AnyPaginator):
    """Counts `MOST_COUNTED` rows and no further. A page behind the last one is the last one."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return bounded(self.object_list.order_by()[: MOST_COUNTED + 1].count())

    def validate_number(self, number: Any) -> int:
        return super().validate_number(min(int(number), self.num_pages))


class SearchPaginator(BoundedPaginator):
    """The pages of a search by words on PostgreSQL.

    Its planner does not know how many rows have two words together. It would read the table from the newest row on in
    the hope to fill a page soon, and find nothing in a million rows.
    """

    @cached_property
    def found(self) -> list[Any]:
        """Age and key of as many rows as are counted: an index of words is asked once, for the count and the page."""
        return list(self.object_list.order_by().values_list("created_at", "pk")[: MOST_COUNTED + 1])

    @cached_property
    def count(self) -> int:
        return bounded(len(self.found))

    @cached_property
    def is_frequent(self) -> bool:
        return isinstance(self.count, MoreThan)

    @cached_property
    def num_pages(self) -> int:
        pages: int = super().num_pages
        return min(pages, MOST_PAGES) if self.is_frequent else pages

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        wanted = slice((number - 1) * self.per_page, number * self.per_page)
        return Page(self._rows(wanted), number, self)

    def _rows(self, wanted: slice) -> Sequence[Any]:
        # Django says it twice where the list is in its own order.
        if set(self.object_list.query.order_by) != {"-created_at", "-pk"}:
            return list(found_first(self.object_list)[wanted])
        if not self.is_frequent:
            newest_first = sorted(self.found, reverse=True)
            return list(self.object_list.filter(pk__in=[pk for _created_at, pk in newest_first[wanted]]))
        rows = list(among_newest(self.object_list)[wanted])
        return rows if len(rows) == self.per_page else list(found_first(self.object_list)[wanted])


def among_newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those that are among the `NEWEST` of their table."""
    by_age = rows.model.objects.order_by("-created_at").values("created_at")
    return rows.filter(created_at__gte=by_age[NEWEST - 1 : NEWEST])


def found_first(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows in the same order, which no index has: so they are found first, and sorted then."""
    return rows.order_by(*(_without_index(ordering) for ordering in rows.query.order_by))


def _without_index(ordering: Any) -> OrderBy:
    """An index has what is empty at the end where it has the greatest; here it is the other way round."""
    expression = F(ordering.removeprefix("-"))
    return expression.desc(nulls_last=True) if ordering.startswith("-") else expression.asc(nulls_first=True)


class LargeChangeList(ChangeList):
    """Takes also a page that is the only one from its paginator."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.paginator.page(1).object_list


class LargeListAdmin(ConfirmingAdmin):
    """A list that stays fast, whatever is filtered and searched."""

    list_per_page = 100
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    searched_columns: Sequence[str] = ()  # that have a `WordIndex`
    searched_id = ""  # a unique column, searched as a whole

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LargeChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether an address may filter by this: by what the list offers, or what its pages show, and nothing else.

        Django allows every column. Whoever may look at the list could then find out letter by letter, with
        `?url__startswith=…`, what is shown to nobody.
        """
        column = lookup.partition(LOOKUP_SEP)[0]
        is_hidden = column in self._columns() and column not in self._filterable_columns(request)
        return not is_hidden and super().lookup_allowed(lookup, value, request)

    def _columns(self) -> set[str]:
        return {name for field in self.opts.concrete_fields for name in (field.name, field.attname)}

    def _filterable_columns(self, request: HttpRequest) -> set[str]:
        offered = map(_column_of_filter, self.get_list_filter(request))
        return {self.opts.pk.name, "created_at", *offered, *flatten_fieldsets(self.get_fieldsets(request))}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the beginnings of words where an index knows them; by any part of the columns on other databases."""
        if not (search_term and has_word_indexes(queryset)):
            return super().get_search_results(request, queryset, search_term)
        found: Any = having_words(search_term, self.searched_columns)
        return queryset.filter(Q(found) | Q((self.searched_id, search_term.strip()))), False

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        # The page of a row's history asks for one as well, over the admin's log.
        is_list = queryset.model is self.model
        is_search = is_list and request.GET.get(SEARCH_VAR) and has_word_indexes(queryset)
        paginator = SearchPaginator if is_search else self.paginator
        return paginator(queryset, *args, **kwargs)


def _column_of_filter(offered: Any) -> str:
    """What an entry of `list_filter` is called in an address; a filter of our own may be called like a column."""
    return str(
        getattr(offered, "parameter_name", "") or (offered[0] if isinstance(offered, tuple) else offered)
    )


def has_word_indexes(rows: QuerySet[Any]) -> bool:
    return connections[rows.db].vendor == "postgresql"


class DistinctValuesFilter(admin.AllValuesFieldListFilter):
    """Offers the values that are there, of a column that leads an index."""

    def __init__(self, field: Any, request: Any, params: Any, model: Any, model_admin: Any, field_path: str):
        super().__init__(field, request, params, model, model_admin, field_path)
        self.lookup_choices = distinct_values(  # type: ignore[assignment]  # it is only iterated
            model._default_manager.all(), field_path, MOST_VALUES
        )
