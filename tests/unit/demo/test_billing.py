"""The billing tables agree with each other and with the words they claim to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queryrun.demo import billing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REFERENCES = [
    ("account", "billtoid", "contact"),
    ("account", "soldtoid", "contact"),
    ("contact", "accountid", "account"),
    ("subscription", "accountid", "account"),
    ("rateplan", "subscriptionid", "subscription"),
    ("rateplan", "productrateplanid", "productrateplan"),
    ("rateplan", "productid", "product"),
    ("rateplancharge", "rateplanid", "rateplan"),
    ("rateplancharge", "subscriptionid", "subscription"),
    ("rateplancharge", "accountid", "account"),
    ("productrateplan", "productid", "product"),
    ("invoice", "accountid", "account"),
    ("invoiceitem", "invoiceid", "invoice"),
    ("invoiceitem", "accountid", "account"),
    ("invoiceitem", "subscriptionid", "subscription"),
    ("invoiceitem", "rateplanchargeid", "rateplancharge"),
    ("payment", "accountid", "account"),
    ("payment", "invoiceid", "invoice"),
    ("usage", "accountid", "account"),
    ("usage", "subscriptionid", "subscription"),
    ("usage", "rateplanchargeid", "rateplancharge"),
]


def one(tables: DuckDBPyConnection, sql: str) -> object:
    """Return the single value that `sql` selects."""
    row = tables.execute(sql).fetchone()
    assert row is not None
    value: object = row[0]
    return value


def column_types(tables: DuckDBPyConnection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in tables.execute(f"DESCRIBE {table}").fetchall()}


def test_every_id_column_is_covered_by_the_reference_tests(tables: DuckDBPyConnection) -> None:
    found = {
        (table, column)
        for table in billing.SELECTS
        for column in column_types(tables, table)
        if column.endswith("id") and column != "id"
    }
    assert found == {(table, column) for table, column, _ in REFERENCES}


@pytest.mark.parametrize(("table", "column", "target"), REFERENCES)
def test_a_reference_names_a_row_that_exists(
    tables: DuckDBPyConnection, table: str, column: str, target: str
) -> None:
    orphans = f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {target})"
    assert one(tables, f"SELECT count({column}) = count(*) FROM {table}") is True
    assert one(tables, orphans) == 0


@pytest.mark.parametrize(("table", "column", "target"), REFERENCES)
def test_a_row_that_is_not_deleted_refers_to_none_that_is(
    tables: DuckDBPyConnection, table: str, column: str, target: str
) -> None:
    dangling = (
        f"SELECT count(*) FROM {table} AS a JOIN {target} AS b ON b.id = a.{column} "
        "WHERE b.deleted AND NOT a.deleted"
    )
    assert one(tables, dangling) == 0


@pytest.mark.parametrize("table", billing.SELECTS)
def test_ids_are_32_hex_characters_and_unique(tables: DuckDBPyConnection, table: str) -> None:
    assert one(tables, f"SELECT bool_and(id SIMILAR TO '[0-9a-f]{{32}}') FROM {table}") is True
    assert one(tables, f"SELECT count(DISTINCT id) = count(*) FROM {table}") is True


def test_an_invoice_is_the_sum_of_its_items(tables: DuckDBPyConnection) -> None:
    wrong = """
        SELECT count(*) FROM invoice AS v LEFT JOIN (
            SELECT invoiceid, sum(chargeamount) AS net, sum(taxamount) AS tax
            FROM invoiceitem GROUP BY invoiceid) AS i ON i.invoiceid = v.id
        WHERE (v.amountwithouttax, v.taxamount, v.amount)
              IS DISTINCT FROM (i.net, i.tax, i.net + i.tax)"""
    assert one(tables, wrong) == 0


def test_an_invoice_balance_is_what_processed_payments_leave(tables: DuckDBPyConnection) -> None:
    wrong = """
        SELECT count(*) FROM invoice AS v LEFT JOIN (
            SELECT invoiceid, sum(amount) AS paid FROM payment
            WHERE status = 'Processed' AND NOT deleted GROUP BY invoiceid) AS p
        ON p.invoiceid = v.id
        WHERE v.balance <> CASE v.status WHEN 'Posted'
                                THEN v.amount - coalesce(p.paid, 0) ELSE 0 END
           OR v.paymentamount <> coalesce(p.paid, 0)"""
    assert one(tables, wrong) == 0


def test_an_account_balance_is_invoices_minus_payments(tables: DuckDBPyConnection) -> None:
    wrong = """
        SELECT count(*) FROM account AS a
        LEFT JOIN (SELECT accountid, sum(amount) AS billed FROM invoice
                   WHERE status = 'Posted' AND NOT deleted GROUP BY accountid) AS v
               ON v.accountid = a.id
        LEFT JOIN (SELECT accountid, sum(amount) AS paid FROM payment
                   WHERE status = 'Processed' AND NOT deleted GROUP BY accountid) AS p
               ON p.accountid = a.id
        WHERE a.balance <> coalesce(v.billed, 0) - coalesce(p.paid, 0)"""
    assert one(tables, wrong) == 0
    assert one(tables, "SELECT count(*) FROM account WHERE balance > 0") != 0


def test_a_usage_item_bills_the_usage_of_its_month(tables: DuckDBPyConnection) -> None:
    wrong = """
        SELECT count(*) FROM invoiceitem AS i LEFT JOIN (
            SELECT rateplanchargeid, date_trunc('month', startdatetime)::DATE AS month,
                   sum(quantity) AS quantity
            FROM usage GROUP BY ALL) AS u
        ON u.rateplanchargeid = i.rateplanchargeid AND u.month = i.servicestartdate
        WHERE i.chargename = 'Metered usage' AND i.quantity IS DISTINCT FROM u.quantity"""
    assert one(tables, wrong) == 0
    assert one(tables, "SELECT count(*) FROM usage") != 0


@pytest.mark.parametrize("table", billing.SELECTS)
def test_every_table_has_the_common_columns_by_type(tables: DuckDBPyConnection, table: str) -> None:
    types = column_types(tables, table)
    assert types["id"] == "VARCHAR"
    assert types["createddate"] == types["updateddate"] == "TIMESTAMP WITH TIME ZONE"
    assert types["deleted"] == "BOOLEAN"
    assert one(tables, f"SELECT bool_and(updateddate >= createddate) FROM {table}") is True


def test_amounts_are_decimal_18_6(tables: DuckDBPyConnection) -> None:
    money = ("balance", "amount", "price", "mrr", "quantity")
    types = {
        (table, column): kind
        for table in billing.SELECTS
        for column, kind in column_types(tables, table).items()
        if column.endswith(money)
    }
    assert ("account", "balance") in types
    assert set(types.values()) == {"DECIMAL(18,6)"}


def test_a_small_share_of_rows_is_deleted(tables: DuckDBPyConnection) -> None:
    for table in billing.SELECTS:
        share = one(tables, f"SELECT avg(deleted::INTEGER) FROM {table}")
        assert isinstance(share, float)
        assert 0 < share < 0.1, table


def test_account_numbers_count_from_one(tables: DuckDBPyConnection) -> None:
    assert one(tables, "SELECT min(accountnumber) FROM account") == "A00000001"
    assert one(tables, "SELECT max(accountnumber) FROM account") == "A00000100"


def test_custom_fields_have_values_and_nulls(tables: DuckDBPyConnection) -> None:
    custom = [
        (table, column)
        for table in billing.SELECTS
        for column in column_types(tables, table)
        if column.endswith("__c")
    ]
    assert ("account", "region__c") in custom
    for table, column in custom:
        mixed = f"SELECT count({column}) BETWEEN 1 AND count(*) - 1 FROM {table}"
        assert one(tables, mixed) is True, f"{table}.{column}"


def test_some_names_are_not_ascii(tables: DuckDBPyConnection) -> None:
    assert one(tables, "SELECT count(*) FROM account WHERE strlen(name) > length(name)") != 0


def test_every_table_has_its_own_description() -> None:
    assert set(billing.DESCRIPTIONS) == set(billing.SELECTS)
    assert len(set(billing.DESCRIPTIONS.values())) == len(billing.SELECTS)
