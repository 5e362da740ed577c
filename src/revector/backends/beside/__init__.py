"""Collections whose vectors are in a store without transactions, and whose ledger is a file beside it."""
