"""The HTTP layer: parse a request, call one function of the core, render what it returns."""
