/* The C header compiled as C, with every warning. */
#include <revector/revector.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  float rows[4] = {3, 4, 0, 2};
  float score = 0;
  int64_t index = -1;
  if (revector_normalize(rows, 2, 2, rows) != REVECTOR_OK) return 1;
  if (revector_cosine_topk(rows, 1, rows, 2, 2, 1, &score, &index) != REVECTOR_OK || index != 0) return 2;
  if (revector_cosine_topk(rows, 1, rows, 2, 2, 5, &score, &index) != REVECTOR_INVALID_ARGUMENT) return 3;
  if (strstr(revector_last_error(), "k is 5") == NULL) return 4;
  printf("revector %s\n", revector_version());
  return 0;
}
