/* A libnvidia-ml.so.1 that answers from a scenario file, with the ABI of NVIDIA's own (as nvidia-ml-py declares it).
 *
 * A value that the scenario leaves out is NOT_SUPPORTED, as on a GPU that lacks it.
 */
#include "scenario.h"

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};

static const struct name errors[] = {
    {"SUCCESS", 0}, {"UNINITIALIZED", 1}, {"INVALID_ARGUMENT", 2}, {"NOT_SUPPORTED", 3}, {"NO_PERMISSION", 4},
    {"ALREADY_INITIALIZED", 5}, {"NOT_FOUND", 6}, {"INSUFFICIENT_SIZE", 7}, {"INSUFFICIENT_POWER", 8},
    {"DRIVER_NOT_LOADED", 9}, {"TIMEOUT", 10}, {"IRQ_ISSUE", 11}, {"LIBRARY_NOT_FOUND", 12}, {"FUNCTION_NOT_FOUND", 13},
    {"CORRUPTED_INFOROM", 14}, {"GPU_IS_LOST", 15}, {"RESET_REQUIRED", 16}, {"OPERATING_SYSTEM", 17},
    {"LIB_RM_VERSION_MISMATCH", 18}, {"IN_USE", 19}, {"MEMORY", 20}, {"NO_DATA", 21}, {"VGPU_ECC_NOT_SUPPORTED", 22},
    {"INSUFFICIENT_RESOURCES", 23}, {"FREQ_NOT_SUPPORTED", 24}, {"ARGUMENT_VERSION_MISMATCH", 25}, {"DEPRECATED", 26},
    {"NOT_READY", 27}, {"GPU_NOT_FOUND", 28}, {"INVALID_STATE", 29}, {"UNKNOWN", 999}, {NULL, 0}};

/* The words of NVIDIA's own nvmlErrorString: nvidia-smi prints them too. */
static const struct name words[] = {
    {"Success", 0}, {"Uninitialized", 1}, {"Invalid Argument", 2}, {"Not Supported", 3}, {"Insufficient Permissions", 4},
    {"Already Initialized", 5}, {"Not Found", 6}, {"Insufficient Size", 7}, {"Insufficient External Power", 8},
    {"Driver Not Loaded", 9}, {"Timeout", 10}, {"Interrupt Request Issue", 11}, {"NVML Shared Library Not Found", 12},
    {"Function Not Found", 13}, {"Corrupted infoROM", 14}, {"GPU is lost", 15}, {"GPU requires reset", 16},
    {"GPU access blocked by the operating system", 17}, {"Driver/library version mismatch", 18}, {"In use by another client", 19},
    {"Insufficient Memory", 20}, {NULL, 0}};

struct device {
    int gpu;
    char prefix[32];
};

#define MAX_GPUS 64
#define MAX_MIG 8
static struct device gpus[MAX_GPUS], migs[MAX_GPUS][MAX_MIG];
static int initialized;

__attribute__((constructor)) static void start(void) {
    load_scenario((void *)start, "libnvidia-ml");
    for (int i = 0; i < MAX_GPUS; i++) {
        gpus[i].gpu = i;
        snprintf(gpus[i].prefix, sizeof gpus[i].prefix, "gpu%d", i);
        for (int j = 0; j < MAX_MIG; j++) {
            migs[i][j].gpu = i;
            snprintf(migs[i][j].prefix, sizeof migs[i][j].prefix, "gpu%d.mig%d", i, j);
        }
    }
}

static int gate(const struct device *device, const char *symbol) {
    if (!initialized) return UNINITIALIZED;
    int code = ordered(device ? device->prefix : NULL, symbol, errors);
    if (code) return code;
    const char *lost = device ? look_in(device->prefix, "lost") : NULL;
    return lost && atoi(lost) ? GPU_IS_LOST : SUCCESS;
}

