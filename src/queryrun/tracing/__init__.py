"""Traces: which one a request belongs to, and what is told of it.

`context` reads and writes W3C's `traceparent`, `span` is what is recorded, `export` keeps it until
it is sent, and `otlp` sends it. Only `otlp` needs the extra `queryrun[otel]`; nobody imports it
unless `tracing.endpoint` is set.
"""
