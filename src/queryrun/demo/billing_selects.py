"""The final SELECT of each billing table, over the working tables that `billing.prepare` creates.

Column names and types are those of the hosted system:
lower case, custom fields end in `__c` (contract F2), amounts are decimal(18,6).
Rows are ordered, so the same seed and factor give the same file contents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_NAMES = (
    "['Ada', 'Zoë', 'Jürgen', 'Noor', 'Mateo', 'Siân', 'Łukasz', 'Grace', 'Aiko', 'Kwame', "
    "'Ingrid', 'José', 'Priya', 'Tom', 'Ève', 'Dmitri', 'Mei', 'Søren', 'Fatima', 'Alan']"
)
_LAST_NAMES = (
    "['Okafor', 'Müller', 'Nakamura', 'Smith', 'García', 'Åkesson', 'Novák', 'Jones', 'Iyer', "
    "'Dubois', 'Kowalska', 'Brown', 'Haddad', 'Çelik', 'Chen', 'Rossi', 'Nguyễn', 'Clark']"
)
_COMPANY_WORDS = (
    "['Northwind', 'Blue Harbor', 'Müller', 'Cedar', 'Quartz', 'São Jorge', 'Lumen', 'Granite', "
    "'Ångström', 'Redwood', 'Vertex', 'Łódź', 'Falcon', 'Ember', '東京', 'Juniper', 'Osprey', "
    "'Crème', 'Atlas', 'Meridian', 'Tundra', 'Copper', 'Señal', 'Orchard']"
)
_COMPANY_TRADES = (
    "['Logistics', 'Media', 'Robotics', 'Foods', 'Energy', 'Health', 'Software', 'Textiles', "
    "'Optics', 'Travel', 'Pharma', 'Analytics']"
)
_COMPANY_FORMS = "['Inc.', 'GmbH', 'Ltd', 'S.A.', 'AB', 'LLC', 'K.K.']"
_PRODUCT_NAMES = (
    "['Storage', 'Compute', 'Messaging', 'Backup', 'Analytics', 'Support', 'Café Point of Sale', "
    "'Monitoring', 'Search', 'Identity', 'Maps', 'Streaming', 'Payments', 'Archive', 'Translate', "
    "'Firewall', 'Mail', 'Forms', 'Calendar', 'Fax']"
)

_ACCOUNT = f"""
SELECT id_of('account', a.n) AS id,
       'A' || lpad(a.n::VARCHAR, 8, '0') AS accountnumber,
       pick('word', a.n, {_COMPANY_WORDS}) || ' ' || pick('trade', a.n, {_COMPANY_TRADES})
           || ' ' || pick('form', a.n, {_COMPANY_FORMS}) AS name,
       CASE WHEN s.open > 0 THEN 'Active' ELSE 'Canceled' END AS status,
       pick('currency', a.n, ['USD', 'USD', 'USD', 'EUR', 'EUR', 'GBP', 'JPY']) AS currency,
       coalesce(i.balance, 0)::DECIMAL(18, 6) AS balance,
       pick('terms', a.n, ['Net 30', 'Net 30', 'Net 60', 'Due Upon Receipt']) AS paymentterm,
       a.bill_day::INTEGER AS billcycleday,
       draw('autopay', a.n, 3) > 0 AS autopay,
       id_of('contact', a.n * 2) AS billtoid,
       id_of('contact', a.n * 2 + 1) AS soldtoid,
       pick('region', a.n, ['AMER', 'AMER', 'AMER', 'EMEA', 'EMEA', 'EMEA', 'APAC', 'APAC', NULL])
           AS region__c,
       pick('segment', a.n, ['Enterprise', 'Mid-Market', 'SMB', 'SMB', NULL]) AS segment__c,
       moment('account', a.n, month_start(a.start_month)) AS createddate,
       later('account', a.n, moment('account', a.n, month_start(a.start_month))) AS updateddate,
       a.deleted
FROM accounts AS a
JOIN (SELECT account_n, count(*) FILTER (end_month IS NULL) AS open FROM subscriptions
      GROUP BY account_n) AS s ON s.account_n = a.n
LEFT JOIN (SELECT account_n, sum(balance) AS balance FROM invoices WHERE NOT deleted
           GROUP BY account_n) AS i ON i.account_n = a.n
