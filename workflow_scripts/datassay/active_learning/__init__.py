"""Active learning on a pool whose labels are known: the loop, what it records, and how strategies compare."""
