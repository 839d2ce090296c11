// What this package asks of ONNX Runtime's C interface and the Go wrapper does
// not offer. See native.c.
#ifndef SOFTPROMPT_ORT_NATIVE_H
#define SOFTPROMPT_ORT_NATIVE_H

#include <stddef.h>
#include <stdint.h>

// One tensor of a run. With data it is the caller's memory; without, the
// runtime allocates an output and leaves its handle in value.
typedef struct {
  const char *name;
  void *data;
  size_t bytes;
  const int64_t *sizes;
  size_t rank;
  int type;
  void *value;
} sp_tensor;

// A graph input or output as the session describes it. The name and the sizes
// must be given back with sp_free_signature.
typedef struct {
  char *name;
  int is_tensor;
  int type;
  int has_shape;
  size_t rank;
  int64_t *sizes;
  char **symbols;
} sp_signature;

// Loading: both return NULL or an error that the caller frees.
char *sp_open(const char *path, const char **version);
char *sp_bind(uint32_t api_version);

// sp_find_library loads a library and returns the path it came from, or NULL
// and why not. The caller frees both.
char *sp_find_library(const char *name, char **problem);

// An OrtStatus is NULL when all is well. sp_status_message copies its text
// and releases it.
char *sp_status_message(void *status, int *code);

void *sp_create_env(int severity);
void *sp_providers(char ***names, int *n);
void sp_release_providers(char **names, int n);
void *sp_append_device(void *options, const char *ep, int index, int *found, const char **keys,
                       const char **values, size_t n);
const char *sp_device_name(size_t i);
void *sp_set_load_cancelled(void *options, int cancelled);

void *sp_signature_counts(void *session, size_t *inputs, size_t *outputs);
void *sp_signature_at(void *session, int output, size_t i, sp_signature *out);
void sp_free_signature(sp_signature *s);

void *sp_add_initializers(void *options, sp_tensor *t, size_t n);

void *sp_run(void *session, void *options, sp_tensor *in, size_t n_in, sp_tensor *out, size_t n_out);
void *sp_inspect(sp_tensor *t, int64_t *sizes, size_t room);
void sp_release_value(void *value);

void sp_save_signals(void);
int sp_restore_signals(void);

#endif
