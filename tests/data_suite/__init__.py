"""Files of every kind against an oracle that reads them with other programs.

`python -m tests.data_suite CELLS` compares so many cells, generated from a seed, and prints what
it found. The oracle is Python: `csv`, `json`, `decimal`, `datetime`, and pyarrow for Parquet.
"""
