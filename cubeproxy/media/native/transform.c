/* Key derivation and packet transforms (RFC 3711 4, RFC 7714 8). Per packet an IV is set and a hash state copied;
 * key schedules and the hash of the HMAC pads are made once for each key. */
#include "transform.h"

#include <string.h>

#include "bytes.h"

enum { LABEL_ENCRYPTION = 0, LABEL_AUTHENTICATION = 1, LABEL_SALT = 2 };
enum { SHA1_OCTETS = 20, SHA1_BLOCK = 64, GCM_IV = 12, GCM_TAG = 16 };

static const struct {
    uint8_t key, salt, tag, rtcp_tag; /* SHA1_32 shortens the tag of SRTP only (RFC 4568 6.2) */
} SIZES[SUITES] = {
    [AEAD_AES_256_GCM] = {32, 12, GCM_TAG, GCM_TAG},
    [AEAD_AES_128_GCM] = {16, 12, GCM_TAG, GCM_TAG},
    [AES_CM_128_HMAC_SHA1_80] = {16, 14, 10, 10},
    [AES_CM_128_HMAC_SHA1_32] = {16, 14, 4, 10},
};

static EVP_CIPHER *ctr128, *ctr256, *gcm128, *gcm256;
static EVP_MD *sha1;
static EVP_MD_CTX *scratch; /* one process, one thread: every HMAC is computed in here */

int srtp_start(void)
{
    ctr128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    ctr256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    gcm128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    gcm256 = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    scratch = EVP_MD_CTX_new();
    return ctr128 && ctr256 && gcm128 && gcm256 && sha1 && scratch;
}

size_t master_length(uint8_t suite) { return SIZES[suite].key + SIZES[suite].salt; }

static int is_gcm(uint8_t suite) { return suite == AEAD_AES_128_GCM || suite == AEAD_AES_256_GCM; }

/* RFC 3711 4.3 with a derivation rate of 0; RFC 6188 2 for the 256-bit key. A 12-octet salt counts as 14 whose last
 * are zero (RFC 7714 11). */
int transform_derive(const struct master_key *key, uint8_t label, uint8_t *out, size_t length)
{
    static const uint8_t zeros[32];
    uint8_t iv[16] = {0};
    int octets = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (!context)
        return 0;
    memcpy(iv, key->master + SIZES[key->suite].key, SIZES[key->suite].salt);
    iv[7] ^= label;
    const EVP_CIPHER *cipher = SIZES[key->suite].key == 32 ? ctr256 : ctr128;
    int done = EVP_EncryptInit_ex2(context, cipher, key->master, iv, NULL) == 1 &&
               EVP_EncryptUpdate(context, out, &octets, zeros, (int)length) == 1;
    EVP_CIPHER_CTX_free(context);
    return done;
}

/* The hash state after a block of the key and a pad (RFC 2104). */
static EVP_MD_CTX *padded(const uint8_t key[SHA1_OCTETS], uint8_t pad)
{
    uint8_t block[SHA1_BLOCK];
    memset(block, pad, sizeof block);
    for (int place = 0; place < SHA1_OCTETS; place++)
        block[place] ^= key[place];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && (EVP_DigestInit_ex2(context, sha1, NULL) != 1 || EVP_DigestUpdate(context, block, sizeof block) != 1)) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    explicit_bzero(block, sizeof block);
    return context;
}