ORDER BY a.n
"""

_CONTACT = f"""
WITH people AS (
    SELECT a.*, a.n * 2 + k AS contact_n, k,
           pick('first name', a.n * 2 + k, {_FIRST_NAMES}) AS firstname,
           pick('last name', a.n * 2 + k, {_LAST_NAMES}) AS lastname
    FROM accounts AS a, range(0, 2) AS numbers (k)
)
SELECT id_of('contact', contact_n) AS id,
       id_of('account', n) AS accountid,
       firstname, lastname,
       'contact' || contact_n || '@example.com' AS workemail,
       pick('city', n, ['Berlin', 'Boston', 'Kraków', 'Lyon', 'München', 'New York', 'Osaka',
                        'São Paulo', 'Toronto', 'Zürich']) AS city,
       pick('city', n, ['Germany', 'United States', 'Poland', 'France', 'Germany',
                        'United States', 'Japan', 'Brazil', 'Canada', 'Switzerland']) AS country,
       CASE k WHEN 0 THEN 'Finance'
              ELSE pick('department', n, ['IT', 'Operations', NULL]) END AS department__c,
       moment('account', n, month_start(start_month)) AS createddate,
       later('contact', contact_n, moment('account', n, month_start(start_month))) AS updateddate,
       deleted
FROM people
ORDER BY contact_n
"""

_PRODUCT = f"""
SELECT id_of('product', n) AS id,
       'SKU-' || lpad(n::VARCHAR, 8, '0') AS sku,
       ({_PRODUCT_NAMES})[n] AS name,
       ({_PRODUCT_NAMES})[n] || ', billed monthly' AS description,
       DATE '2023-01-01' AS effectivestartdate,
       DATE '2099-12-31' AS effectiveenddate,
       CASE WHEN n % 4 > 0 THEN 'Platform' END AS family__c,
       moment('product', n, DATE '2023-01-02') AS createddate,
       later('product', n, moment('product', n, DATE '2023-01-02')) AS updateddate,
       n = 20 AS deleted
FROM range(1, 21) AS numbers (n)
ORDER BY n
"""

_PRODUCTRATEPLAN = """
SELECT id_of('productrateplan', n) AS id,
       id_of('product', product_n) AS productid,
       (['Basic', 'Team', 'Enterprise'])[tier] AS name,
       price::DECIMAL(18, 6) AS listprice,
       DATE '2023-01-01' AS effectivestartdate,
       DATE '2099-12-31' AS effectiveenddate,
       moment('plan', n, DATE '2023-01-03') AS createddate,
       later('plan', n, moment('plan', n, DATE '2023-01-03')) AS updateddate,
       deleted
FROM plans
ORDER BY n
"""

_SUBSCRIPTION = """
SELECT id_of('subscription', n) AS id,
       id_of('account', account_n) AS accountid,
       'A-S' || lpad(n::VARCHAR, 8, '0') AS name,
       CASE WHEN end_month IS NULL THEN 'Active' ELSE 'Cancelled' END AS status,
       pick('term', n, ['TERMED', 'TERMED', 'EVERGREEN']) AS termtype,
       1::INTEGER AS version,
       draw('renew', n, 4) > 0 AS autorenew,
       month_start(start_month) AS contracteffectivedate,
       month_start(start_month) AS subscriptionstartdate,
       month_start(end_month) AS cancelleddate,
       pick('channel', n, ['Direct', 'Partner', 'Web', NULL]) AS channel__c,
       moment('subscription', n, month_start(start_month)) AS createddate,
       later('subscription', n, moment('subscription', n,
             month_start(coalesce(end_month, start_month)))) AS updateddate,
       deleted
FROM subscriptions
ORDER BY n
"""

_RATEPLAN = """
SELECT id_of('rateplan', r.n) AS id,
       id_of('subscription', r.subscription_n) AS subscriptionid,
       id_of('productrateplan', r.plan_n) AS productrateplanid,
       id_of('product', p.product_n) AS productid,
       (['Basic', 'Team', 'Enterprise'])[p.tier] AS name,
       moment('subscription', r.subscription_n, month_start(r.start_month)) AS createddate,
       later('rateplan', r.n, moment('subscription', r.subscription_n,
             month_start(r.start_month))) AS updateddate,
       r.deleted
FROM rateplans AS r JOIN plans AS p ON p.n = r.plan_n
ORDER BY r.n
"""

_RATEPLANCHARGE = """
SELECT id_of('rateplancharge', n) AS id,
       id_of('rateplan', rateplan_n) AS rateplanid,
       id_of('subscription', subscription_n) AS subscriptionid,
       id_of('account', account_n) AS accountid,
       'C-' || lpad(n::VARCHAR, 8, '0') AS chargenumber,
       CASE WHEN by_usage THEN 'Metered usage' ELSE 'Monthly fee' END AS name,
       CASE WHEN by_usage THEN 'Usage' ELSE 'Recurring' END AS chargetype,
       CASE WHEN by_usage THEN 'Per Unit Pricing' ELSE 'Per Seat Pricing' END AS chargemodel,
       CASE WHEN by_usage THEN 'Unit' ELSE 'Seat' END AS uom,
       seats::DECIMAL(18, 6) AS quantity,
       price::DECIMAL(18, 6) AS price,
       (CASE WHEN by_usage OR end_month IS NOT NULL THEN 0 ELSE seats * price END)::DECIMAL(18, 6)
           AS mrr,
       month_start(start_month) AS effectivestartdate,
       month_start(end_month) AS effectiveenddate,
       moment('subscription', subscription_n, month_start(start_month)) AS createddate,
       later('charge', n, moment('subscription', subscription_n, month_start(start_month)))
           AS updateddate,
       deleted
