/* A libcuda.so.1 that starts, counts and names devices as a scenario file says. It cannot run anything. */
#include "scenario.h"

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
};

enum { COMPUTE_CAPABILITY_MAJOR = 75, COMPUTE_CAPABILITY_MINOR = 76 };

static const struct name errors[] = {
    {"CUDA_SUCCESS", 0}, {"CUDA_ERROR_INVALID_VALUE", 1}, {"CUDA_ERROR_OUT_OF_MEMORY", 2}, {"CUDA_ERROR_NOT_INITIALIZED", 3},
    {"CUDA_ERROR_STUB_LIBRARY", 34}, {"CUDA_ERROR_DEVICE_UNAVAILABLE", 46}, {"CUDA_ERROR_NO_DEVICE", 100},
    {"CUDA_ERROR_INVALID_DEVICE", 101}, {"CUDA_ERROR_OPERATING_SYSTEM", 304}, {"CUDA_ERROR_NOT_PERMITTED", 800},
    {"CUDA_ERROR_NOT_SUPPORTED", 801}, {"CUDA_ERROR_SYSTEM_NOT_READY", 802}, {"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", 803},
    {"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", 804}, {"CUDA_ERROR_UNKNOWN", 999}, {NULL, 0}};

static const struct name words[] = {
    {"no error", 0}, {"invalid argument", 1}, {"out of memory", 2}, {"initialization error", 3},
    {"CUDA driver is a stub library", 34}, {"CUDA-capable device(s) is/are busy or unavailable", 46},
    {"no CUDA-capable device is detected", 100}, {"invalid device ordinal", 101},
    {"OS call failed or operation not supported on this OS", 304}, {"operation not permitted", 800},
    {"operation not supported", 801}, {"system not yet initialized", 802}, {"system has unsupported display driver / cuda driver combination", 803},
    {"forward compatibility was attempted on non supported HW", 804}, {"unknown error", 999}, {NULL, 0}};

#define MAX_DEVICES 64
static char devices[MAX_DEVICES][32]; /* the scenario's prefix of each visible device: gpu0, gpu1.mig0 */
static char parents[MAX_DEVICES][32];
static int device_count, initialized;

__attribute__((constructor)) static void start(void) { load_scenario((void *)start, "libcuda"); }

/* Adds a GPU, or its first MIG instance where MIG is on: the driver API never shows more than one of them. */
static void add(int gpu, const char *wanted_mig) {
    char parent[32], prefix[48];
    snprintf(parent, sizeof parent, "gpu%d", gpu);
    const char *mig = look_in(parent, "mig_enabled");
    for (int i = 0; i < 8; i++) {
        if (mig && atoi(mig))
            snprintf(prefix, sizeof prefix, "%s.mig%d", parent, i);
        else
            snprintf(prefix, sizeof prefix, "%s", parent);
        const char *uuid = look_in(prefix, "uuid");
        if (mig && atoi(mig) && (!uuid || (wanted_mig && strcmp(uuid, wanted_mig)))) continue;
        if (device_count < MAX_DEVICES) {
            snprintf(parents[device_count], sizeof *parents, "%s", parent);
            snprintf(devices[device_count++], sizeof *devices, "%.31s", prefix);
        }
        return;
    }
}

