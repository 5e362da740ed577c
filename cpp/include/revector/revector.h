/**
 * @file
 * The C ABI of librevector: a veneer over the C++ API that throws nothing.
 *
 * Every function returns a status; REVECTOR_OK is 0. After any other, revector_last_error() holds the message for the
 * calling thread until its next failing call. Matrices are row-major float32 without gaps. Pointers are borrowed for
 * the call. Handles are freed by the caller; all functions but *_free, *_accumulator_add may share a handle between
 * threads.
 */
#ifndef REVECTOR_REVECTOR_H
#define REVECTOR_REVECTOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REVECTOR_C_API __attribute__((visibility("default")))

typedef enum revector_status {
  REVECTOR_OK = 0,
  REVECTOR_INVALID_ARGUMENT = 1,
  REVECTOR_SHAPE_ERROR = 2,
  REVECTOR_NUMERICAL_ERROR = 3,
  REVECTOR_CORRUPT_INDEX = 4,
  REVECTOR_DEVICE_UNAVAILABLE = 5,
  REVECTOR_ENCODER_ERROR = 6,
  REVECTOR_OUT_OF_MEMORY = 7,
  REVECTOR_INTERNAL_ERROR = 8,
  REVECTOR_IO_ERROR = 9,
  REVECTOR_UNSUPPORTED_INDEX = 10 /**< a sound file of a kind that is not supported */
} revector_status;

/** Message of the calling thread's last failure; "" if there was none. Valid until the thread's next call. */
REVECTOR_C_API const char* revector_last_error(void);

/** "major.minor.patch" */
REVECTOR_C_API const char* revector_version(void);

/* ---- similarity ---------------------------------------------------------------------------------------------- */

/** Unit rows: x and out are n x d; out may be x. Zero rows stay zero. */
REVECTOR_C_API revector_status revector_normalize(const float* x, size_t n, size_t d, float* out);

/** Exact top-k by cosine similarity: queries q x d, documents n x d, scores and indices q x k. */
REVECTOR_C_API revector_status revector_cosine_topk(const float* queries, size_t q, const float* documents, size_t n,
                                                    size_t d, size_t k, float* scores, int64_t* indices);

/** Documents packed once for many exact searches. */
typedef struct revector_exact_index revector_exact_index;

/** documents: n x d; they must outlive the index and must not change. Free it with revector_exact_index_free(). */
REVECTOR_C_API revector_status revector_exact_index_build(const float* documents, size_t n, size_t d,
                                                          revector_exact_index** out);

/** As revector_cosine_topk(). allowed: n bytes, 0 leaves a document out; or NULL. Safe from several threads. */
REVECTOR_C_API revector_status revector_exact_index_search(const revector_exact_index* index, const float* queries,
                                                           size_t q, size_t k, const uint8_t* allowed, float* scores,
                                                           int64_t* indices);

/** NULL is nothing. */
REVECTOR_C_API void revector_exact_index_free(revector_exact_index* index);

/* ---- Procrustes ---------------------------------------------------------------------------------------------- */

typedef struct revector_accumulator revector_accumulator;
typedef struct revector_map revector_map;

typedef struct revector_map_info {
  size_t d_old, d_new;
  uint64_t n_pairs;
  double residual, effective_rank, condition;
} revector_map_info;

/** An empty sum of pairs; see ProcrustesAccumulator in procrustes.hpp. */
REVECTOR_C_API revector_status revector_accumulator_new(size_t d_old, size_t d_new, revector_accumulator** out);
REVECTOR_C_API void revector_accumulator_free(revector_accumulator* accumulator);
/** Add n pairs: old_rows n x d_old, new_rows n x d_new. One thread at a time. */
REVECTOR_C_API revector_status revector_accumulator_add(revector_accumulator* accumulator, const float* old_rows,
                                                        const float* new_rows, size_t n);
/** Solve for the map; center and scale are flags (0 or 1). */
REVECTOR_C_API revector_status revector_accumulator_solve(const revector_accumulator* accumulator, int center,
                                                          int scale, revector_map** out);
REVECTOR_C_API void revector_map_free(revector_map* map);
REVECTOR_C_API revector_status revector_map_describe(const revector_map* map, revector_map_info* out);
/** x n x d_old -> out n x d_new, unit rows. */
REVECTOR_C_API revector_status revector_map_transform(const revector_map* map, const float* x, size_t n, float* out);
/** y n x d_new -> out n x d_old, unit rows. */
REVECTOR_C_API revector_status revector_map_inverse_transform(const revector_map* map, const float* y, size_t n,
                                                              float* out);

