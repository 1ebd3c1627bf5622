"""Settings -> live parts: the only package that knows every class. `node.py` puts them together."""
