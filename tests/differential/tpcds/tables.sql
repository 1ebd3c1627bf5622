-- TPC-DS's tables: the columns of Trino's tpcds.tiny that its queries name, of the large ones a part of the rows; char(n) as varchar.
-- call_center
SELECT cc_call_center_sk, rtrim(CAST(cc_call_center_id AS varchar)) AS cc_call_center_id, CAST(cc_name AS varchar) AS cc_name, CAST(cc_manager AS varchar) AS cc_manager, CAST(cc_county AS varchar) AS cc_county
FROM tpcds.tiny.call_center
-- catalog_page
SELECT cp_catalog_page_sk, rtrim(CAST(cp_catalog_page_id AS varchar)) AS cp_catalog_page_id
FROM tpcds.tiny.catalog_page
-- catalog_returns
SELECT cr_returned_date_sk, cr_item_sk, cr_returning_customer_sk, cr_returning_addr_sk, cr_call_center_sk, cr_catalog_page_sk, cr_order_number, cr_return_quantity, cr_return_amount, cr_return_amt_inc_tax, cr_refunded_cash, cr_reversed_charge, cr_store_credit, cr_net_loss
FROM tpcds.tiny.catalog_returns
WHERE cr_order_number % 7 = 1
-- catalog_sales
SELECT cs_sold_date_sk, cs_sold_time_sk, cs_ship_date_sk, cs_bill_customer_sk, cs_bill_cdemo_sk, cs_bill_hdemo_sk, cs_bill_addr_sk, cs_ship_customer_sk, cs_ship_addr_sk, cs_call_center_sk, cs_catalog_page_sk, cs_ship_mode_sk, cs_warehouse_sk, cs_item_sk, cs_promo_sk, cs_order_number, cs_quantity, cs_wholesale_cost, cs_list_price, cs_sales_price, cs_ext_discount_amt, cs_ext_sales_price, cs_ext_wholesale_cost, cs_ext_list_price, cs_coupon_amt, cs_ext_ship_cost, cs_net_paid, cs_net_paid_inc_tax, cs_net_profit
FROM tpcds.tiny.catalog_sales
WHERE cs_order_number % 7 = 1
-- customer
SELECT c_customer_sk, rtrim(CAST(c_customer_id AS varchar)) AS c_customer_id, c_current_cdemo_sk, c_current_hdemo_sk, c_current_addr_sk, c_first_shipto_date_sk, c_first_sales_date_sk, rtrim(CAST(c_salutation AS varchar)) AS c_salutation, rtrim(CAST(c_first_name AS varchar)) AS c_first_name, rtrim(CAST(c_last_name AS varchar)) AS c_last_name, rtrim(CAST(c_preferred_cust_flag AS varchar)) AS c_preferred_cust_flag, c_birth_day, c_birth_month, c_birth_year, CAST(c_birth_country AS varchar) AS c_birth_country, rtrim(CAST(c_login AS varchar)) AS c_login, rtrim(CAST(c_email_address AS varchar)) AS c_email_address, c_last_review_date_sk
FROM tpcds.tiny.customer
-- customer_address
SELECT ca_address_sk, rtrim(CAST(ca_street_number AS varchar)) AS ca_street_number, CAST(ca_street_name AS varchar) AS ca_street_name, rtrim(CAST(ca_street_type AS varchar)) AS ca_street_type, rtrim(CAST(ca_suite_number AS varchar)) AS ca_suite_number, CAST(ca_city AS varchar) AS ca_city, CAST(ca_county AS varchar) AS ca_county, rtrim(CAST(ca_state AS varchar)) AS ca_state, rtrim(CAST(ca_zip AS varchar)) AS ca_zip, CAST(ca_country AS varchar) AS ca_country, ca_gmt_offset, rtrim(CAST(ca_location_type AS varchar)) AS ca_location_type
FROM tpcds.tiny.customer_address
-- customer_demographics
SELECT cd_demo_sk, rtrim(CAST(cd_gender AS varchar)) AS cd_gender, rtrim(CAST(cd_marital_status AS varchar)) AS cd_marital_status, rtrim(CAST(cd_education_status AS varchar)) AS cd_education_status, cd_purchase_estimate, rtrim(CAST(cd_credit_rating AS varchar)) AS cd_credit_rating, cd_dep_count, cd_dep_employed_count, cd_dep_college_count
FROM tpcds.tiny.customer_demographics
WHERE cd_demo_sk IN (
 SELECT c_current_cdemo_sk FROM tpcds.tiny.customer
 UNION SELECT ss_cdemo_sk FROM tpcds.tiny.store_sales WHERE ss_ticket_number % 8 = 1
 UNION SELECT cs_bill_cdemo_sk FROM tpcds.tiny.catalog_sales WHERE cs_order_number % 7 = 1
 UNION SELECT wr_refunded_cdemo_sk FROM tpcds.tiny.web_returns
 UNION SELECT wr_returning_cdemo_sk FROM tpcds.tiny.web_returns)