/* ---- HNSW ---------------------------------------------------------------------------------------------------- */

typedef struct revector_hnsw revector_hnsw;

typedef enum revector_metric { REVECTOR_COSINE = 0, REVECTOR_INNER_PRODUCT = 1, REVECTOR_L2 = 2 } revector_metric;

/** An empty index; see HnswIndex in hnsw.hpp for the options. Its functions may be called from several threads. */
REVECTOR_C_API revector_status revector_hnsw_new(size_t dim, revector_metric metric, size_t m, size_t ef_construction,
                                                 uint64_t seed, revector_hnsw** out);
/** An index of many vectors (n x dim, labels n, each once) at once, for a fraction of what adding them costs. */
REVECTOR_C_API revector_status revector_hnsw_build(const float* vectors, const int64_t* labels, size_t n, size_t dim,
                                                   revector_metric metric, size_t m, size_t ef_construction,
                                                   uint64_t seed, revector_hnsw** out);
/** The old graph under new vectors (n x dim, one for each live label, any dim), until one is built for them. */
REVECTOR_C_API revector_status revector_hnsw_serve_stale(const revector_hnsw* index, const float* vectors,
                                                         const int64_t* labels, size_t n, size_t dim,
                                                         revector_hnsw** out);
/** Open a file in hnswlib's format; neither metric nor seed is in it. */
REVECTOR_C_API revector_status revector_hnsw_load(const char* path, size_t dim, revector_metric metric, uint64_t seed,
                                                  revector_hnsw** out);
/** Open what faiss wrote of an IndexHNSWFlat, alone or in an IndexIDMap. metric: NULL for that of the file. */
REVECTOR_C_API revector_status revector_hnsw_load_faiss(const char* path, const revector_metric* metric, uint64_t seed,
                                                        revector_hnsw** out);
REVECTOR_C_API revector_status revector_hnsw_save(const revector_hnsw* index, const char* path);
/** As revector_hnsw_save; capacity: vectors that hnswlib will have room for, at least those that are there. */
REVECTOR_C_API revector_status revector_hnsw_save_with_capacity(const revector_hnsw* index, const char* path,
                                                                size_t capacity);
REVECTOR_C_API void revector_hnsw_free(revector_hnsw* index);
/** Insert or replace: vectors n x dim, labels n. */
REVECTOR_C_API revector_status revector_hnsw_add(revector_hnsw* index, const float* vectors, const int64_t* labels,
                                                 size_t n);
/** Hide labels from results, or show them again. */
REVECTOR_C_API revector_status revector_hnsw_mark_deleted(revector_hnsw* index, const int64_t* labels, size_t n);
REVECTOR_C_API revector_status revector_hnsw_unmark_deleted(revector_hnsw* index, const int64_t* labels, size_t n);
/** queries q x dim -> scores and labels q x k, best first; label -1 and score -infinity where fewer were found. */
REVECTOR_C_API revector_status revector_hnsw_search(const revector_hnsw* index, const float* queries, size_t q,
                                                    size_t k, size_t ef, float* scores, int64_t* labels);
/** As revector_hnsw_search, of the labels allowed; those that are not in the index are passed over. */
REVECTOR_C_API revector_status revector_hnsw_search_allowed(const revector_hnsw* index, const float* queries, size_t q,
                                                            size_t k, size_t ef, const int64_t* allowed,
                                                            size_t n_allowed, float* scores, int64_t* labels);
/** out n x dim */
REVECTOR_C_API revector_status revector_hnsw_get_vectors(const revector_hnsw* index, const int64_t* labels, size_t n,
                                                         float* out);
/** Number of live labels. */
REVECTOR_C_API revector_status revector_hnsw_size(const revector_hnsw* index, size_t* out);

/* ---- HNSW in a file that is searched where it lies ------------------------------------------------------------ */

typedef struct revector_hnsw_snapshot revector_hnsw_snapshot;

/** How the vectors are stored that searches walk over; see SnapshotOptions in hnsw_snapshot.hpp. */
typedef enum revector_element_type {
  REVECTOR_ELEMENT_FLOAT32 = 0,
  REVECTOR_ELEMENT_FLOAT16 = 1,
  REVECTOR_ELEMENT_BFLOAT16 = 2,
  REVECTOR_ELEMENT_INT8 = 3
} revector_element_type;

