// ONNX Runtime hands out its C interface as a table of function pointers that
// only ever grows at the end: the place of a function never changes once it is
// released (the runtime's own build asserts that). So the few functions used
// here are called by their place in the table, and the 370 kB header is not
// copied into the project. slots_test.go compares every number with the header
// that travels with the Go wrapper.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // dlinfo
#endif

#include "native.h"

#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#endif
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

enum slot {
  GetErrorCode = 1,
  GetErrorMessage = 2,
  CreateEnvWithCustomLogger = 4,
  Run = 9,
  SessionGetInputCount = 30,
  SessionGetOutputCount = 31,
  SessionGetInputTypeInfo = 33,
  SessionGetOutputTypeInfo = 34,
  SessionGetInputName = 36,
  SessionGetOutputName = 37,
  CreateTensorWithDataAsOrtValue = 49,
  GetTensorMutableData = 51,
  CastTypeInfoToTensorInfo = 55,
  GetTensorElementType = 60,
  GetDimensionsCount = 61,
  GetDimensions = 62,
  GetSymbolicDimensions = 63,
  GetTensorTypeAndShape = 65,
  GetValueType = 67,
  CreateCpuMemoryInfo = 69,
  AllocatorFree = 76,
  GetAllocatorWithDefaultOptions = 78,
  ReleaseStatus = 93,
  ReleaseValue = 96,
  ReleaseTypeInfo = 98,
  ReleaseTensorTypeAndShapeInfo = 99,
  GetAvailableProviders = 125,
  ReleaseAvailableProviders = 126,
  AddExternalInitializers = 210,
  SessionOptionsSetLoadCancellationFlag = 293,
  GetEpDevices = 303,
  SessionOptionsAppendExecutionProvider_V2 = 304,
  EpDevice_EpName = 312,
  TensorTypeAndShape_HasShape = 390,
};

typedef struct {
  void *const *(*get_api)(uint32_t version);
  const char *(*version)(void);
} api_base;

static const api_base *base;
static void *const *api;
static void *env;
static void *cpu_memory;

// CALL(Run, void *, ...types)(...arguments)
#define CALL(slot, result, ...) ((result(*)(__VA_ARGS__))api[slot])

// TRY leaves the function with the status of a call that failed.
#define TRY(call)                    \
  do {                               \
    void *status_ = (call);          \
    if (status_ != NULL) return status_; \
  } while (0)

char *sp_open(const char *path, const char **version) {
  void *handle = dlopen(path, RTLD_LAZY);
  if (handle == NULL) return strdup(dlerror());
  const api_base *(*get_base)(void) = (const api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (get_base == NULL) {
    dlclose(handle);
    return strdup("it has no function OrtGetApiBase, so it is not ONNX Runtime");
  }
  base = get_base();
  *version = base->version();
  return NULL;
}

// The library stays loaded: those of CUDA do not bear being unloaded.
char *sp_find_library(const char *name, char **problem) {
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (handle == NULL) {
    *problem = strdup(dlerror());
    return NULL;
  }
#ifdef __linux__
  struct link_map *map = NULL;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != NULL && map->l_name[0] != 0) return strdup(map->l_name);
#endif
  return strdup(name);
}

char *sp_bind(uint32_t api_version) {
  api = base->get_api(api_version);
  return api == NULL ? strdup("it does not offer this version of its interface") : NULL;
}

char *sp_status_message(void *status, int *code) {
  *code = CALL(GetErrorCode, int, void *)(status);
  char *text = strdup(CALL(GetErrorMessage, const char *, void *)(status));
  CALL(ReleaseStatus, void, void *)(status);
  return text;
}

// on_log passes a line of the runtime's log to Go.
static void on_log(void *param, int severity, const char *category, const char *id, const char *where,
                   const char *message) {
  (void)param;
  (void)id;
  softpromptLog(severity, (char *)category, (char *)where, (char *)message);
}

// The runtime keeps one environment in a process; who creates it first decides
// where its log goes. Called before the wrapper creates its own handle on it.
void *sp_create_env(int severity) {
  TRY(CALL(CreateEnvWithCustomLogger, void *, void *, void *, int, const char *, void **)(
      (void *)on_log, NULL, severity, "softprompt", &env));
  return CALL(CreateCpuMemoryInfo, void *, int, int, void **)(0, 0, &cpu_memory);
}

void *sp_providers(char ***names, int *n) {
  return CALL(GetAvailableProviders, void *, char ***, int *)(names, n);
}

void sp_release_providers(char **names, int n) {
  CALL(ReleaseAvailableProviders, void *, char **, int)(names, n);
}