static int text_of(const char *value, char *out, unsigned size) {
    if (!value) return NOT_SUPPORTED;
    if (strlen(value) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(out, value);
    return SUCCESS;
}

static int number(const struct device *device, const char *key, unsigned long long *out) {
    const char *value = look_in(device->prefix, key);
    if (!value) return NOT_SUPPORTED;
    char *rest;
    *out = strtoull(value, &rest, 0);
    /* A counter: `1000 +250/s` rises by 250 each second. */
    while (*rest == ' ') rest++;
    if (*rest == '+') *out += (unsigned long long)(strtod(rest + 1, NULL) * elapsed());
    return SUCCESS;
}

static int small(const struct device *device, const char *key, unsigned *out) {
    unsigned long long wide = 0;
    int code = number(device, key, &wide);
    if (!code) *out = (unsigned)wide;
    return code;
}

static int milliwatts(const struct device *device, const char *key, unsigned *out) {
    const char *value = look_in(device->prefix, key);
    if (!value) return NOT_SUPPORTED;
    *out = (unsigned)(strtod(value, NULL) * 1000 + 0.5);
    return SUCCESS;
}

/* --- the system ------------------------------------------------------------------------------------------------- */

static int init(void) {
    static const char *symbols[] = {"nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags"};
    for (int i = 0; i < 3; i++) {
        const char *value = look(symbols[i]);
        int code = value ? behave(value, errors) : 0;
        if (code) return code;
    }
    initialized++;
    return SUCCESS;
}

EXPORT int nvmlInit(void) { return init(); }
EXPORT int nvmlInit_v2(void) { return init(); }
EXPORT int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return init();
}

EXPORT int nvmlShutdown(void) {
    int code = gate(NULL, "nvmlShutdown");
    if (!code) initialized--;
    return code;
}

EXPORT const char *nvmlErrorString(int code) {
    for (const struct name *known = words; known->name; known++)
        if (known->code == code) return known->name;
    return "Unknown Error";
}

EXPORT int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int code = gate(NULL, "nvmlSystemGetDriverVersion");
    return code ? code : text_of(look("driver_version"), out, size);
}

/* These two answer without initialisation, as NVIDIA's do. */
EXPORT int nvmlSystemGetNVMLVersion(char *out, unsigned size) {
    int code = ordered(NULL, "nvmlSystemGetNVMLVersion", errors);
    return code ? code : text_of(look("nvml_version"), out, size);
}

static int cuda_version(const char *symbol, const char *key, int *out) {
    int code = ordered(NULL, symbol, errors);
    const char *value = look(key);
    if (code || !value) return code ? code : NOT_FOUND;
    *out = atoi(value);
    return SUCCESS;
}

EXPORT int nvmlSystemGetCudaDriverVersion(int *out) {
    return cuda_version("nvmlSystemGetCudaDriverVersion", "cuda_version", out);
}

/* The second version asks the libcuda that the loader finds. */
EXPORT int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    return cuda_version("nvmlSystemGetCudaDriverVersion_v2", "libcuda_version", out);
}

static int device_count(void) {
    const char *value = look("gpus");
    int count = value ? atoi(value) : 0;
    return count < MAX_GPUS ? count : MAX_GPUS;
}

/* Processes of any GPU: `gpu0.process0 = PID compute|graphics BYTES|- NAME`. */
static int process(const struct device *device, int i, unsigned *pid, char kind[16], unsigned long long *bytes, const char **name) {
    char key[32], memory[32];
    int end = 0;
    snprintf(key, sizeof key, "process%d", i);
    const char *value = look_in(device->prefix, key);
    if (!value || sscanf(value, "%u %15s %31s %n", pid, kind, memory, &end) < 3) return 0;
    /* NVML_VALUE_NOT_AVAILABLE: under WDDM and WSL the driver does not know what a process holds. */
    *bytes = strcmp(memory, "-") ? strtoull(memory, NULL, 0) : ~0ULL;
    *name = end ? value + end : "";
    return 1;
}

