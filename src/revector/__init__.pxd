# The C ABI of librevector for Cython: `from revector cimport revector_normalize`.
# Link with the flags of `python -m revector --libs`. Nothing here raises; check the returned status.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t


cdef extern from "revector/revector.h" nogil:
    ctypedef enum revector_status:
        REVECTOR_OK
        REVECTOR_INVALID_ARGUMENT
        REVECTOR_SHAPE_ERROR
        REVECTOR_NUMERICAL_ERROR
        REVECTOR_CORRUPT_INDEX
        REVECTOR_DEVICE_UNAVAILABLE
        REVECTOR_ENCODER_ERROR
        REVECTOR_OUT_OF_MEMORY
        REVECTOR_INTERNAL_ERROR
        REVECTOR_IO_ERROR
        REVECTOR_UNSUPPORTED_INDEX

    const char* revector_last_error()
    const char* revector_version()

    revector_status revector_normalize(const float* x, size_t n, size_t d, float* out)
    revector_status revector_cosine_topk(const float* queries, size_t q, const float* documents, size_t n, size_t d,
                                         size_t k, float* scores, int64_t* indices)

    ctypedef struct revector_exact_index:
        pass

    revector_status revector_exact_index_build(const float* documents, size_t n, size_t d, revector_exact_index** out)
    revector_status revector_exact_index_search(const revector_exact_index* index, const float* queries, size_t q,
                                                size_t k, const uint8_t* allowed, float* scores, int64_t* indices)
    void revector_exact_index_free(revector_exact_index* index)

    ctypedef struct revector_accumulator:
        pass
    ctypedef struct revector_map:
        pass
    ctypedef struct revector_map_info:
        size_t d_old
        size_t d_new
        uint64_t n_pairs
        double residual
        double effective_rank
        double condition

    revector_status revector_accumulator_new(size_t d_old, size_t d_new, revector_accumulator** out)
    void revector_accumulator_free(revector_accumulator* accumulator)
    revector_status revector_accumulator_add(revector_accumulator* accumulator, const float* old_rows,
                                             const float* new_rows, size_t n)
    revector_status revector_accumulator_solve(const revector_accumulator* accumulator, int center, int scale,
                                               revector_map** out)
    void revector_map_free(revector_map* map)
    revector_status revector_map_describe(const revector_map* map, revector_map_info* out)
    revector_status revector_map_transform(const revector_map* map, const float* x, size_t n, float* out)
    revector_status revector_map_inverse_transform(const revector_map* map, const float* y, size_t n, float* out)

    ctypedef struct revector_hnsw:
        pass
    ctypedef enum revector_metric:
        REVECTOR_COSINE
        REVECTOR_INNER_PRODUCT
        REVECTOR_L2

    revector_status revector_hnsw_new(size_t dim, revector_metric metric, size_t m, size_t ef_construction,
                                      uint64_t seed, revector_hnsw** out)
    revector_status revector_hnsw_build(const float* vectors, const int64_t* labels, size_t n, size_t dim,
                                        revector_metric metric, size_t m, size_t ef_construction, uint64_t seed,
                                        revector_hnsw** out)
    revector_status revector_hnsw_serve_stale(const revector_hnsw* index, const float* vectors, const int64_t* labels,
                                              size_t n, size_t dim, revector_hnsw** out)
    revector_status revector_hnsw_load(const char* path, size_t dim, revector_metric metric, uint64_t seed,
                                       revector_hnsw** out)
    revector_status revector_hnsw_load_faiss(const char* path, const revector_metric* metric, uint64_t seed,
                                             revector_hnsw** out)
    revector_status revector_hnsw_save(const revector_hnsw* index, const char* path)
    revector_status revector_hnsw_save_with_capacity(const revector_hnsw* index, const char* path, size_t capacity)
    void revector_hnsw_free(revector_hnsw* index)
    revector_status revector_hnsw_add(revector_hnsw* index, const float* vectors, const int64_t* labels, size_t n)
    revector_status revector_hnsw_mark_deleted(revector_hnsw* index, const int64_t* labels, size_t n)
    revector_status revector_hnsw_unmark_deleted(revector_hnsw* index, const int64_t* labels, size_t n)
    revector_status revector_hnsw_search(const revector_hnsw* index, const float* queries, size_t q, size_t k,
                                         size_t ef, float* scores, int64_t* labels)
    revector_status revector_hnsw_search_allowed(const revector_hnsw* index, const float* queries, size_t q, size_t k,
                                                 size_t ef, const int64_t* allowed, size_t n_allowed, float* scores,
                                                 int64_t* labels)
    revector_status revector_hnsw_get_vectors(const revector_hnsw* index, const int64_t* labels, size_t n, float* out)
    revector_status revector_hnsw_size(const revector_hnsw* index, size_t* out)

    ctypedef struct revector_hnsw_snapshot:
        pass

    ctypedef enum revector_element_type:
        REVECTOR_ELEMENT_FLOAT32
        REVECTOR_ELEMENT_FLOAT16
        REVECTOR_ELEMENT_BFLOAT16
        REVECTOR_ELEMENT_INT8

    revector_status revector_hnsw_save_snapshot(const revector_hnsw* index, const char* path,
                                                revector_element_type type, int rescore)
    revector_status revector_hnsw_snapshot_open(const char* path, revector_hnsw_snapshot** out)
    void revector_hnsw_snapshot_free(revector_hnsw_snapshot* snapshot)
    revector_status revector_hnsw_snapshot_verify(const revector_hnsw_snapshot* snapshot)
    revector_status revector_hnsw_snapshot_search(const revector_hnsw_snapshot* snapshot, const float* queries,
                                                  size_t q, size_t k, size_t ef, float* scores, int64_t* labels)
    revector_status revector_hnsw_snapshot_size(const revector_hnsw_snapshot* snapshot, size_t* size, size_t* dim)

    ctypedef struct revector_encoder:
        pass
    ctypedef enum revector_precision:
        REVECTOR_PRECISION_AUTO
        REVECTOR_PRECISION_FLOAT32
        REVECTOR_PRECISION_BFLOAT16
        REVECTOR_PRECISION_INT8

    ctypedef struct revector_encoder_info:
        size_t dimension
        size_t vocabulary
        size_t max_length
        int normalized

    revector_status revector_encoder_load(const char* folder, revector_precision precision, revector_encoder** out)
    void revector_encoder_free(revector_encoder* encoder)
    revector_status revector_encoder_describe(const revector_encoder* encoder, revector_encoder_info* out)
    revector_status revector_encoder_encode(const revector_encoder* encoder, const int32_t* ids, const int64_t* offsets,
                                            size_t n, float* out)

    ctypedef struct revector_cross_encoder:
        pass
    ctypedef struct revector_cross_encoder_info:
        size_t labels
        size_t vocabulary
        size_t types
        size_t max_length
    revector_status revector_cross_encoder_load(const char* folder, revector_cross_encoder** out)
    void revector_cross_encoder_free(revector_cross_encoder* encoder)
    revector_status revector_cross_encoder_describe(const revector_cross_encoder* encoder,
                                                    revector_cross_encoder_info* out)
    revector_status revector_cross_encoder_score(const revector_cross_encoder* encoder, const int32_t* ids,
                                                 const int64_t* offsets, const int32_t* types, size_t n, float* out)
