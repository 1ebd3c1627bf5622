"""Tests of the audit log without a store."""