EXPORT int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size) {
    int code = gate(NULL, "nvmlSystemGetProcessName");
    if (code) return code;
    for (int gpu = 0; gpu < device_count(); gpu++) {
        unsigned other;
        char kind[16];
        unsigned long long bytes;
        const char *name;
        for (int i = 0; process(&gpus[gpu], i, &other, kind, &bytes, &name); i++)
            /* A process without a name lives in another PID namespace, where NVML cannot see it. */
            if (other == pid) return *name ? text_of(name, out, size) : NOT_FOUND;
    }
    return NOT_FOUND;
}

/* --- handles ---------------------------------------------------------------------------------------------------- */

EXPORT int nvmlDeviceGetCount_v2(unsigned *out) {
    int code = gate(NULL, "nvmlDeviceGetCount_v2");
    const char *counted = look("counted"); /* a driver that counts wrong */
    if (!code) *out = counted ? (unsigned)strtoul(counted, NULL, 10) : (unsigned)device_count();
    return code;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **out) {
    if (!initialized) return UNINITIALIZED;
    if ((int)index >= device_count()) return INVALID_ARGUMENT;
    int code = ordered(gpus[index].prefix, "nvmlDeviceGetHandleByIndex_v2", errors);
    if (!code) *out = &gpus[index];
    return code;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, struct device **out) {
    int code = gate(NULL, "nvmlDeviceGetHandleByUUID");
    for (int i = 0; !code && i < device_count(); i++) {
        const char *own = look_in(gpus[i].prefix, "uuid");
        if (own && !strcmp(own, uuid)) {
            *out = &gpus[i];
            return SUCCESS;
        }
        for (int j = 0; j < MAX_MIG; j++) {
            own = look_in(migs[i][j].prefix, "uuid");
            if (own && !strcmp(own, uuid)) {
                *out = &migs[i][j];
                return SUCCESS;
            }
        }
    }
    return code ? code : NOT_FOUND;
}