FROM charges
ORDER BY n
"""

_INVOICE = """
SELECT id_of('invoice', n) AS id,
       id_of('account', account_n) AS accountid,
       'INV' || lpad(number::VARCHAR, 8, '0') AS invoicenumber,
       CASE WHEN posted THEN 'Posted' ELSE 'Draft' END AS status,
       day AS invoicedate,
       (day + 30)::DATE AS duedate,
       net AS amountwithouttax,
       tax AS taxamount,
       amount,
       paid AS paymentamount,
       balance,
       pick('dispute', n, [NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Preis prüfen',
                           'late delivery']) AS disputereason__c,
       moment('invoice', n, day) AS createddate,
       later('invoice', n, moment('invoice', n, day)) AS updateddate,
       deleted
FROM invoices
ORDER BY number
"""

_INVOICEITEM = """
SELECT id_of('invoiceitem', i.n) AS id,
       id_of('invoice', i.invoice_n) AS invoiceid,
       id_of('account', i.account_n) AS accountid,
       id_of('subscription', i.subscription_n) AS subscriptionid,
       id_of('rateplancharge', i.charge_n) AS rateplanchargeid,
       CASE WHEN i.by_usage THEN 'Metered usage' ELSE 'Monthly fee' END AS chargename,
       i.quantity::DECIMAL(18, 6) AS quantity,
       i.price::DECIMAL(18, 6) AS unitprice,
       i.amount AS chargeamount,
       i.tax AS taxamount,
       month_start(i.month) AS servicestartdate,
       (month_start(i.month + 1) - 1)::DATE AS serviceenddate,
       moment('invoice', i.invoice_n, v.day) AS createddate,
       later('invoice', i.invoice_n, moment('invoice', i.invoice_n, v.day)) AS updateddate,
       i.deleted
FROM items AS i JOIN invoices AS v ON v.n = i.invoice_n
ORDER BY v.number, i.n
"""

_PAYMENT = """
SELECT id_of('payment', n) AS id,
       id_of('account', account_n) AS accountid,
       id_of('invoice', invoice_n) AS invoiceid,
       'P-' || lpad(number::VARCHAR, 8, '0') AS paymentnumber,
       'Electronic' AS type,
       CASE WHEN processed THEN 'Processed' ELSE 'Error' END AS status,
       amount,
       day AS effectivedate,
       CASE WHEN NOT processed
            THEN pick('gateway', n, ['insufficient funds', 'card expired', 'déclinée']) END
           AS gatewayresponse,
       moment('payment', n, day) AS createddate,
       later('payment', n, moment('payment', n, day)) AS updateddate,
       deleted
FROM payments
ORDER BY number
"""

_USAGE = """
WITH metered AS (
    SELECT i.*, i.n * 2 + k AS usage_n,
           (month_start(month) + (k * 14 + draw('usage day', i.n * 2 + k, 14))::INTEGER)::DATE
               AS day
    FROM items AS i, range(0, 2) AS numbers (k)
    WHERE by_usage
)
SELECT id_of('usage', usage_n) AS id,
       id_of('account', account_n) AS accountid,
       id_of('subscription', subscription_n) AS subscriptionid,
       id_of('rateplancharge', charge_n) AS rateplanchargeid,
       (1 + draw('usage', usage_n, 900))::DECIMAL(18, 6) AS quantity,
       'Unit' AS uom,
       moment('usage', usage_n, day) AS startdatetime,
       pick('meter', usage_n, ['eu-1', 'us-1', 'us-2', NULL]) AS meter__c,
       moment('usage', usage_n, day + 1) AS createddate,
       later('usage', usage_n, moment('usage', usage_n, day + 1)) AS updateddate,
       deleted
FROM metered
ORDER BY usage_n
"""

SELECTS: Mapping[str, str] = {
    "account": _ACCOUNT,
    "contact": _CONTACT,
    "subscription": _SUBSCRIPTION,
    "rateplan": _RATEPLAN,
    "rateplancharge": _RATEPLANCHARGE,
    "product": _PRODUCT,
    "productrateplan": _PRODUCTRATEPLAN,
    "invoice": _INVOICE,
    "invoiceitem": _INVOICEITEM,
    "payment": _PAYMENT,
    "usage": _USAGE,
}
