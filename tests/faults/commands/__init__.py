"""Every command in every bad situation: `make command-faults`."""