-- date_dim
SELECT d_date_sk, d_date, d_month_seq, d_week_seq, d_year, d_dow, d_moy, d_dom, d_qoy, rtrim(CAST(d_day_name AS varchar)) AS d_day_name, rtrim(CAST(d_quarter_name AS varchar)) AS d_quarter_name
FROM tpcds.tiny.date_dim
WHERE d_year BETWEEN 1997 AND 2003
-- household_demographics
SELECT hd_demo_sk, hd_income_band_sk, rtrim(CAST(hd_buy_potential AS varchar)) AS hd_buy_potential, hd_dep_count, hd_vehicle_count
FROM tpcds.tiny.household_demographics
-- income_band
SELECT ib_income_band_sk, ib_lower_bound, ib_upper_bound
FROM tpcds.tiny.income_band
-- inventory
SELECT inv_date_sk, inv_item_sk, inv_warehouse_sk, inv_quantity_on_hand
FROM tpcds.tiny.inventory
WHERE inv_item_sk % 4 = 1
-- item
SELECT i_item_sk, rtrim(CAST(i_item_id AS varchar)) AS i_item_id, CAST(i_item_desc AS varchar) AS i_item_desc, i_current_price, i_wholesale_cost, i_brand_id, rtrim(CAST(i_brand AS varchar)) AS i_brand, i_class_id, rtrim(CAST(i_class AS varchar)) AS i_class, i_category_id, rtrim(CAST(i_category AS varchar)) AS i_category, i_manufact_id, rtrim(CAST(i_manufact AS varchar)) AS i_manufact, rtrim(CAST(i_size AS varchar)) AS i_size, rtrim(CAST(i_color AS varchar)) AS i_color, rtrim(CAST(i_units AS varchar)) AS i_units, i_manager_id, rtrim(CAST(i_product_name AS varchar)) AS i_product_name
FROM tpcds.tiny.item
-- promotion
SELECT p_promo_sk, rtrim(CAST(p_channel_dmail AS varchar)) AS p_channel_dmail, rtrim(CAST(p_channel_email AS varchar)) AS p_channel_email, rtrim(CAST(p_channel_tv AS varchar)) AS p_channel_tv, rtrim(CAST(p_channel_event AS varchar)) AS p_channel_event
FROM tpcds.tiny.promotion
-- reason
SELECT r_reason_sk, rtrim(CAST(r_reason_desc AS varchar)) AS r_reason_desc
FROM tpcds.tiny.reason
-- ship_mode
SELECT sm_ship_mode_sk, rtrim(CAST(sm_type AS varchar)) AS sm_type, rtrim(CAST(sm_carrier AS varchar)) AS sm_carrier
FROM tpcds.tiny.ship_mode
-- store
SELECT s_store_sk, rtrim(CAST(s_store_id AS varchar)) AS s_store_id, CAST(s_store_name AS varchar) AS s_store_name, s_number_employees, s_market_id, s_company_id, CAST(s_company_name AS varchar) AS s_company_name, CAST(s_street_number AS varchar) AS s_street_number, CAST(s_street_name AS varchar) AS s_street_name, rtrim(CAST(s_street_type AS varchar)) AS s_street_type, rtrim(CAST(s_suite_number AS varchar)) AS s_suite_number, CAST(s_city AS varchar) AS s_city, CAST(s_county AS varchar) AS s_county, rtrim(CAST(s_state AS varchar)) AS s_state, rtrim(CAST(s_zip AS varchar)) AS s_zip, s_gmt_offset
FROM tpcds.tiny.store
-- store_returns
SELECT sr_returned_date_sk, sr_item_sk, sr_customer_sk, sr_cdemo_sk, sr_store_sk, sr_reason_sk, sr_ticket_number, sr_return_quantity, sr_return_amt, sr_net_loss
FROM tpcds.tiny.store_returns
WHERE sr_ticket_number % 8 = 1
-- store_sales
SELECT ss_sold_date_sk, ss_sold_time_sk, ss_item_sk, ss_customer_sk, ss_cdemo_sk, ss_hdemo_sk, ss_addr_sk, ss_store_sk, ss_promo_sk, ss_ticket_number, ss_quantity, ss_wholesale_cost, ss_list_price, ss_sales_price, ss_ext_discount_amt, ss_ext_sales_price, ss_ext_wholesale_cost, ss_ext_list_price, ss_ext_tax, ss_coupon_amt, ss_net_paid, ss_net_profit
FROM tpcds.tiny.store_sales
WHERE ss_ticket_number % 8 = 1
-- time_dim
SELECT t_time_sk, t_time, t_hour, t_minute, rtrim(CAST(t_meal_time AS varchar)) AS t_meal_time
FROM tpcds.tiny.time_dim
-- warehouse
SELECT w_warehouse_sk, CAST(w_warehouse_name AS varchar) AS w_warehouse_name, w_warehouse_sq_ft, CAST(w_city AS varchar) AS w_city, CAST(w_county AS varchar) AS w_county, rtrim(CAST(w_state AS varchar)) AS w_state, CAST(w_country AS varchar) AS w_country
FROM tpcds.tiny.warehouse
-- web_page
SELECT wp_web_page_sk, wp_char_count
FROM tpcds.tiny.web_page
-- web_returns
SELECT wr_returned_date_sk, wr_item_sk, wr_refunded_cdemo_sk, wr_refunded_addr_sk, wr_returning_customer_sk, wr_returning_cdemo_sk, wr_returning_addr_sk, wr_web_page_sk, wr_reason_sk, wr_order_number, wr_return_quantity, wr_return_amt, wr_fee, wr_refunded_cash, wr_net_loss
FROM tpcds.tiny.web_returns
-- web_sales
SELECT ws_sold_date_sk, ws_sold_time_sk, ws_ship_date_sk, ws_item_sk, ws_bill_customer_sk, ws_bill_addr_sk, ws_ship_customer_sk, ws_ship_hdemo_sk, ws_ship_addr_sk, ws_web_page_sk, ws_web_site_sk, ws_ship_mode_sk, ws_warehouse_sk, ws_promo_sk, ws_order_number, ws_quantity, ws_wholesale_cost, ws_list_price, ws_sales_price, ws_ext_discount_amt, ws_ext_sales_price, ws_ext_wholesale_cost, ws_ext_list_price, ws_ext_ship_cost, ws_net_paid, ws_net_profit
FROM tpcds.tiny.web_sales
-- web_site
SELECT web_site_sk, rtrim(CAST(web_site_id AS varchar)) AS web_site_id, CAST(web_name AS varchar) AS web_name, rtrim(CAST(web_company_name AS varchar)) AS web_company_name
FROM tpcds.tiny.web_site