int transform_init(struct transform *transform, const struct master_key *key, enum protocol protocol, int sending)
{
    memset(transform, 0, sizeof *transform);
    transform->suite = key->suite;
    transform->tag = protocol == PROTOCOL_SRTP ? SIZES[key->suite].tag : SIZES[key->suite].rtcp_tag;
    transform->mki_length = key->mki_length;
    memcpy(transform->mki, key->mki, key->mki_length);
    uint8_t session[32], hash[SHA1_OCTETS];
    int done = transform_derive(key, (uint8_t)(protocol + LABEL_ENCRYPTION), session, SIZES[key->suite].key) &&
               transform_derive(key, (uint8_t)(protocol + LABEL_SALT), transform->salt, SIZES[key->suite].salt) &&
               (transform->cipher = EVP_CIPHER_CTX_new()) != NULL;
    if (done && is_gcm(key->suite)) {
        const EVP_CIPHER *cipher = key->suite == AEAD_AES_256_GCM ? gcm256 : gcm128;
        done = (sending ? EVP_EncryptInit_ex2 : EVP_DecryptInit_ex2)(transform->cipher, cipher, session, NULL, NULL) == 1;
    } else if (done) {
        done = EVP_EncryptInit_ex2(transform->cipher, ctr128, session, NULL, NULL) == 1 &&
               transform_derive(key, (uint8_t)(protocol + LABEL_AUTHENTICATION), hash, sizeof hash) &&
               (transform->inner = padded(hash, 0x36)) != NULL && (transform->outer = padded(hash, 0x5c)) != NULL;
        explicit_bzero(hash, sizeof hash);
    }
    explicit_bzero(session, sizeof session);
    if (!done)
        transform_clear(transform);
    return done;
}

void transform_clear(struct transform *transform)
{
    if (transform->cipher)
        EVP_CIPHER_CTX_free(transform->cipher);
    if (transform->inner)
        EVP_MD_CTX_free(transform->inner);
    if (transform->outer)
        EVP_MD_CTX_free(transform->outer);
    explicit_bzero(transform, sizeof *transform);
}

/* AES in counter mode, in place (RFC 3711 4.1.1): the same to encrypt and to decrypt. */
static int counter_mode(struct transform *transform, const uint8_t *ssrc, uint8_t *packet, size_t start, size_t end,
                        int64_t index)
{
    uint8_t iv[16] = {0};
    int octets;
    if (start == end)
        return 1;
    memcpy(iv, transform->salt, sizeof transform->salt);
    for (int place = 0; place < 4; place++)
        iv[4 + place] ^= ssrc[place];
    for (int place = 0; place < 6; place++)
        iv[8 + place] ^= (uint8_t)(index >> (40 - 8 * place));
    return EVP_EncryptInit_ex2(transform->cipher, NULL, NULL, iv, NULL) == 1 &&
           EVP_EncryptUpdate(transform->cipher, packet + start, &octets, packet + start, (int)(end - start)) == 1;
}

/* HMAC-SHA1 over what is sent, and behind it what both ends know, if anything (RFC 3711 4.2). */
static int authenticate(struct transform *transform, const uint8_t *packet, size_t length, const uint8_t *known,
                        size_t octets, uint8_t *tag)
{
    return EVP_MD_CTX_copy_ex(scratch, transform->inner) == 1 && EVP_DigestUpdate(scratch, packet, length) == 1 &&
           (!octets || EVP_DigestUpdate(scratch, known, octets) == 1) && EVP_DigestFinal_ex(scratch, tag, NULL) == 1 &&
           EVP_MD_CTX_copy_ex(scratch, transform->outer) == 1 && EVP_DigestUpdate(scratch, tag, SHA1_OCTETS) == 1 &&
           EVP_DigestFinal_ex(scratch, tag, NULL) == 1;
}

/* With the rollover counter, which an SRTP packet does not carry. */
static int authenticate_rtp(struct transform *transform, const uint8_t *packet, size_t length, int64_t index, uint8_t *tag)
{
    uint8_t rollovers[4];
    put32(rollovers, (uint32_t)(index >> 16));
    return authenticate(transform, packet, length, rollovers, sizeof rollovers, tag);
}

/* RFC 7714 8.1 and 9.1: the same form, with 48 or 31 bits of index. */
static void gcm_iv(const struct transform *transform, const uint8_t *ssrc, int64_t index, uint8_t iv[GCM_IV])
{
    memset(iv, 0, 2);
    memcpy(iv + 2, ssrc, 4);
    for (int place = 0; place < 6; place++)
        iv[6 + place] = (uint8_t)(index >> (40 - 8 * place));
    for (int place = 0; place < GCM_IV; place++)
        iv[place] ^= transform->salt[place];
}

