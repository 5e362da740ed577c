"""How a query travels: which generations it reads, how it is encoded, and how what is found becomes one ranking."""
