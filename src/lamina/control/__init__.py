"""The control plane's rooms: who owns what, in which state, and what may happen to it next.

A room has `records.py` (its tables), `states.py`, `queries.py` (every query takes the account), `errors.py` and
one file per verb. A verb is called as `verb(scope, …)` inside the caller's transaction; what takes time it
leaves to a task that it writes in the same transaction. Verbs may use the records, queries and holds of other
rooms; records and queries import only from rooms below theirs, in the order that the import contracts of
`pyproject.toml` name. What puts machines and disks together is `provisioning`, above them.
"""