static void *devices(void *const **all, size_t *n) {
  return CALL(GetEpDevices, void *, void *, void *const **, size_t *)(env, all, n);
}

const char *sp_device_name(size_t i) {
  void *const *all = NULL;
  size_t n = 0;
  if (devices(&all, &n) != NULL || i >= n) return NULL;
  return CALL(EpDevice_EpName, const char *, void *)(all[i]);
}

// sp_append_device puts the index-th device of the named provider into the
// session options; found tells how many it has.
void *sp_append_device(void *options, const char *ep, int index, int *found, const char **keys,
                       const char **values, size_t n_options) {
  void *const *all = NULL;
  size_t n = 0;
  TRY(devices(&all, &n));
  void *chosen = NULL;
  *found = 0;
  for (size_t i = 0; i < n; i++) {
    if (strcmp(CALL(EpDevice_EpName, const char *, void *)(all[i]), ep) != 0) continue;
    if (*found == index) chosen = all[i];
    ++*found;
  }
  if (chosen == NULL) return NULL;
  return CALL(SessionOptionsAppendExecutionProvider_V2, void *, void *, void *, void *const *, size_t,
              const char **, const char **, size_t)(options, env, &chosen, 1, keys, values, n_options);
}

void *sp_set_load_cancelled(void *options, int cancelled) {
  return CALL(SessionOptionsSetLoadCancellationFlag, void *, void *, bool)(options, cancelled != 0);
}

void *sp_signature_counts(void *session, size_t *inputs, size_t *outputs) {
  TRY(CALL(SessionGetInputCount, void *, void *, size_t *)(session, inputs));
  return CALL(SessionGetOutputCount, void *, void *, size_t *)(session, outputs);
}

// describe fills in type, rank, sizes and symbols from the runtime's shape.
static void *describe(void *info, sp_signature *out) {
  TRY(CALL(GetTensorElementType, void *, void *, int *)(info, &out->type));
  out->has_shape = CALL(TensorTypeAndShape_HasShape, bool, void *)(info);
  TRY(CALL(GetDimensionsCount, void *, void *, size_t *)(info, &out->rank));
  if (out->rank == 0) return NULL;
  out->sizes = calloc(out->rank, sizeof *out->sizes);
  TRY(CALL(GetDimensions, void *, void *, int64_t *, size_t)(info, out->sizes, out->rank));
  const char **names = calloc(out->rank, sizeof *names);  // they live as long as info: copy them
  void *status = CALL(GetSymbolicDimensions, void *, void *, const char **, size_t)(info, names, out->rank);
  if (status == NULL) {
    out->symbols = calloc(out->rank, sizeof *out->symbols);
    for (size_t i = 0; i < out->rank; i++) out->symbols[i] = strdup(names[i] == NULL ? "" : names[i]);
  }
  free(names);
  return status;
}

void *sp_signature_at(void *session, int output, size_t i, sp_signature *out) {
  memset(out, 0, sizeof *out);
  void *allocator = NULL, *type = NULL, *info = NULL;
  char *name = NULL;
  TRY(CALL(GetAllocatorWithDefaultOptions, void *, void **)(&allocator));
  TRY(CALL(output ? SessionGetOutputName : SessionGetInputName, void *, void *, size_t, void *, char **)(
      session, i, allocator, &name));
  out->name = strdup(name);
  TRY(CALL(AllocatorFree, void *, void *, void *)(allocator, name));
  TRY(CALL(output ? SessionGetOutputTypeInfo : SessionGetInputTypeInfo, void *, void *, size_t, void **)(
      session, i, &type));
  void *status = CALL(CastTypeInfoToTensorInfo, void *, void *, void **)(type, &info);
  if (status == NULL && info != NULL) {
    out->is_tensor = 1;
    status = describe(info, out);
  }
  CALL(ReleaseTypeInfo, void, void *)(type);
  return status;
}

void sp_free_signature(sp_signature *s) {
  for (size_t i = 0; s->symbols != NULL && i < s->rank; i++) free(s->symbols[i]);
  free(s->symbols);
  free(s->sizes);
  free(s->name);
}

// wrap makes a value of the tensor's memory, which stays the caller's.
static void *wrap(sp_tensor *t) {
  return CALL(CreateTensorWithDataAsOrtValue, void *, void *, void *, size_t, const int64_t *, size_t, int,
              void **)(cpu_memory, t->data, t->bytes, t->sizes, t->rank, t->type, &t->value);
}

static void release(sp_tensor *t, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (t[i].value != NULL) sp_release_value(t[i].value);
    t[i].value = NULL;
  }
}