static void enumerate(void) {
    const char *value = look("gpus"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    int gpus = value ? atoi(value) : 0;
    device_count = 0;
    if (!visible) {
        for (int i = 0; i < gpus; i++) add(i, NULL);
        return;
    }
    char list[4096];
    snprintf(list, sizeof list, "%s", visible);
    /* Everything after the first entry that names no device is ignored, as the real driver does. */
    for (char *rest = NULL, *item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        int before = device_count;
        item = trimmed(item);
        char *end;
        long index = strtol(item, &end, 10);
        if (end != item && !*end) {
            if (index >= 0 && index < gpus) add((int)index, NULL);
        } else {
            for (int i = 0; i < gpus && device_count == before; i++) {
                char prefix[32];
                snprintf(prefix, sizeof prefix, "gpu%d", i);
                const char *uuid = look_in(prefix, "uuid");
                if (!strncmp(item, "MIG-", 4)) {
                    const char *mig = look_in(prefix, "mig_enabled");
                    if (mig && atoi(mig)) add(i, item);
                } else if (uuid && strlen(item) > 4 && !strncmp(uuid, item, strlen(item))) {
                    add(i, NULL);
                }
            }
        }
        if (device_count == before) return;
    }
}

static int gate(int device, const char *symbol) {
    if (!initialized) return NOT_INITIALIZED;
    if (device >= device_count) return INVALID_DEVICE;
    return ordered(device < 0 ? NULL : devices[device], symbol, errors);
}

EXPORT int cuInit(unsigned flags) {
    if (flags) return INVALID_VALUE;
    int code = ordered(NULL, "cuInit", errors);
    if (code) return code;
    enumerate();
    if (!device_count) return NO_DEVICE;
    initialized = 1;
    return SUCCESS;
}

EXPORT int cuDriverGetVersion(int *out) {
    int code = ordered(NULL, "cuDriverGetVersion", errors);
    const char *value = look("libcuda_version");
    if (!value) value = look("cuda_version");
    if (!code) *out = value ? atoi(value) : 0;
    return code;
}

EXPORT int cuDeviceGetCount(int *out) {
    int code = gate(-1, "cuDeviceGetCount");
    const char *counted = look("counted"); /* a driver that counts wrong */
    if (!code) *out = counted ? (int)strtol(counted, NULL, 10) : device_count;
    return code;
}

EXPORT int cuDeviceGet(int *out, int ordinal) {
    int code = gate(ordinal < 0 ? device_count : ordinal, "cuDeviceGet");
    if (!code) *out = ordinal;
    return code;
}

EXPORT int cuDeviceGetName(char *out, int size, int device) {
    int code = gate(device, "cuDeviceGetName");
    const char *name = code ? NULL : look_in(devices[device], "name");
    if (!code) snprintf(out, (size_t)size, "%s", name ? name : "");
    return code;
}

EXPORT int cuDeviceGetAttribute(int *out, int attribute, int device) {
    int code = gate(device, "cuDeviceGetAttribute");
    if (code) return code;
    const char *capability = look_in(parents[device], "compute_capability");
    int major, minor;
    if (!capability || sscanf(capability, "%d.%d", &major, &minor) != 2) return INVALID_VALUE;
    if (attribute != COMPUTE_CAPABILITY_MAJOR && attribute != COMPUTE_CAPABILITY_MINOR) return INVALID_VALUE;
    *out = attribute == COMPUTE_CAPABILITY_MAJOR ? major : minor;
    return SUCCESS;
}

EXPORT int cuDeviceTotalMem_v2(size_t *out, int device) {
    int code = gate(device, "cuDeviceTotalMem_v2");
    if (code) return code;
    const char *value = look_in(devices[device], "cuda_memory_total");
    if (!value) value = look_in(devices[device], "memory_total");
    *out = value ? strtoull(value, NULL, 0) : 0;
    return SUCCESS;
}

/* GPU-00112233-4455-6677-8899-aabbccddeeff as sixteen bytes */
static int uuid_bytes(const char *prefix, unsigned char out[16]) {
    const char *text = look_in(prefix, "uuid");
    if (!text) return INVALID_VALUE;
    text += 4;
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        if (*text == '-') text++;
        if (sscanf(text, "%2x", &byte) != 1) return INVALID_VALUE;
        out[i] = (unsigned char)byte;
        text += 2;
    }
    return SUCCESS;
}

EXPORT int cuDeviceGetUuid(unsigned char out[16], int device) {
    int code = gate(device, "cuDeviceGetUuid");
    return code ? code : uuid_bytes(parents[device], out);
}

EXPORT int cuDeviceGetUuid_v2(unsigned char out[16], int device) {
    int code = gate(device, "cuDeviceGetUuid_v2");
    return code ? code : uuid_bytes(devices[device], out);
}

static int named(const struct name *names, int code, const char **out) {
    for (; names->name; names++)
        if (names->code == code) {
            *out = names->name;
            return SUCCESS;
        }
    *out = NULL;
    return INVALID_VALUE;
}

EXPORT int cuGetErrorName(int code, const char **out) { return named(errors, code, out); }
EXPORT int cuGetErrorString(int code, const char **out) { return named(words, code, out); }
