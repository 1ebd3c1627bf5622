"""Result files: encode, compress, encrypt, store, sign. `write.py` has the whole pipeline."""
