"""Which of some models made the vectors of a table: for whoever takes one over that does not say so.

Every text is embedded again with each candidate. A vector fits the candidate whose vector it is nearest to, if it is
within `TOLERANCE`. It fits another one as well unless it tells them apart: on the way from that one's vector to the
nearest one's it lies beyond three quarters. So a text that is shorter than both limits fits a model cut at 256 tokens
and the same one cut at 512, and only longer ones say which it was.

The tolerance was measured with all-MiniLM-L6-v2 on 600 docstrings of 20 to 700 tokens (1 - cosine, from float32):

=============================================================== ======= ======= =======
the same model by another path                                    least  median    most
=============================================================== ======= ======= =======
sentence-transformers (torch, another BLAS); batches of one       1e-13   3e-13   1e-12
stored as float16 or halfvec                                       2e-8    2e-8    3e-8
stored as bfloat16                                                 1e-6    1e-6    2e-6
computed in bfloat16 (in torch, all of it: 6e-5 at most)           8e-6    1e-5    3e-5
stored as int8, one scale for each row or for all                  2e-5    3e-5    1e-4
computed in int8 by `Encoder`                                      2e-4    4e-4    7e-4
--------------------------------------------------------------- ------- ------- -------
another model
--------------------------------------------------------------- ------- ------- -------
"passage: " before each text, instead of nothing                   3e-3    1e-2    9e-2
"query: " before each text, instead of nothing                     2e-3    2e-2    2e-1
"query: " instead of "passage: "                                   1e-3    3e-2    2e-1
fine-tuned for 5 steps                                             8e-4    3e-3    2e-2
cls pooling instead of mean                                        4e-1    6e-1    7e-1
cut at 128, or 512, instead of 256 tokens: where that matters      9e-5    6e-2    4e-1
cut at 254 instead of 256 tokens: where that matters               1e-4    5e-4    6e-3
fine-tuned for 1 step                                              1e-4    3e-4    1e-3
=============================================================== ======= ======= =======

What lies within the tolerance though it is another model (the last lines) is told from the model where both are
candidates, and only there. Then it is: of 37,552 vectors, made by each of these paths and with each of these models as
the other candidate, all but 13 told, and none told wrong. Beyond the tolerance are 2 of 5 vectors that were stored as
int8 with the outermost 1 % of all numbers cut off (up to 1e-2: give a wider one), and what torch's dynamic quantisation
makes (3e-2 and more).
"""

from revector.encoders.identify.comparison import TOLERANCE
from revector.encoders.identify.identifying import identify
from revector.encoders.identify.results import Attribution, Identification, Misfit, Share

__all__ = ["TOLERANCE", "Attribution", "Identification", "Misfit", "Share", "identify"]