EXPORT int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *mig, struct device **out) {
    int code = gate(mig, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle");
    if (!code) *out = &gpus[mig->gpu];
    return code;
}

EXPORT int nvmlDeviceGetIndex(struct device *device, unsigned *out) {
    int code = gate(device, "nvmlDeviceGetIndex");
    if (!code) *out = (unsigned)device->gpu;
    return code;
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(struct device *device, unsigned *out) {
    int code = gate(device, "nvmlDeviceGetMaxMigDeviceCount");
    return code ? code : small(device, "mig_max", out);
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(struct device *device, unsigned index, struct device **out) {
    int code = gate(device, "nvmlDeviceGetMigDeviceHandleByIndex");
    if (code) return code;
    if (index >= MAX_MIG) return INVALID_ARGUMENT;
    struct device *mig = &migs[device->gpu][index];
    if (!look_in(mig->prefix, "uuid")) return NOT_FOUND;
    *out = mig;
    return SUCCESS;
}

/* --- one value each --------------------------------------------------------------------------------------------- */

#define TEXT(symbol, key)                                                                                               \
    EXPORT int symbol(struct device *device, char *out, unsigned size) {                                               \
        int code = gate(device, #symbol);                                                                              \
        return code ? code : text_of(look_in(device->prefix, key), out, size);                                         \
    }

#define NUMBER(symbol, key)                                                                                             \
    EXPORT int symbol(struct device *device, unsigned *out) {                                                          \
        int code = gate(device, #symbol);                                                                              \
        return code ? code : small(device, key, out);                                                                  \
    }

#define WIDE(symbol, key)                                                                                               \
    EXPORT int symbol(struct device *device, unsigned long long *out) {                                                \
        int code = gate(device, #symbol);                                                                              \
        return code ? code : number(device, key, out);                                                                 \
    }

#define PAIR(symbol, first, second)                                                                                     \
    EXPORT int symbol(struct device *device, unsigned *one, unsigned *two) {                                           \
        int code = gate(device, #symbol);                                                                              \
        if (!code) code = small(device, first, one);                                                                   \
        return code ? code : small(device, second, two);                                                               \
    }

/* Watts in the scenario, milliwatts in NVML. */
#define POWER(symbol, key)                                                                                              \
    EXPORT int symbol(struct device *device, unsigned *out) {                                                          \
        int code = gate(device, #symbol);                                                                              \
        return code ? code : milliwatts(device, key, out);                                                             \
    }

TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetVbiosVersion, "vbios")
NUMBER(nvmlDeviceGetArchitecture, "architecture")
NUMBER(nvmlDeviceGetMinorNumber, "minor")
NUMBER(nvmlDeviceGetPerformanceState, "performance_state")
WIDE(nvmlDeviceGetCurrentClocksThrottleReasons, "throttle_reasons")
WIDE(nvmlDeviceGetCurrentClocksEventReasons, "throttle_reasons")
POWER(nvmlDeviceGetPowerUsage, "power_draw")
POWER(nvmlDeviceGetPowerManagementLimit, "power_limit")
POWER(nvmlDeviceGetEnforcedPowerLimit, "power_limit_enforced")
POWER(nvmlDeviceGetPowerManagementDefaultLimit, "power_limit_default")
WIDE(nvmlDeviceGetTotalEnergyConsumption, "energy_mj")
NUMBER(nvmlDeviceGetFanSpeed, "fan_percent")
PAIR(nvmlDeviceGetEccMode, "ecc_enabled", "ecc_pending")
NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, "page_retirement_pending")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max")
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, "pcie_generation_gpu_max")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max")
PAIR(nvmlDeviceGetMigMode, "mig_enabled", "mig_pending")
NUMBER(nvmlDeviceGetComputeMode, "compute_mode")
NUMBER(nvmlDeviceGetPersistenceMode, "persistence_mode")
NUMBER(nvmlDeviceGetNumGpuCores, "cores")

EXPORT int nvmlDeviceGetVirtualizationMode(struct device *device, unsigned long long *out) {
    unsigned mode = 0;
    int code = gate(device, "nvmlDeviceGetVirtualizationMode");
    if (!code) code = small(device, "virtualization_mode", &mode);
    if (!code) *out = mode;
    return code;
}

EXPORT int nvmlDeviceGetPowerManagementLimitConstraints(struct device *device, unsigned *least, unsigned *most) {
    int code = gate(device, "nvmlDeviceGetPowerManagementLimitConstraints");
    if (!code) code = milliwatts(device, "power_limit_min", least);
    return code ? code : milliwatts(device, "power_limit_max", most);
}

EXPORT int nvmlDeviceGetCudaComputeCapability(struct device *device, int *major, int *minor) {
    int code = gate(device, "nvmlDeviceGetCudaComputeCapability");
    const char *value = look_in(device->prefix, "compute_capability");
    if (code) return code;
    return value && sscanf(value, "%d.%d", major, minor) == 2 ? SUCCESS : NOT_SUPPORTED;
}

/* --- one value for each kind ------------------------------------------------------------------------------------ */

static int of_kind(struct device *device, const char *symbol, const char *const *keys, unsigned kinds, unsigned kind, unsigned *out) {
    int code = gate(device, symbol);
    if (code) return code;
    return kind < kinds ? small(device, keys[kind], out) : INVALID_ARGUMENT;
}

#define BY_KIND(symbol, ...)                                                                                            \
    EXPORT int symbol(struct device *device, unsigned kind, unsigned *out) {                                           \
        static const char *const keys[] = {__VA_ARGS__};                                                               \
        return of_kind(device, #symbol, keys, sizeof keys / sizeof *keys, kind, out);                                  \
    }

/* NVML_CLOCK_GRAPHICS, SM, MEM, VIDEO */
BY_KIND(nvmlDeviceGetClockInfo, "sm_clock", "sm_clock", "memory_clock", "video_clock")
BY_KIND(nvmlDeviceGetMaxClockInfo, "sm_clock_max", "sm_clock_max", "memory_clock_max", "video_clock_max")
BY_KIND(nvmlDeviceGetApplicationsClock, "application_sm_clock", "application_sm_clock", "application_memory_clock")
BY_KIND(nvmlDeviceGetTemperature, "temperature")
BY_KIND(nvmlDeviceGetTemperatureThreshold, "temperature_shutdown", "temperature_slowdown", "temperature_memory_max")

/* --- structures ------------------------------------------------------------------------------------------------- */

struct temperature {
    unsigned version, sensor;
    int value;
};

EXPORT int nvmlDeviceGetTemperatureV(struct device *device, struct temperature *out) {
    int code = gate(device, "nvmlDeviceGetTemperatureV");
    if (code) return code;
    if (out->version != 0x100000C) return ARGUMENT_VERSION_MISMATCH;
    return small(device, "temperature", (unsigned *)&out->value);
}

struct pci_info {
    char legacy_bus_id[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

EXPORT int nvmlDeviceGetPciInfo_v3(struct device *device, struct pci_info *out) {
    int code = gate(device, "nvmlDeviceGetPciInfo_v3");
    const char *address = look_in(device->prefix, "pci_address");
    if (code || !address) return code ? code : NOT_SUPPORTED;
    memset(out, 0, sizeof *out);
    if (sscanf(address, "%x:%x:%x", &out->domain, &out->bus, &out->device) != 3) return INVALID_ARGUMENT;
    snprintf(out->bus_id, sizeof out->bus_id, "%08X:%02X:%02X.0", out->domain, out->bus, out->device);
    snprintf(out->legacy_bus_id, sizeof out->legacy_bus_id, "%04X:%02X:%02X.0", out->domain & 0xffff, out->bus & 0xff, out->device & 0xff);
    small(device, "pci_id", &out->device_id);
    small(device, "pci_subsystem", &out->subsystem_id);
    return SUCCESS;
}

struct memory {
    unsigned long long total, free, used;
};

struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};

EXPORT int nvmlDeviceGetMemoryInfo_v2(struct device *device, struct memory_v2 *out) {
    int code = gate(device, "nvmlDeviceGetMemoryInfo_v2");
    if (code) return code;
    if (out->version != 0x02000028) return ARGUMENT_VERSION_MISMATCH;
    code = number(device, "memory_total", &out->total);
    out->reserved = out->used = 0;
    number(device, "memory_reserved", &out->reserved);
    number(device, "memory_used", &out->used);
    out->free = out->total - out->reserved - out->used;
    return code;
}

EXPORT int nvmlDeviceGetMemoryInfo(struct device *device, struct memory *out) {
    int code = gate(device, "nvmlDeviceGetMemoryInfo");
    if (code) return code;
    unsigned long long reserved = 0;
    code = number(device, "memory_total", &out->total);
    out->used = 0;
    number(device, "memory_reserved", &reserved);
    number(device, "memory_used", &out->used);
    out->used += reserved; /* the first version has no word for it: what the driver keeps counts as used */
    out->free = out->total - out->used;
    return code;
}

EXPORT int nvmlDeviceGetBAR1MemoryInfo(struct device *device, struct memory *out) {
    int code = gate(device, "nvmlDeviceGetBAR1MemoryInfo");
    if (!code) code = number(device, "bar1_total", &out->total);
    out->used = 0;
    out->free = out->total;
    return code;
}

struct utilization {
    unsigned gpu, memory;
};

EXPORT int nvmlDeviceGetUtilizationRates(struct device *device, struct utilization *out) {
    int code = gate(device, "nvmlDeviceGetUtilizationRates");
    out->memory = 0;
    return code ? code : small(device, "utilization", &out->gpu);
}

EXPORT int nvmlDeviceGetTotalEccErrors(struct device *device, unsigned type, unsigned counter, unsigned long long *out) {
    static const char *const keys[2][2] = {{"ecc_corrected_volatile", "ecc_corrected_aggregate"},
                                           {"ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"}};
    int code = gate(device, "nvmlDeviceGetTotalEccErrors");
    if (code) return code;
    return type < 2 && counter < 2 ? number(device, keys[type][counter], out) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetRemappedRows(struct device *device, unsigned *correctable, unsigned *uncorrectable, unsigned *pending, unsigned *failed) {
    int code = gate(device, "nvmlDeviceGetRemappedRows");
    if (!code) code = small(device, "rows_remapped_correctable", correctable);
    if (!code) code = small(device, "rows_remapped_uncorrectable", uncorrectable);
    if (!code) code = small(device, "row_remap_pending", pending);
    return code ? code : small(device, "row_remap_failed", failed);
}

EXPORT int nvmlDeviceGetRetiredPages(struct device *device, unsigned cause, unsigned *count, unsigned long long *addresses) {
    static const char *const keys[] = {"pages_retired_single", "pages_retired"};
    int code = gate(device, "nvmlDeviceGetRetiredPages");
    unsigned have = 0;
    if (!code) code = cause < 2 ? small(device, keys[cause], &have) : INVALID_ARGUMENT;
    if (code) return code;
    unsigned room = *count;
    *count = have;
    if (have > room) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; addresses && i < have; i++) addresses[i] = 0x1000ULL * (i + 1);
    return SUCCESS;
}

struct process_info {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
};

static int processes(struct device *device, const char *symbol, const char *wanted, unsigned *count, struct process_info *out) {
    int code = gate(device, symbol);
    if (code) return code;
    unsigned room = *count, have = 0, pid;
    char kind[16];
    unsigned long long bytes;
    const char *name;
    for (int i = 0; process(device, i, &pid, kind, &bytes, &name); i++) {
        if (strcmp(kind, wanted)) continue;
        if (have < room && out) out[have] = (struct process_info){pid, bytes, ~0u, ~0u};
        have++;
    }
    *count = have;
    return have > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(symbol, kind)                                                                                         \
    EXPORT int symbol(struct device *device, unsigned *count, struct process_info *out) {                              \
        return processes(device, #symbol, kind, count, out);                                                           \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "compute")
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")

/* --- NVLink: `gpu0.nvlink0 = ACTIVE VERSION REPLAY RECOVERY FLIT DATA` ------------------------------------------- */

static int nvlink(struct device *device, const char *symbol, unsigned link, long long values[6]) {
    char key[32];
    int code = gate(device, symbol);
    if (code) return code;
    snprintf(key, sizeof key, "nvlink%u", link);
    const char *value = look_in(device->prefix, key);
    if (!value) return look_in(device->prefix, "nvlink0") ? INVALID_ARGUMENT : NOT_SUPPORTED;
    for (int i = 0; i < 6; i++) values[i] = -1;
    sscanf(value, "%lld %lld %lld %lld %lld %lld", values, values + 1, values + 2, values + 3, values + 4, values + 5);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkState(struct device *device, unsigned link, unsigned *out) {
    long long values[6];
    int code = nvlink(device, "nvmlDeviceGetNvLinkState", link, values);
    if (!code) *out = (unsigned)values[0];
    return code;
}

EXPORT int nvmlDeviceGetNvLinkVersion(struct device *device, unsigned link, unsigned *out) {
    long long values[6];
    int code = nvlink(device, "nvmlDeviceGetNvLinkVersion", link, values);
    if (!code && values[1] < 0) code = NOT_SUPPORTED;
    if (!code) *out = (unsigned)values[1];
    return code;
}

EXPORT int nvmlDeviceGetNvLinkErrorCounter(struct device *device, unsigned link, unsigned counter, unsigned long long *out) {
    long long values[6];
    int code = nvlink(device, "nvmlDeviceGetNvLinkErrorCounter", link, values);
    if (!code && counter > 3) code = INVALID_ARGUMENT;
    if (!code && values[2 + counter] < 0) code = NOT_SUPPORTED;
    if (!code) *out = (unsigned long long)values[2 + counter];
    return code;
}

/* --- events: `gpu0.xid = 79` comes once, to whoever registered for it --------------------------------------------- */

struct event {
    struct device *device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

struct event_set {
    unsigned long long wanted[MAX_GPUS];
    int told[MAX_GPUS];
};

EXPORT int nvmlEventSetCreate(struct event_set **out) {
    int code = gate(NULL, "nvmlEventSetCreate");
    if (!code) *out = calloc(1, sizeof **out);
    return code;
}

EXPORT int nvmlDeviceRegisterEvents(struct device *device, unsigned long long types, struct event_set *set) {
    int code = gate(device, "nvmlDeviceRegisterEvents");
    if (!code) set->wanted[device->gpu] = types;
    return code;
}

EXPORT int nvmlEventSetWait_v2(struct event_set *set, struct event *out, unsigned milliseconds) {
    (void)milliseconds;
    int code = gate(NULL, "nvmlEventSetWait_v2");
    for (int i = 0; !code && i < device_count(); i++) {
        const char *value = look_in(gpus[i].prefix, "xid");
        int xid = value ? atoi(value) : 0;
        if (!xid || set->told[i] == xid || !(set->wanted[i] & 8)) continue;
        set->told[i] = xid;
        *out = (struct event){&gpus[i], 8, (unsigned long long)xid, ~0u, ~0u};
        return SUCCESS;
    }
    return code ? code : TIMEOUT;
}

/* --- NVSwitch fabric -------------------------------------------------------------------------------------------- */

struct fabric {
    unsigned char cluster[16];
    int status;
    unsigned clique;
    unsigned char state;
};

struct fabric_v2 {
    unsigned version;
    unsigned char cluster[16];
    int status;
    unsigned clique;
    unsigned char state;
    unsigned health;
};

EXPORT int nvmlDeviceGetGpuFabricInfo(struct device *device, struct fabric *out) {
    unsigned state = 0, status = 0;
    int code = gate(device, "nvmlDeviceGetGpuFabricInfo");
    if (!code) code = small(device, "fabric_state", &state);
    small(device, "fabric_status", &status);
    out->state = (unsigned char)state;
    out->status = (int)status;
    return code;
}

EXPORT int nvmlDeviceGetGpuFabricInfoV(struct device *device, struct fabric_v2 *out) {
    struct fabric answer = {{0}, 0, 0, 0};
    int code = gate(device, "nvmlDeviceGetGpuFabricInfoV");
    if (code) return code;
    if (out->version != 0x02000024) return ARGUMENT_VERSION_MISMATCH;
    code = nvmlDeviceGetGpuFabricInfo(device, &answer);
    out->state = answer.state;
    out->status = answer.status;
    return code;
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *address, struct device **out) {
    int code = gate(NULL, "nvmlDeviceGetHandleByPciBusId_v2");
    unsigned domain, bus, slot;
    if (!code && sscanf(address, "%x:%x:%x", &domain, &bus, &slot) != 3) return INVALID_ARGUMENT;
    for (int i = 0; !code && i < device_count(); i++) {
        const char *own = look_in(gpus[i].prefix, "pci_address");
        unsigned d, b, s;
        if (own && sscanf(own, "%x:%x:%x", &d, &b, &s) == 3 && d == domain && b == bus && s == slot) {
            *out = &gpus[i];
            return SUCCESS;
        }
    }
    return code ? code : NOT_FOUND;
}

struct field {
    unsigned id, scope;
    long long timestamp, latency;
    unsigned type, code;
    union {
        unsigned number;
        unsigned long long wide;
    } value;
};

/* Of the many fields only the power of this moment: NVML_FI_DEV_POWER_INSTANT. */
EXPORT int nvmlDeviceGetFieldValues(struct device *device, int count, struct field *fields) {
    int code = gate(device, "nvmlDeviceGetFieldValues");
    for (int i = 0; !code && i < count; i++) {
        fields[i].code = NOT_SUPPORTED;
        if (fields[i].id == 186 && look_in(device->prefix, "power_instant"))
            fields[i].code = milliwatts(device, "power_instant", &fields[i].value.number);
    }
    return code;
}

/* The sizes by which a test compares these structures with those that nvidia-ml-py declares. */
EXPORT const unsigned fake_sizes[] = {sizeof(struct pci_info), sizeof(struct memory),      sizeof(struct memory_v2),
                                      sizeof(struct utilization), sizeof(struct process_info), sizeof(struct temperature),
                                      sizeof(struct fabric),   sizeof(struct fabric_v2), sizeof(struct event),
                                      sizeof(struct field)};
