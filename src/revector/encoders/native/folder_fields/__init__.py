"""What the files of a model folder say, field by field: obeyed, irrelevant (and why), or refused by name.

The tables are data, one module for each library that writes the files: `transformers` (config.json and the files of
the tokeniser) and `sentence_transformers` (modules.json and what it leads to). `reading` holds a folder against them,
`tokenizer` works out what its tokeniser really does.
"""

from revector.encoders.native.folder_fields.reading import FolderFields, UnknownFieldWarning, read_fields
from revector.encoders.native.folder_fields.tokenizer import Definition, read_definition

__all__ = ["Definition", "FolderFields", "UnknownFieldWarning", "read_definition", "read_fields"]
