/* AES and SHA-1 of a libcrypto that is found when the program starts: no headers and no link-time dependency.
 *
 * Declared here is the part of OpenSSL's EVP interface (3.0 and later) that SRTP needs. */
#ifndef CUBEPROXY_CRYPTO_H
#define CUBEPROXY_CRYPTO_H

#include <stddef.h>

typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct engine_st ENGINE;

/* ossl_param_st of OpenSSL 3: part of its stable interface. */
typedef struct {
    const char *key;
    unsigned int data_type;
    void *data;
    size_t data_size;
    size_t return_size;
} OSSL_PARAM;

enum { OSSL_PARAM_OCTET_STRING = 5 };

/* The functions by their own names, so that the rest reads like any user of libcrypto. */
#define CRYPTO_FUNCTIONS(F) \
    F(const char *, OpenSSL_version, (int)) \
    F(void, ERR_clear_error, (void)) \
    F(EVP_CIPHER *, EVP_CIPHER_fetch, (void *, const char *, const char *)) \
    F(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void)) \
    F(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX *)) \
    F(int, EVP_CIPHER_CTX_get_params, (EVP_CIPHER_CTX *, OSSL_PARAM *)) \
    F(int, EVP_CIPHER_CTX_set_params, (EVP_CIPHER_CTX *, const OSSL_PARAM *)) \
    F(int, EVP_EncryptInit_ex2, (EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *, \
                                 const unsigned char *, const OSSL_PARAM *)) \
    F(int, EVP_EncryptUpdate, (EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int)) \
    F(int, EVP_EncryptFinal_ex, (EVP_CIPHER_CTX *, unsigned char *, int *)) \
    F(int, EVP_DecryptInit_ex2, (EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *, \
                                 const unsigned char *, const OSSL_PARAM *)) \
    F(int, EVP_DecryptUpdate, (EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int)) \
    F(int, EVP_DecryptFinal_ex, (EVP_CIPHER_CTX *, unsigned char *, int *)) \
    F(EVP_MD *, EVP_MD_fetch, (void *, const char *, const char *)) \
    F(EVP_MD_CTX *, EVP_MD_CTX_new, (void)) \
    F(void, EVP_MD_CTX_free, (EVP_MD_CTX *)) \
    F(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX *, const EVP_MD_CTX *)) \
    F(int, EVP_DigestInit_ex2, (EVP_MD_CTX *, const EVP_MD *, const OSSL_PARAM *)) \
    F(int, EVP_DigestUpdate, (EVP_MD_CTX *, const void *, size_t)) \
    F(int, EVP_DigestFinal_ex, (EVP_MD_CTX *, unsigned char *, unsigned int *))

#define DECLARE(type, name, arguments) extern type(*name) arguments;
CRYPTO_FUNCTIONS(DECLARE)
#undef DECLARE

/* Load libcrypto; true when it is there with all that is needed. `hint` may name a library to be
 * tried after the system's own, or be NULL. `why` gets where it was found, or what is missing. */
int crypto_open(const char *hint, char *why, size_t size);

#endif
