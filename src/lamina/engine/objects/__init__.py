"""Object stores: one contract (`store`), one file per kind of store, one file per wrapper."""
