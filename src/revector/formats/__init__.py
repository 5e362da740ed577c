"""Users' files: documents, queries and judgements, as JSON lines, as tables, in the layouts of BEIR and TREC.

A file and stdin go the same way, from bytes to rows. What cannot be read is refused with its place (``file:line``) and,
where it is known, the id of the row. The models that have a name of their own are here too.
"""
