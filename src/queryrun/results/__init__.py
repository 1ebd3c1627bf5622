"""Where bytes go: encode, compress, encrypt, store, sign. `write.py` shows it on one screen."""
