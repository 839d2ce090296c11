// An execution provider that runs no node, so that everything falls back to
// the processor: enough to load a provider's library for real. Like the CUDA
// libraries it installs signal handlers that lack SA_ONSTACK, one when a
// session is made and one in a run, which a Go program does not survive unless
// somebody puts Go's own handlers back.
// With NO_DEVICE it offers no device. With TAKES="Op" it takes the nodes of that
// operator, and can load what it takes but not run it.

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

#ifndef NAME // two of a name cannot be told apart
#define NAME "IdleExecutionProvider"
#endif

static const OrtApi *api;

static const char *factory_name(const OrtEpFactory *f) { return NAME; }
static const char *factory_vendor(const OrtEpFactory *f) { return "softprompt tests"; }
static const char *ep_name(const OrtEp *e) { return NAME; }

#ifndef TAKES
static OrtStatus *capability(OrtEp *e, const OrtGraph *g, OrtEpGraphSupportInfo *info) { return NULL; }
#else
static OrtStatus *capability(OrtEp *e, const OrtGraph *g, OrtEpGraphSupportInfo *info) {
  const OrtNode *nodes[64];
  size_t n = 0;
  OrtStatus *status = api->Graph_GetNumNodes(g, &n);
  if (status != NULL || n > 64) return status;
  if ((status = api->Graph_GetNodes(g, nodes, n)) != NULL) return status;
  for (size_t i = 0; i < n; i++) {
    const char *op;
    if ((status = api->Node_GetOperatorType(nodes[i], &op)) != NULL) return status;
    if (strcmp(op, TAKES) != 0) continue;
    if ((status = api->GetEpApi()->EpGraphSupportInfo_AddNodesToFuse(info, &nodes[i], 1, NULL)) != NULL) return status;
  }
  return NULL;
}

static OrtStatus *no_state(OrtNodeComputeInfo *i, OrtNodeComputeContext *c, void **state) {
  *state = NULL;
  return NULL;
}

static OrtStatus *no_run(OrtNodeComputeInfo *i, void *state, OrtKernelContext *c) {
  return api->CreateStatus(ORT_NOT_IMPLEMENTED, "this provider only loads");
}

static void no_release(OrtNodeComputeInfo *i, void *state) {}

static OrtStatus *compile(OrtEp *e, const OrtGraph **graphs, const OrtNode **fused, size_t n, OrtNodeComputeInfo **infos,
                          OrtNode **contexts) {
  for (size_t i = 0; i < n; i++) {
    infos[i] = calloc(1, sizeof **infos);
    infos[i]->ort_version_supported = 23;
    infos[i]->CreateState = no_state;
    infos[i]->Compute = no_run;
    infos[i]->ReleaseState = no_release;
  }
  return NULL;
}

static void release_infos(OrtEp *e, OrtNodeComputeInfo **infos, size_t n) {
  for (size_t i = 0; i < n; i++) free(infos[i]);
}
#endif

static OrtStatus *supported(OrtEpFactory *f, const OrtHardwareDevice *const *hw, size_t n, OrtEpDevice **devices,
                            size_t room, size_t *count) {
  *count = 0;
#ifndef NO_DEVICE
  for (size_t i = 0; i < n && *count < room; i++) {
    if (api->HardwareDevice_Type(hw[i]) != OrtHardwareDeviceType_CPU) continue;
    OrtStatus *status = api->GetEpApi()->CreateEpDevice(f, hw[i], NULL, NULL, &devices[*count]);
    if (status != NULL) return status;
    ++*count;
  }
#endif
  return NULL;
}

static uint32_t factory_vendor_id(const OrtEpFactory *f) { return 0; }
static const char *factory_version(const OrtEpFactory *f) { return "1.0.0"; }
static bool stream_aware(const OrtEpFactory *f) { return false; }

static OrtStatus *allocator(OrtEpFactory *f, const OrtMemoryInfo *info, const OrtKeyValuePairs *o, OrtAllocator **a) {
  *a = NULL;  // the processor's memory will do
  return NULL;
}

static void release_allocator(OrtEpFactory *f, OrtAllocator *a) {}

static OrtStatus *transfer(OrtEpFactory *f, OrtDataTransferImpl **t) {
  *t = NULL;
  return NULL;
}

static void on_signal(int s) {}

static void take(int signal) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigaction(signal, &action, NULL);
}

static OrtStatus *run_start(OrtEp *ep, const OrtRunOptions *options) {
  take(SIGUSR2);
  return NULL;
}

static OrtStatus *create(OrtEpFactory *f, const OrtHardwareDevice *const *hw, const OrtKeyValuePairs *const *meta,
                         size_t n, const OrtSessionOptions *options, const OrtLogger *logger, OrtEp **ep) {
  take(SIGUSR1);
  *ep = calloc(1, sizeof **ep);
  (*ep)->ort_version_supported = 23;
  (*ep)->GetName = ep_name;
  (*ep)->GetCapability = capability;
  (*ep)->OnRunStart = run_start;
#ifdef TAKES
  (*ep)->Compile = compile;
  (*ep)->ReleaseNodeComputeInfos = release_infos;
#endif
  return NULL;
}

static void release(OrtEpFactory *f, OrtEp *ep) { free(ep); }

OrtStatus *CreateEpFactories(const char *name, const OrtApiBase *base, const OrtLogger *logger,
                             OrtEpFactory **factories, size_t room, size_t *count) {
  api = base->GetApi(ORT_API_VERSION);
  OrtEpFactory *f = calloc(1, sizeof *f);
  f->ort_version_supported = 23;
  f->GetName = factory_name;
  f->GetVendor = factory_vendor;
  f->GetSupportedDevices = supported;
  f->CreateEp = create;
  f->GetVendorId = factory_vendor_id;
  f->GetVersion = factory_version;
  f->CreateAllocator = allocator;
  f->ReleaseAllocator = release_allocator;
  f->CreateDataTransfer = transfer;
  f->IsStreamAware = stream_aware;
  f->ReleaseEp = release;
  factories[0] = f;
  *count = 1;
  return NULL;
}

OrtStatus *ReleaseEpFactory(OrtEpFactory *f) {
  free(f);
  return NULL;
}