static void tag_parameter(OSSL_PARAM parameters[2], uint8_t *tag)
{
    parameters[0] = (OSSL_PARAM){"tag", OSSL_PARAM_OCTET_STRING, tag, GCM_TAG, 0};
    parameters[1] = (OSSL_PARAM){0};
}

struct associated { /* octets that GCM authenticates and does not encrypt: the header, and for RTCP the index */
    const uint8_t *header, *index;
    size_t length;
};

static int gcm_associate(int (*update)(EVP_CIPHER_CTX *, uint8_t *, int *, const uint8_t *, int), EVP_CIPHER_CTX *cipher,
                         const struct associated *data)
{
    int octets;
    return update(cipher, NULL, &octets, data->header, (int)data->length) == 1 &&
           (!data->index || update(cipher, NULL, &octets, data->index, SRTCP_INDEX) == 1);
}

/* From `start` to `end`, the tag behind it. */
static int gcm_protect(struct transform *transform, const uint8_t iv[GCM_IV], const struct associated *data, uint8_t *start,
                       uint8_t *end)
{
    OSSL_PARAM parameters[2];
    int octets;
    tag_parameter(parameters, end);
    EVP_CIPHER_CTX *cipher = transform->cipher;
    return EVP_EncryptInit_ex2(cipher, NULL, NULL, iv, NULL) == 1 && gcm_associate(EVP_EncryptUpdate, cipher, data) &&
           (start == end || EVP_EncryptUpdate(cipher, start, &octets, start, (int)(end - start)) == 1) &&
           EVP_EncryptFinal_ex(cipher, end, &octets) == 1 && EVP_CIPHER_CTX_get_params(cipher, parameters) == 1;
}

/* `end` is that of the ciphertext, where the tag begins. Into a buffer aside first: what does not verify is not kept. */
static int gcm_unprotect(struct transform *transform, const uint8_t iv[GCM_IV], const struct associated *data,
                         uint8_t *start, uint8_t *end)
{
    static uint8_t plain[MAX_DATAGRAM];
    OSSL_PARAM parameters[2];
    int octets;
    tag_parameter(parameters, end);
    EVP_CIPHER_CTX *cipher = transform->cipher;
    int good = EVP_DecryptInit_ex2(cipher, NULL, NULL, iv, NULL) == 1 &&
               EVP_CIPHER_CTX_set_params(cipher, parameters) == 1 && gcm_associate(EVP_DecryptUpdate, cipher, data) &&
               (start == end || EVP_DecryptUpdate(cipher, plain, &octets, start, (int)(end - start)) == 1) &&
               EVP_DecryptFinal_ex(cipher, plain, &octets) == 1;
    if (good)
        memcpy(start, plain, (size_t)(end - start));
    else
        ERR_clear_error();
    return good;
}

static int equal(const uint8_t *first, const uint8_t *second, size_t length)
{
    uint8_t difference = 0;
    for (size_t place = 0; place < length; place++)
        difference |= first[place] ^ second[place];
    return !difference;
}

/* The MKI stands before the tag of AES-CM (RFC 3711 3.1), and behind that of GCM (RFC 7714 8.3). */
int transform_protect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index)
{
    uint8_t *end = packet + *length;
    if (is_gcm(transform->suite)) {
        uint8_t iv[GCM_IV];
        gcm_iv(transform, packet + 8, index, iv);
        if (!gcm_protect(transform, iv, &(struct associated){packet, NULL, start}, packet + start, end))
            return 0;
        memcpy(end + GCM_TAG, transform->mki, transform->mki_length);
    } else {
        uint8_t tag[SHA1_OCTETS];
        if (!counter_mode(transform, packet + 8, packet, start, *length, index) ||
            !authenticate_rtp(transform, packet, *length, index, tag))
            return 0;
        memcpy(end, transform->mki, transform->mki_length);
        memcpy(end + transform->mki_length, tag, transform->tag);
    }
    *length += transform->mki_length + transform->tag;
    return 1;
}

