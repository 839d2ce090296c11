// An ONNX Runtime of 2021, as far as its version goes.

typedef struct {
  const void *(*get_api)(unsigned version);
  const char *(*version)(void);
} api_base;

static const void *get_api(unsigned version) { return 0; }
static const char *version(void) { return "1.10.0"; }
static const api_base base = {get_api, version};

const api_base *OrtGetApiBase(void) { return &base; }