// run_values is sp_run once all tensors have values or wait for one.
static void *run_values(void *session, void *options, sp_tensor *in, size_t n_in, sp_tensor *out,
                        size_t n_out) {
  const char **names = calloc(n_in + n_out + 1, sizeof *names);
  void **values = calloc(n_in + n_out + 1, sizeof *values);
  for (size_t i = 0; i < n_in; i++) {
    names[i] = in[i].name;
    values[i] = in[i].value;
  }
  for (size_t i = 0; i < n_out; i++) {
    names[n_in + i] = out[i].name;
    values[n_in + i] = out[i].value;
  }
  void *status = CALL(Run, void *, void *, void *, const char **, void **, size_t, const char **, size_t,
                      void **)(session, options, names, values, n_in, names + n_in, n_out, values + n_in);
  for (size_t i = 0; i < n_out; i++) out[i].value = values[n_in + i];
  free(names);
  free(values);
  return status;
}

// sp_run wraps the memory of all tensors, runs, and lets go of all values but
// those of outputs that the runtime allocated.
void *sp_run(void *session, void *options, sp_tensor *in, size_t n_in, sp_tensor *out, size_t n_out) {
  void *status = NULL;
  for (size_t i = 0; status == NULL && i < n_in; i++) status = wrap(&in[i]);
  for (size_t i = 0; status == NULL && i < n_out; i++) {
    if (out[i].data != NULL) status = wrap(&out[i]);
  }
  if (status == NULL) status = run_values(session, options, in, n_in, out, n_out);
  release(in, n_in);
  for (size_t i = 0; i < n_out; i++) {
    if (status != NULL || out[i].data != NULL) release(&out[i], 1);
  }
  return status;
}

// sp_add_initializers puts the memory of tensors in place of external data of
// their names. It must stay where it is while a session of these options lives.
void *sp_add_initializers(void *options, sp_tensor *t, size_t n) {
  const char **names = calloc(n + 1, sizeof *names);
  void **values = calloc(n + 1, sizeof *values);
  void *status = NULL;
  for (size_t i = 0; status == NULL && i < n; i++) {
    status = wrap(&t[i]);
    names[i] = t[i].name;
    values[i] = t[i].value;
  }
  if (status == NULL) {
    status = CALL(AddExternalInitializers, void *, void *, const char **, void **, size_t)(options, names, values, n);
  }
  release(t, n); // the options hold the values now
  free(names);
  free(values);
  return status;
}

// sp_inspect fills in type, rank, sizes and data of a value that the runtime
// made. A rank above room leaves the sizes empty. type is 0 if it is no tensor.
void *sp_inspect(sp_tensor *t, int64_t *sizes, size_t room) {
  int kind = 0;
  t->type = 0;
  TRY(CALL(GetValueType, void *, void *, int *)(t->value, &kind));
  if (kind != 1) return NULL;  // ONNX_TYPE_TENSOR
  void *info = NULL;
  TRY(CALL(GetTensorTypeAndShape, void *, void *, void **)(t->value, &info));
  void *status = CALL(GetTensorElementType, void *, void *, int *)(info, &t->type);
  if (status == NULL) status = CALL(GetDimensionsCount, void *, void *, size_t *)(info, &t->rank);
  if (status == NULL && t->rank <= room) {
    status = CALL(GetDimensions, void *, void *, int64_t *, size_t)(info, sizes, t->rank);
  }
  CALL(ReleaseTensorTypeAndShapeInfo, void, void *)(info);
  TRY(status);
  return CALL(GetTensorMutableData, void *, void *, void **)(t->value, &t->data);
}

void sp_release_value(void *value) { CALL(ReleaseValue, void, void *)(value); }

// The CUDA libraries install signal handlers that lack SA_ONSTACK, when they
// are loaded or later; the first Ctrl+C then ends a Go program with a fatal
// error. So the handlers are noted before a provider is loaded, and afterwards
// those that it replaced are put back. Handlers with SA_ONSTACK are left alone:
// they are Go's own, or work beside it.
static struct sigaction saved[65];

void sp_save_signals(void) {
  for (int s = 1; s < 65; s++) sigaction(s, NULL, &saved[s]);
}

int sp_restore_signals(void) {
  int n = 0;
  for (int s = 1; s < 65; s++) {
    struct sigaction now;
    if (sigaction(s, NULL, &now) != 0 || (now.sa_flags & SA_ONSTACK) != 0) continue;
    if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) continue;
    if (now.sa_sigaction != saved[s].sa_sigaction && sigaction(s, &saved[s], NULL) == 0) n++;
  }
  return n;
}