int transform_unprotect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index)
{
    size_t end = *length - transform->tag - transform->mki_length;
    int gcm = is_gcm(transform->suite);
    const uint8_t *mki = packet + end + (gcm ? transform->tag : 0);
    if (memcmp(mki, transform->mki, transform->mki_length) != 0)
        return 0;
    if (gcm) {
        uint8_t iv[GCM_IV];
        gcm_iv(transform, packet + 8, index, iv);
        if (!gcm_unprotect(transform, iv, &(struct associated){packet, NULL, start}, packet + start, packet + end))
            return 0;
    } else {
        uint8_t tag[SHA1_OCTETS];
        if (!authenticate_rtp(transform, packet, end, index, tag) ||
            !equal(tag, packet + end + transform->mki_length, transform->tag) ||
            !counter_mode(transform, packet + 8, packet, start, end, index))
            return 0;
    }
    *length = end;
    return 1;
}

/* AES-CM: packet, index, MKI, tag (RFC 3711 3.4). GCM: packet, tag, index, MKI (RFC 7714 9.2). */
static size_t rtcp_end(const struct transform *transform, size_t length)
{
    return length - transform->tag - transform->mki_length - SRTCP_INDEX;
}

static const uint32_t ENCRYPTED = 1U << 31; /* the E bit before the index */

int transform_protect_rtcp(struct transform *transform, uint8_t *packet, size_t *length, uint32_t index)
{
    uint8_t *end = packet + *length;
    if (is_gcm(transform->suite)) {
        uint8_t iv[GCM_IV], *word = end + GCM_TAG;
        put32(word, index | ENCRYPTED);
        gcm_iv(transform, packet + 4, index, iv);
        if (!gcm_protect(transform, iv, &(struct associated){packet, word, SRTCP_HEADER}, packet + SRTCP_HEADER, end))
            return 0;
        memcpy(word + SRTCP_INDEX, transform->mki, transform->mki_length);
    } else {
        uint8_t tag[SHA1_OCTETS];
        put32(end, index | ENCRYPTED);
        if (!counter_mode(transform, packet + 4, packet, SRTCP_HEADER, *length, index) ||
            !authenticate(transform, packet, *length + SRTCP_INDEX, NULL, 0, tag))
            return 0;
        memcpy(end + SRTCP_INDEX, transform->mki, transform->mki_length);
        memcpy(end + SRTCP_INDEX + transform->mki_length, tag, transform->tag);
    }
    *length += SRTCP_INDEX + (size_t)transform->mki_length + transform->tag;
    return 1;
}

int64_t transform_rtcp_index(const struct transform *transform, const uint8_t *packet, size_t length)
{
    uint32_t word = get32(packet + rtcp_end(transform, length) + (is_gcm(transform->suite) ? GCM_TAG : 0));
    return word & ENCRYPTED ? (int64_t)(word & ~ENCRYPTED) : -1;
}

int transform_unprotect_rtcp(struct transform *transform, uint8_t *packet, size_t *length, uint32_t index)
{
    size_t end = rtcp_end(transform, *length);
    int gcm = is_gcm(transform->suite);
    const uint8_t *mki = packet + end + SRTCP_INDEX + (gcm ? GCM_TAG : 0);
    if (memcmp(mki, transform->mki, transform->mki_length) != 0)
        return 0;
    if (gcm) {
        uint8_t iv[GCM_IV];
        gcm_iv(transform, packet + 4, index, iv);
        struct associated data = {packet, packet + end + GCM_TAG, SRTCP_HEADER};
        if (!gcm_unprotect(transform, iv, &data, packet + SRTCP_HEADER, packet + end))
            return 0;
    } else {
        uint8_t tag[SHA1_OCTETS];
        if (!authenticate(transform, packet, end + SRTCP_INDEX, NULL, 0, tag) ||
            !equal(tag, mki + transform->mki_length, transform->tag) ||
            !counter_mode(transform, packet + 4, packet, SRTCP_HEADER, end, index))
            return 0;
    }
    *length = end;
    return 1;
}