/** Write a read-only copy; rescore is a flag (0 or 1): keep the float32 vectors beside the others. */
REVECTOR_C_API revector_status revector_hnsw_save_snapshot(const revector_hnsw* index, const char* path,
                                                           revector_element_type type, int rescore);
/** Map a file of revector_hnsw_save_snapshot. Its functions may be called from several threads. */
REVECTOR_C_API revector_status revector_hnsw_snapshot_open(const char* path, revector_hnsw_snapshot** out);
REVECTOR_C_API void revector_hnsw_snapshot_free(revector_hnsw_snapshot* snapshot);
/** Read the whole file and compare its checksums. */
REVECTOR_C_API revector_status revector_hnsw_snapshot_verify(const revector_hnsw_snapshot* snapshot);
/** As revector_hnsw_search. */
REVECTOR_C_API revector_status revector_hnsw_snapshot_search(const revector_hnsw_snapshot* snapshot,
                                                             const float* queries, size_t q, size_t k, size_t ef,
                                                             float* scores, int64_t* labels);
/** Number of live labels, and elements of a vector. */
REVECTOR_C_API revector_status revector_hnsw_snapshot_size(const revector_hnsw_snapshot* snapshot, size_t* size,
                                                           size_t* dim);

/* ---- encoder ------------------------------------------------------------------------------------------------- */

typedef struct revector_encoder revector_encoder;

/** Format of a transformer's products; see precision.hpp. */
typedef enum revector_precision {
  REVECTOR_PRECISION_AUTO = 0, /**< the fastest here within a cosine of .9999 of float32 */
  REVECTOR_PRECISION_FLOAT32 = 1,
  REVECTOR_PRECISION_BFLOAT16 = 2,
  REVECTOR_PRECISION_INT8 = 3
} revector_precision;

typedef struct revector_encoder_info {
  size_t dimension;  /**< length of a vector */
  size_t vocabulary; /**< token ids are below this */
  size_t max_length; /**< tokens of a text, special ones included; 0 where any number will do */
  int normalized;    /**< whether the model itself ends in unit rows */
} revector_encoder_info;

/** Read a model folder (UTF-8 path); see Encoder in encoder.hpp. */
REVECTOR_C_API revector_status revector_encoder_load(const char* folder, revector_precision precision,
                                                     revector_encoder** out);
REVECTOR_C_API void revector_encoder_free(revector_encoder* encoder);
REVECTOR_C_API revector_status revector_encoder_describe(const revector_encoder* encoder, revector_encoder_info* out);
/** Unit rows of n texts: text i is ids[offsets[i]] to ids[offsets[i + 1] - 1]; offsets has n + 1 elements, out is
 * n x dimension. */
REVECTOR_C_API revector_status revector_encoder_encode(const revector_encoder* encoder, const int32_t* ids,
                                                       const int64_t* offsets, size_t n, float* out);

/* ---- cross-encoder ------------------------------------------------------------------------------------------- */

typedef struct revector_cross_encoder revector_cross_encoder;

typedef struct revector_cross_encoder_info {
  size_t labels;     /**< logits of a pair */
  size_t vocabulary; /**< token ids are below this */
  size_t types;      /**< token types are below this */
  size_t max_length; /**< tokens of a pair, special ones included */
} revector_cross_encoder_info;

/** Read a folder with a sequence classifier (UTF-8 path); see CrossEncoder in cross_encoder.hpp. */
REVECTOR_C_API revector_status revector_cross_encoder_load(const char* folder, revector_cross_encoder** out);
REVECTOR_C_API void revector_cross_encoder_free(revector_cross_encoder* encoder);
REVECTOR_C_API revector_status revector_cross_encoder_describe(const revector_cross_encoder* encoder,
                                                               revector_cross_encoder_info* out);
/** Logits of n pairs: pair i is ids[offsets[i]] to ids[offsets[i + 1] - 1]; types has an element for each id, or is
 * NULL for type 0 throughout; offsets has n + 1 elements, out is n x labels. */
REVECTOR_C_API revector_status revector_cross_encoder_score(const revector_cross_encoder* encoder, const int32_t* ids,
                                                            const int64_t* offsets, const int32_t* types, size_t n,
                                                            float* out);

#ifdef __cplusplus
}
#endif

#endif
