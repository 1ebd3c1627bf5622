"""Invented subscription billing in the words of contract.md's system, made by SQL alone.

First come narrow working tables of numbers (who owns what, which month bills
what); the final SELECTs then dress them with ids, names and dates. Every draw
is an MD5 of seed, topic and row number, so a row does not depend on the
order or the thread that made it, nor on the engine's version. Invoices are
summed from their items and balances from invoices and payments, so the
figures agree by construction. Deletion runs downwards: what belongs to a
deleted account or invoice is deleted too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryrun.demo.billing_selects import SELECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

__all__ = ["DESCRIPTIONS", "SELECTS", "prepare"]

ACCOUNTS_PER_FACTOR = 1000

DESCRIPTIONS: Mapping[str, str] = {
    "account": "Customers; balance is what their posted invoices still ask for.",
    "contact": "Two people per account: bill-to and sold-to.",
    "subscription": "What an account has agreed to, with term and status.",
    "rateplan": "A plan of the catalogue as bought in one subscription.",
    "rateplancharge": "What a rate plan bills each month: recurring, or by usage.",
    "product": "The catalogue's products.",
    "productrateplan": "The plans each product is sold in.",
    "invoice": "One bill per account and month; amount is the sum of its items.",
    "invoiceitem": "One charge on one invoice, with its tax.",
    "payment": "Payments of invoices; only status Processed counts.",
    "usage": "Metered usage; a month's records add up to the invoice item's quantity.",
}

# Months are counted from January 2024; a month is billed on its account's bill cycle day.
_MACROS = """
CREATE TEMP MACRO draw(topic, n, sides) AS
    (md5_number_lower(concat({seed}, ':', topic, ':', n)) % sides)::INTEGER;
CREATE TEMP MACRO pick(topic, n, options) AS
    options[1 + draw(topic, n, len(options))];
CREATE TEMP MACRO id_of(entity, n) AS
    '8a' || substr(md5(concat({seed}, ':', entity, ':', n)), 3);
CREATE TEMP MACRO month_start(month) AS
    (DATE '2024-01-01' + to_months(month))::DATE;
CREATE TEMP MACRO moment(topic, n, day) AS
    (day::TIMESTAMP + to_seconds(draw(topic, n, 86400))) AT TIME ZONE 'UTC';
CREATE TEMP MACRO later(topic, n, since) AS
    since + to_seconds(draw(topic || ' later', n, 2592000));
"""

# The last plans belong to a product that was deleted before anyone bought it.
_CATALOGUE = """
CREATE TEMP TABLE plans AS
SELECT n, 1 + (n - 1) // 3 AS product_n, 1 + (n - 1) % 3 AS tier,
       ((product_n % 7 + 1) * tier * 5 - 0.01)::DECIMAL(18, 6) AS price,
       (0.05 + n % 9 * 0.015)::DECIMAL(18, 6) AS unit_price,
       n > 57 AS deleted
FROM range(1, 61) AS numbers (n);
"""

_ACCOUNTS = """
CREATE TEMP TABLE accounts AS
SELECT n, draw('start month', n, 24) AS start_month, 1 + draw('bill day', n, 28) AS bill_day,
       pick('tax', n, [0, 0, 7, 19, 20]) AS tax_percent, n % 50 = 7 AS deleted
FROM range(1, {accounts} + 1) AS numbers (n);

CREATE TEMP TABLE subscriptions AS
SELECT a.n * 2 + k AS n, a.n AS account_n, a.deleted,
       least(a.start_month + k * draw('delay', a.n, 6), 23) AS start_month,
       CASE WHEN draw('cancel', a.n * 2 + k, 10) = 0
            THEN least(a.start_month + k * draw('delay', a.n, 6), 23)
                 + 1 + draw('cancel month', a.n * 2 + k, 12) END AS planned_end,
       CASE WHEN planned_end <= 23 THEN planned_end END AS end_month
FROM accounts AS a, range(0, 2) AS numbers (k)
WHERE k = 0 OR draw('second subscription', a.n, 2) = 0;

CREATE TEMP TABLE rateplans AS
SELECT s.n * 2 + k AS n, s.n AS subscription_n, s.account_n, s.deleted, s.start_month, s.end_month,
       1 + draw('plan', s.n * 2 + k, 57) AS plan_n
FROM subscriptions AS s, range(0, 2) AS numbers (k)
WHERE k = 0 OR draw('second plan', s.n, 2) = 0;

