"""A table of the user's becomes a collection: names, what is read of it first, what its rows hold."""