CREATE TEMP TABLE charges AS
SELECT r.n * 2 + k AS n, r.n AS rateplan_n, r.subscription_n, r.account_n, r.deleted,
       r.start_month, r.end_month, k = 1 AS by_usage,
       CASE WHEN k = 0 THEN 1 + draw('seats', r.n, 40) END AS seats,
       CASE WHEN k = 0 THEN p.price ELSE p.unit_price END AS price
FROM rateplans AS r JOIN plans AS p ON p.n = r.plan_n, range(0, 2) AS numbers (k)
WHERE k = 0 OR draw('usage charge', r.n, 2) = 0;
"""

# Up to 24 months; the numbers of invoices and items leave room for 32.
_INVOICES = """
CREATE TEMP TABLE items AS
WITH billed AS (
    SELECT c.*, month, c.n * 32 + month AS item_n, c.account_n * 32 + month AS invoice_n
    FROM charges AS c, range(0, 24) AS months (month)
    WHERE month >= c.start_month AND (c.end_month IS NULL OR month < c.end_month)
), counted AS (
    SELECT *, CASE WHEN by_usage
                   THEN draw('usage', item_n * 2, 900) + draw('usage', item_n * 2 + 1, 900) + 2
                   ELSE seats END AS quantity
    FROM billed
)
SELECT c.item_n AS n, c.n AS charge_n, c.subscription_n, c.account_n, c.invoice_n, c.month,
       c.by_usage, c.quantity, c.price,
       round(c.quantity * c.price, 2)::DECIMAL(18, 6) AS amount,
       round(c.quantity * c.price * a.tax_percent / 100, 2)::DECIMAL(18, 6) AS tax,
       c.deleted OR draw('invoice deleted', c.invoice_n, 100) = 0 AS deleted
FROM counted AS c JOIN accounts AS a ON a.n = c.account_n;

CREATE TEMP TABLE billed_invoices AS
SELECT i.invoice_n AS n, i.account_n, i.month, i.deleted, i.month < 23 AS posted,
       sum(i.amount)::DECIMAL(18, 6) AS net, sum(i.tax)::DECIMAL(18, 6) AS tax,
       (sum(i.amount) + sum(i.tax))::DECIMAL(18, 6) AS amount,
       (month_start(i.month) + (a.bill_day - 1)::INTEGER)::DATE AS day,
       row_number() OVER (ORDER BY i.month, i.account_n) AS number
FROM items AS i JOIN accounts AS a ON a.n = i.account_n
GROUP BY i.invoice_n, i.account_n, i.month, i.deleted, a.bill_day;
"""

# Of twenty posted invoices one is unpaid, one paid by half, one at the second try.
_PAYMENTS = """
CREATE TEMP TABLE payments AS
WITH tried AS (
    SELECT i.*, k, draw('payment', i.n, 20) AS luck, i.n * 2 + k AS payment_n
    FROM billed_invoices AS i, range(0, 2) AS numbers (k)
    WHERE i.posted
)
SELECT payment_n AS n, n AS invoice_n, account_n,
       luck <> 2 OR k = 1 AS processed,
       (CASE WHEN luck = 1 THEN round(amount / 2, 2) ELSE amount END)::DECIMAL(18, 6) AS amount,
       (day + (3 + draw('pay day', n, 25) + k)::INTEGER)::DATE AS day,
       deleted OR draw('payment deleted', payment_n, 100) = 0 AS deleted,
       row_number() OVER (ORDER BY month, account_n, k) AS number
FROM tried
WHERE luck > 0 AND (k = 0 OR luck = 2);

CREATE TEMP TABLE invoices AS
SELECT i.*, coalesce(p.amount, 0)::DECIMAL(18, 6) AS paid,
       (CASE WHEN i.posted THEN i.amount - coalesce(p.amount, 0) ELSE 0 END)::DECIMAL(18, 6)
           AS balance
FROM billed_invoices AS i
LEFT JOIN (SELECT invoice_n, sum(amount)::DECIMAL(18, 6) AS amount FROM payments
           WHERE processed AND NOT deleted GROUP BY invoice_n) AS p ON p.invoice_n = i.n;
"""


def prepare(connection: DuckDBPyConnection, *, factor: float, seed: int) -> None:
    """Make the macros and working tables that `SELECTS` read, in `connection`'s temporary schema.

    The connection's time zone does not matter here; how the results show does.
    """
    accounts = max(1, round(ACCOUNTS_PER_FACTOR * factor))
    connection.execute(_MACROS.format(seed=int(seed)))
    connection.execute(_CATALOGUE)
    connection.execute(_ACCOUNTS.format(accounts=accounts))
    connection.execute(_INVOICES)
    connection.execute(_PAYMENTS)
